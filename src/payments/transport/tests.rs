use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::payments::settings::ProviderTimeouts;

const OK: &str = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";

/// A provider whose connections behave one after the other as told.
struct Raw {
    provider: Provider,
    /// Whole requests read, over all connections.
    requests: Arc<AtomicUsize>,
}

/// What a connection does with each request it reads; after the last it closes.
type Script = &'static [&'static str];

/// In a [`Script`]: say nothing and keep the connection.
const SILENCE: &str = "";
/// In a [`Script`]: close although a request was read.
const CLOSE: &str = "close";

fn provider(port: u16) -> Provider {
    Provider {
        base_url: BaseUrl::parse(&format!("http://127.0.0.1:{port}/v1")).expect("valid"),
        timeouts: ProviderTimeouts { connect: Duration::from_secs(2), response: Duration::from_millis(300) },
        ..Provider::sample("alpha", 1)
    }
}

impl Raw {
    async fn start(connections: &'static [Script]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            for script in connections {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(play(stream, script, Arc::clone(&counter)));
            }
        });
        Self { provider: provider(port), requests }
    }

    async fn call(&self, transport: &HttpTransport) -> Result<Answer, CallError> {
        call(transport, &self.provider).await
    }
}

async fn play(mut stream: TcpStream, script: Script, requests: Arc<AtomicUsize>) {
    for answer in script {
        let mut read = Vec::new();
        while !read.ends_with(b"the body") {
            let mut piece = [0; 1024];
            match stream.read(&mut piece).await {
                Ok(length) if length > 0 => read.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
        let head = String::from_utf8(read).expect("text");
        assert!(head.starts_with("POST /v1/charges HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: 127.0.0.1:") && head.contains("content-length: 8\r\n"), "{head}");
        requests.fetch_add(1, Ordering::SeqCst);
        match *answer {
            SILENCE => std::future::pending().await,
            CLOSE => return,
            answer => stream.write_all(answer.as_bytes()).await.expect("written"),
        }
    }
}

async fn call(transport: &HttpTransport, provider: &Provider) -> Result<Answer, CallError> {
    let body = Bytes::from_static(b"the body");
    let request = WireRequest { method: Method::POST, path: "/charges".into(), headers: vec![], body };
    transport.call(provider, request, Instant::now() + Duration::from_secs(5)).await
}

fn doubt(result: Result<Answer, CallError>) -> Doubt {
    match result {
        Err(CallError::InDoubt { doubt, .. }) => doubt,
        other => panic!("in doubt, not {other:?}"),
    }
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_the_connection_is_used_again() {
    let raw = Raw::start(&[&[OK, OK, OK]]).await;
    let transport = HttpTransport::default();
    for _ in 0..3 {
        let answer = raw.call(&transport).await.expect("an answer");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (201, &b"{}"[..]));
    }
    assert_eq!(raw.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_refused_connection_is_proof_that_nothing_was_sent() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let error = call(&HttpTransport::default(), &provider(unused)).await.expect_err("nobody listens");
    assert!(matches!(error, CallError::NotSent { proof: Proof::Connect, .. }), "{error}");
}

#[tokio::test]
async fn a_failed_tls_handshake_is_proof_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
    });
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut provider = provider(port);
    provider.tls = Some(ClientTls::from_pem("roots.pem", certificate.cert.pem().as_bytes()).expect("roots"));
    let error = call(&HttpTransport::default(), &provider).await.expect_err("no TLS there");
    assert!(matches!(error, CallError::NotSent { proof: Proof::Tls, .. }), "{error}");
}

#[tokio::test]
async fn a_connection_that_closes_on_a_request_leaves_doubt_and_no_second_request() {
    let raw = Raw::start(&[&[CLOSE], &[OK]]).await;
    assert_eq!(doubt(raw.call(&HttpTransport::default()).await), Doubt::Lost);
    assert_eq!(raw.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_a_request_leaves_doubt_as_well() {
    let raw = Raw::start(&[&[OK, CLOSE], &[OK]]).await;
    let transport = HttpTransport::default();
    raw.call(&transport).await.expect("an answer");
    assert_eq!(doubt(raw.call(&transport).await), Doubt::Lost);
    assert_eq!(raw.requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_gives_way_to_a_new_one() {
    let raw = Raw::start(&[&[OK], &[OK], &[OK]]).await;
    let transport = HttpTransport::default();
    for _ in 0..3 {
        raw.call(&transport).await.expect("an answer");
        let closed = || {
            let kept = transport.kept.lock().expect("free");
            kept.values().flatten().all(|connection| connection.sender.is_closed())
        };
        while !closed() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(raw.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn silence_leaves_doubt_after_the_response_timeout() {
    let raw = Raw::start(&[&[SILENCE]]).await;
    let begun = Instant::now();
    assert_eq!(doubt(raw.call(&HttpTransport::default()).await), Doubt::Timeout);
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn answers_that_are_no_whole_answers_leave_doubt() {
    const CASES: &[(&[Script], Doubt)] = &[
        (&[&["garbage\r\n\r\n", CLOSE]], Doubt::Lost),
        (&[&["HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n{}", SILENCE]], Doubt::Timeout),
        (&[&["HTTP/1.1 201 Created\r\ncontent-length: 999999999\r\n\r\n{}", SILENCE]], Doubt::Unreadable),
        (&[&["HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n", SILENCE]], Doubt::Lost),
    ];
    for (connections, expected) in CASES {
        let raw = Raw::start(connections).await;
        assert_eq!(doubt(raw.call(&HttpTransport::default()).await), *expected);
    }
}
