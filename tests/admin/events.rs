//! Server-sent events.

use figway::admin::Limits;
use figway::snapshot::{AnonymousAccess, Severity};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fakes::{VIEWER, diagnostic, snapshot};
use super::gateway::{Gateway, PATIENCE};

struct Listener {
    stream: TcpStream,
    text: String,
}

impl Listener {
    async fn start(gateway: &Gateway, header: &str) -> Self {
        let mut stream = gateway.connect().await;
        let request =
            format!("GET /admin/v1/events HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{header}\r\n", gateway.address);
        stream.write_all(request.as_bytes()).await.expect("written");
        Self { stream, text: String::new() }
    }

    /// Reads until `wanted` has been told.
    async fn hear(&mut self, wanted: &str) {
        let reading = async {
            while !self.text.contains(wanted) {
                assert!(self.more().await, "it ended without {wanted:?}: {}", self.text);
            }
        };
        if tokio::time::timeout(PATIENCE, reading).await.is_err() {
            panic!("{wanted:?} was not told");
        }
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                true
            }
        }
    }

    async fn ends(&mut self) {
        let reading = async { while self.more().await {} };
        tokio::time::timeout(PATIENCE, reading).await.expect("the stream ends");
    }
}

#[tokio::test]
async fn publications_changed_flags_and_failed_reloads_are_told() {
    let gateway = Gateway::start().await;
    let mut listener = Listener::start(&gateway, "").await;
    listener.hear("content-type: text/event-stream").await;
    listener.hear("id: 12\nevent: revision\n").await;

    gateway.handle.publish(snapshot(13, 2_500, AnonymousAccess::Read).into());
    listener.hear("id: 13\nevent: revision\n").await;
    listener.hear("event: flag\ndata: {\"key\":\"member-api\",\"revision\":13").await;
    assert_eq!(listener.text.matches("event: flag").count(), 1, "only what differs: {}", listener.text);

    let mut status = (*gateway.handle.status()).clone();
    status.success = false;
    status.problems = vec![diagnostic(Severity::Error, "unknown key")];
    gateway.handle.set_status(status);
    listener.hear("event: reload-failed\n").await;
    listener.hear("config/gateway.yaml:14:12").await;
}

#[tokio::test]
async fn a_listener_whose_token_is_withdrawn_hears_no_more() {
    let gateway = Gateway::with(AnonymousAccess::None, Limits::default()).await;
    let mut listener = Listener::start(&gateway, &format!("authorization: Bearer {VIEWER}\r\n")).await;
    listener.hear("id: 12").await;
    let mut next = snapshot(13, 1_000, AnonymousAccess::None);
    next.admin.tokens.clear();
    gateway.handle.publish(next.into());
    listener.ends().await;
    assert!(!listener.text.contains("id: 13"), "{}", listener.text);
}

#[tokio::test]
async fn listeners_beyond_the_limit_are_refused_until_one_leaves() {
    let gateway = Gateway::with(AnonymousAccess::Read, Limits { event_streams: 1, ..Limits::default() }).await;
    let mut listener = Listener::start(&gateway, "").await;
    listener.hear("id: 12").await;
    gateway.get("/admin/v1/events").await.problem(503, "unavailable");
    drop(listener);
    let freed = async {
        loop {
            let mut next = Listener::start(&gateway, "").await;
            if next.more().await && next.text.starts_with("HTTP/1.1 200") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("room again");
}

#[tokio::test]
async fn streams_end_with_the_process() {
    let gateway = Gateway::start().await;
    let mut listener = Listener::start(&gateway, "").await;
    listener.hear("id: 12").await;
    gateway.end().await;
    listener.ends().await;
}
