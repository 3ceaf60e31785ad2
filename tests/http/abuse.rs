//! Sends what must be refused and checks that nothing is left behind by it.

use crate::support::{FakeBackend, Response, TestGateway};

/// A gateway with one open route to a backend that echoes the request target.
#[derive(Debug)]
pub(crate) struct Abuse {
    pub(crate) gateway: TestGateway,
    pub(crate) backend: FakeBackend,
}

impl Abuse {
    pub(crate) fn new() -> Self {
        let backend = FakeBackend::echoing();
        Self { gateway: TestGateway::before(&backend), backend }
    }

    /// The bytes are answered with one of the statuses and the end of the connection, no request reaches the
    /// backend whole, and the next client gets its own answer.
    #[track_caller]
    pub(crate) fn refuses(&self, bytes: impl AsRef<[u8]>, statuses: &[u16]) -> Response {
        let shown = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(200)]).into_owned();
        let before = self.backend.requests().len();
        let mut client = self.gateway.client();
        let response = client.send(bytes).response();
        assert!(statuses.contains(&response.status), "{shown:?} was answered {}", response.status);
        response.problem();
        let rest = client.rest();
        assert!(rest.is_empty(), "{shown:?}: after the answer came {:?}", String::from_utf8_lossy(&rest));
        assert_eq!(self.backend.requests().len(), before, "{shown:?} reached the backend");
        let plain = self.gateway.get("/plain", "");
        assert_eq!((plain.status, plain.text().as_str()), (200, "/plain"), "after {shown:?}");
        response
    }

    /// Like [`Abuse::refuses`] for a GET with these header lines (each ended by CRLF).
    #[track_caller]
    pub(crate) fn refuses_headers(&self, headers: &str, statuses: &[u16]) -> Response {
        self.refuses(format!("GET /x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n"), statuses)
    }

    /// Like [`Abuse::refuses`] for a chunked POST with this body.
    #[track_caller]
    pub(crate) fn refuses_chunks(&self, body: impl AsRef<[u8]>, statuses: &[u16]) -> Response {
        let mut bytes = b"POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        bytes.extend_from_slice(body.as_ref());
        self.refuses(bytes, statuses)
    }
}
