//! A control plane on a free port of loopback, and a client that sends exactly what it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use figway::admin::{AdminState, Limits, Readiness, serve};
use figway::clock::Timestamp;
use figway::snapshot::{AnonymousAccess, ReloadStatus, SnapshotHandle};
use figway::telemetry::{FlagActivity, Metrics};
use figway::types::Revision;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fakes::{Changes, Echo, OnePayment, snapshot};

/// Longest that any step of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Arc<SnapshotHandle>,
    pub(crate) changes: Arc<Changes>,
    /// What `activity` looks at.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) activity: Arc<FlagActivity>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) server: JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Gateway {
    /// Ready, at revision 12, anonymous callers may read.
    pub(crate) async fn start() -> Self {
        Self::with(AnonymousAccess::Read, Limits::default()).await
    }

    pub(crate) async fn with(anonymous: AnonymousAccess, limits: Limits) -> Self {
        let first = snapshot(12, 1_000, anonymous);
        let moment = Timestamp(1_795_291_200_000);
        let status = ReloadStatus {
            success: true,
            last_success: moment,
            last_attempt: moment,
            revision: Revision(12),
            problems: Vec::new(),
        };
        let handle = Arc::new(SnapshotHandle::new(first, status));
        let changes =
            Arc::new(Changes { handle: Arc::clone(&handle), made: Mutex::default(), failure: Mutex::default() });
        let metrics = Arc::new(Metrics::new());
        let activity = Arc::new(FlagActivity::new(Arc::clone(&metrics)));
        let readiness = Arc::new(Readiness::new());
        readiness.keys_are_prefetched();
        let state = AdminState {
            handle: Arc::clone(&handle),
            changes: changes.clone(),
            explainer: Arc::new(Echo),
            payments: Some(Arc::new(OnePayment)),
            metrics: Arc::new(|| "figway_requests_total 1\n".into()),
            activity: Arc::clone(&activity),
            readiness: Arc::clone(&readiness),
            limits,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, state, async {
            drop(stopped.await);
        }));
        Self { address, handle, changes, metrics, activity, readiness, stop: Some(stop), server }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Sends a head (and body) as it stands on a connection of its own and reads to the end.
    pub(crate) async fn raw(&self, request: &str) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("written");
        Reply::read(&mut stream).await
    }

    /// A request with a local Host and `connection: close`.
    pub(crate) async fn send(&self, request_line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text = format!("{request_line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        self.raw(&format!("{text}\r\n{body}")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), &[], "").await
    }

    /// A JSON document from an operator.
    pub(crate) async fn operate(&self, request_line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let authorization = format!("Bearer {}", super::fakes::OPERATOR);
        let mut all = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(request_line, &all, body).await
    }

    /// Ends the control plane and waits for it.
    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, self.server).await.expect("it ends").expect("without a panic");
    }
}

impl Reply {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer in time");
        if let Err(error) = read {
            assert!(!bytes.is_empty(), "no answer: {error}");
        }
        Self::parse(&String::from_utf8(bytes).expect("UTF-8"))
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
        Self { status: status.expect("a status"), headers: headers.collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// That the answer is this problem, complete in every part; the document for more.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("x-figway-error"), Some(code));
        let document = self.json();
        assert_eq!(document["type"], format!("urn:figway:error:{code}"));
        assert_eq!(document["status"], status);
        assert_eq!(document["code"], code);
        assert_eq!(document["request_id"].as_str(), self.header("x-request-id"));
        assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        document
    }
}
