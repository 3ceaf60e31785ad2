//! Requests and responses as the data plane carries them, whatever HTTP version either side speaks.

use crate::problem::{Code, Problem};
use crate::types::fields::Fields;

/// HTTP version of the client's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

impl Version {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// How long a message's body is, as far as its head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BodyLength {
    /// No body at all.
    #[default]
    None,
    /// Exactly this many bytes.
    Exact(u64),
    /// Ends where its framing says (chunked, or an h2 stream).
    Unknown,
    /// Ends when the connection does (responses only).
    UntilClose,
}

/// A request without its body.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// As it is matched and forwarded: the normalised path and the untouched query.
    pub(crate) target: String,
    /// Where the query begins in `target` (its `?`), or the target's end.
    pub(crate) path_end: usize,
    pub(crate) has_encoded_slash: bool,
    /// Host and port as the client named them.
    pub(crate) authority: String,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    pub(crate) body: BodyLength,
    /// The client asks for another protocol on this connection (never h2c).
    pub(crate) upgrade: bool,
    /// The client waits for 100 before it sends the body.
    pub(crate) expects_continue: bool,
    /// The client reads trailers.
    pub(crate) takes_trailers: bool,
    /// The client wants the connection closed after the answer.
    pub(crate) close: bool,
}

impl RequestHead {
    pub(crate) fn clear(&mut self) {
        self.method.clear();
        self.target.clear();
        self.authority.clear();
        self.fields.clear();
        self.path_end = 0;
        self.has_encoded_slash = false;
        self.version = Version::Http11;
        self.body = BodyLength::None;
        self.upgrade = false;
        self.expects_continue = false;
        self.takes_trailers = false;
        self.close = false;
    }

    pub(crate) fn path(&self) -> &str {
        &self.target[..self.path_end]
    }

    /// Host without port.
    pub(crate) fn host(&self) -> &str {
        host_of(&self.authority)
    }

    /// RFC 9110, section 9.2.2.
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
    }

    /// The caller speaks gRPC, which there is on HTTP/2 only, and wants errors as a gRPC status. Its streams are
    /// measured otherwise than other requests, so that a media type alone must not make a request one of them.
    pub(crate) fn is_grpc(&self) -> bool {
        let is_grpc = |media_type: &[u8]| {
            media_type.get(..GRPC.len()).is_some_and(|name| name.eq_ignore_ascii_case(GRPC))
                && matches!(media_type.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
        };
        self.version == Version::Http2 && self.fields.get(crate::types::fields::Known::ContentType).is_some_and(is_grpc)
    }
}

/// gRPC's media type; those of its formats and of gRPC-Web begin with it.
pub(crate) const GRPC: &[u8] = b"application/grpc";

/// Host without port of an authority.
pub(crate) fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    memchr::memchr(b':', authority.as_bytes()).map_or(authority, |end| &authority[..end])
}

/// A response without its body.
#[derive(Debug, Default)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// The reason phrase that the backend sent; empty on h2.
    pub(crate) reason: String,
    pub(crate) fields: Fields,
    pub(crate) body: BodyLength,
}

/// Why a request's head is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct HeadError {
    pub(crate) code: Code,
    pub(crate) detail: &'static str,
}

impl HeadError {
    pub(crate) const fn new(code: Code, detail: &'static str) -> Self {
        Self { code, detail }
    }

    pub(crate) const fn malformed(detail: &'static str) -> Self {
        Self::new(Code::MalformedRequest, detail)
    }
}

impl From<HeadError> for Problem {
    fn from(error: HeadError) -> Self {
        Self::new(error.code, error.detail)
    }
}

/// Header fields that belong to one connection and are never forwarded (RFC 9110, section 7.6.1).
pub(crate) fn is_hop_by_hop(known: crate::types::fields::Known) -> bool {
    use crate::types::fields::Known;
    matches!(
        known,
        Known::Connection
            | Known::KeepAlive
            | Known::Proxy
            | Known::ProxyConnection
            | Known::ProxyAuthorization
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
            | Known::Http2Settings
    )
}

/// Framing, routing and credentials have no place in a trailer (RFC 9110, section 6.5.1).
pub(crate) fn may_be_trailer(known: crate::types::fields::Known) -> bool {
    use crate::types::fields::Known;
    !is_hop_by_hop(known)
        && !matches!(
            known,
            Known::ContentLength
                | Known::Host
                | Known::Authorization
                | Known::Cookie
                | Known::Trailer
                | Known::Expect
                | Known::ContentType
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_a_media_type_on_http2() {
        let is_grpc = |version, media_type: &str| {
            let mut head = RequestHead { version, ..RequestHead::default() };
            head.fields.push("content-type", media_type.as_bytes());
            head.is_grpc()
        };
        for media_type in ["application/grpc", "Application/gRPC+proto", "application/grpc;charset=utf-8"] {
            assert!(is_grpc(Version::Http2, media_type), "{media_type}");
            assert!(!is_grpc(Version::Http11, media_type), "{media_type}");
        }
        for media_type in ["application/grpc-web+proto", "application/grpcx", "application/json", ""] {
            assert!(!is_grpc(Version::Http2, media_type), "{media_type}");
        }
    }
}
