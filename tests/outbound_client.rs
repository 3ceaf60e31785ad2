//! The outbound client against servers that answer well, badly, late or not at all.

use std::sync::Arc;
use std::time::Duration;

use figway::client::{ClientError, ConnectError, HttpClient, Stream, connect};
use figway::tls::{CertificatePem, ClientTls, ServerTls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

/// Answers every connection with the same bytes, closes it, and passes on what it was sent.
async fn server(answer: impl Into<Vec<u8>>) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (heads, received) = mpsc::unbounded_channel();
    let answer = answer.into();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            let (heads, answer) = (heads.clone(), answer.clone());
            // A test that does not ask has dropped its end.
            tokio::spawn(async move { heads.send(exchange(socket, &answer).await).ok() });
        }
    });
    (port, received)
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    // The client may have seen enough before the answer is complete.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&head).into_owned()
}

async fn get(answer: &str, max_bytes: usize) -> Result<String, ClientError> {
    let (port, _) = server(answer).await;
    let body = HttpClient::new(None).get(&format!("http://127.0.0.1:{port}/keys"), LIMIT, max_bytes).await?;
    Ok(String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn fetches_a_document_with_one_plain_request() {
    let (port, mut received) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let body = HttpClient::new(None).get(&format!("http://localhost:{port}/a?b"), LIMIT, 10).await.expect("a document");
    assert_eq!(&body[..], b"ok");
    let head = received.recv().await.expect("a request").to_lowercase();
    assert!(head.starts_with("get /a?b http/1.1\r\n"), "{head}");
    for line in [format!("host: localhost:{port}"), "connection: close".into(), "accept-encoding: identity".into()] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head} lacks {line}");
    }
}

#[tokio::test]
async fn reads_every_way_to_end_a_body() {
    for answer in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
    ] {
        assert_eq!(get(answer, 2).await.expect(answer), "ok");
    }
}

#[tokio::test]
async fn only_200_is_an_answer_and_redirects_are_not_followed() {
    for (status, note) in
        [("404 Not Found", "not 200"), ("204 No Content", "not 200"), ("302 Found", "write the final URL")]
    {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        let error = get(&answer, 10).await.expect_err(status);
        assert!(matches!(error, ClientError::Status(_)) && error.to_string().contains(note), "{error}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_to_its_end() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
        &endless,
    ] {
        let outcome = get(answer, 10).await;
        let head = &answer[..60.min(answer.len())];
        assert!(matches!(outcome, Err(ClientError::TooLarge(10))), "{head}: {outcome:?}");
    }
}

#[tokio::test]
async fn broken_answers_are_errors_not_documents() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "<html></html>\r\n\r\n",
    ] {
        let outcome = get(answer, 10).await;
        assert!(matches!(outcome, Err(ClientError::Http(_))), "{answer:?}: {outcome:?}");
    }
    let outcome = get("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok", 10).await;
    assert!(matches!(outcome, Err(ClientError::Encoded(_))), "{outcome:?}");
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(get(&long_head, 10).await.is_err());
}

#[tokio::test]
async fn a_server_that_stalls_in_any_step_is_given_up() {
    for prefix in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let stalling = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            socket.write_all(prefix.as_bytes()).await.expect("sent");
            // Ends when the client has given up and closed.
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest).await;
        });
        let outcome = HttpClient::new(None).get(&url, SHORT, 10).await;
        assert!(matches!(outcome, Err(ClientError::TimedOut(_))), "{prefix:?}: {outcome:?}");
        tokio::time::timeout(LIMIT, stalling).await.expect("the connection was closed").expect("no panic");
    }
}

#[tokio::test]
async fn a_crowd_of_fetches_is_refused_rather_than_queued() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let client = HttpClient::new(None);
    let mut fetches = JoinSet::new();
    for _ in 0..20 {
        let (client, url) = (client.clone(), url.clone());
        fetches.spawn(async move { client.get(&url, LIMIT, 10).await });
    }
    // Nobody answers, so the only ones to end are those for whom there was no place.
    for _ in 0..4 {
        let outcome = fetches.join_next().await.expect("a fetch").expect("no panic");
        assert!(matches!(outcome, Err(ClientError::Busy)), "{outcome:?}");
    }
    fetches.shutdown().await;
    let (port, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(client.get(&format!("http://127.0.0.1:{port}/"), LIMIT, 10).await.is_ok(), "places are given back");
}

#[tokio::test]
async fn connection_failures_are_told_apart() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let refused = connect("127.0.0.1", port, None, LIMIT).await.expect_err("nobody listens");
    assert!(matches!(refused, ConnectError::Unreachable { address, .. } if address.port() == port), "{refused}");
    let unknown = connect("no-such-host.invalid", 80, None, LIMIT).await.expect_err("no such name");
    assert!(matches!(unknown, ConnectError::Lookup { .. }), "{unknown}");
    assert!(unknown.to_string().contains("no-such-host.invalid"), "{unknown}");
    let late = connect("127.0.0.1", port, None, Duration::ZERO).await;
    assert!(late.is_err());
}

/// A certificate authority, a server with its certificate for `shop.example`, and what trusts it.
struct Authority {
    server: Arc<ServerTls>,
    client: ClientTls,
}

impl Authority {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let pair = CertificatePem {
            certificate_file: "cert.pem",
            certificate: certificate.as_bytes(),
            key_file: "key.pem",
            key: key.as_bytes(),
        };
        let server = ServerTls::from_pem(&[pair]).expect("server side");
        let client = ClientTls::from_pem("cert.pem", certificate.as_bytes()).expect("client side");
        Self { server: Arc::new(server), client }
    }

    /// A TLS server that answers like [`server`].
    async fn serve(&self, answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server.config));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        exchange(stream, answer.as_bytes()).await;
                    }
                });
            }
        });
        port
    }
}

#[tokio::test]
async fn tls_is_verified_by_the_name_that_was_asked_for() {
    let authority = Authority::new();
    let port = authority.serve("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let tls = |client, name| async move { connect("127.0.0.1", port, Some((client, name)), LIMIT).await };

    let stream = tls(&authority.client, "shop.example").await.expect("a trusted connection");
    let Stream::Tls(stream) = stream else { panic!("plain") };
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
    assert_eq!(stream.get_ref().0.peer_addr().expect("an address").port(), port);

    let other_name = tls(&authority.client, "other.example").await.expect_err("another name");
    assert!(matches!(other_name, ConnectError::Tls { .. }), "{other_name}");
    let stranger = Authority::new();
    let untrusted = tls(&stranger.client, "shop.example").await.expect_err("another authority");
    assert!(matches!(untrusted, ConnectError::Tls { .. }), "{untrusted}");
    let no_name = tls(&authority.client, "not a name").await.expect_err("not a name");
    assert!(matches!(no_name, ConnectError::ServerName(_)), "{no_name}");
}

#[tokio::test]
async fn the_protocol_that_the_caller_offers_is_negotiated() {
    let authority = Authority::new();
    let port = authority.serve("").await;
    let mut config = (*authority.client.config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = ClientTls { config: Arc::new(config) };
    let stream = connect("127.0.0.1", port, Some((&client, "shop.example")), LIMIT).await.expect("a connection");
    let Stream::Tls(stream) = stream else { panic!("plain") };
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn https_documents_need_a_trusted_server_that_speaks_tls() {
    let authority = Authority::new();
    let port = authority.serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let url = format!("https://127.0.0.1:{port}/");
    let wrong_name = HttpClient::new(Some(authority.client.clone())).get(&url, LIMIT, 10).await;
    assert!(matches!(wrong_name, Err(ClientError::Connect(ConnectError::Tls { .. }))), "{wrong_name:?}");
    let without_roots = HttpClient::new(None).get(&url, LIMIT, 10).await.expect_err("no roots");
    assert!(without_roots.to_string().contains("trusted roots"), "{without_roots}");

    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}/", plain.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.expect("a connection");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
        socket
    });
    let no_tls = HttpClient::new(Some(authority.client.clone())).get(&url, LIMIT, 10).await;
    assert!(matches!(no_tls, Err(ClientError::Connect(ConnectError::Tls { .. }))), "{no_tls:?}");
}

#[tokio::test]
async fn both_kinds_of_stream_carry_bytes_both_ways() {
    let authority = Authority::new();
    let secure = authority.serve("pong").await;
    let (plain, _) = server("pong").await;
    for (port, tls) in [(plain, None), (secure, Some((&authority.client, "shop.example")))] {
        let mut stream = connect("127.0.0.1", port, tls, LIMIT).await.expect("a connection");
        stream.write_all(b"ping\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("received");
        assert_eq!(answer, "pong");
    }
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_is_given_up() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let silent = tokio::spawn(async move { listener.accept().await.expect("a connection") });
    let outcome = connect("127.0.0.1", port, Some((&authority.client, "shop.example")), SHORT).await;
    assert!(matches!(outcome, Err(ConnectError::TimedOut { .. })), "{outcome:?}");
    let (socket, _): (TcpStream, _) = silent.await.expect("it was reached");
    drop(socket);
}
