//! gRPC over HTTP/2: its statuses and trailers, and streams in which either side may be silent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use crate::support::h2::{Frames, H2Backend, H2Client, StreamedBody, Streaming, run};
use crate::support::{TestGateway, TokenMint, refusing_port};

fn grpc(path: &str) -> Request<Frames> {
    let request = Request::post(format!("http://shop.example{path}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.body(Frames::new(["message"])).expect("a request")
}

/// Begins a stream, whose client has said nothing yet.
async fn stream(client: &mut H2Client, path: &str) -> (UnboundedSender<Bytes>, Streaming) {
    let (sender, body) = StreamedBody::new();
    let request = Request::post(format!("http://shop.example{path}")).header("content-type", "application/grpc+proto");
    let answer = client.begin(request.body(body).expect("a request")).await;
    (sender, answer)
}

#[test]
fn grpc_call_keeps_its_trailers_end_to_end() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .backend_with("backend", &[backend.address], ", protocol: h2")
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let mut request = grpc("/echo");
        request.body_mut().trailers = vec![("x-client-trailer", "1")];
        let answer = client.send(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "message"));
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert_eq!(answer.trailers["grpc-status"], "0");
        assert_eq!(answer.trailers["x-client-trailer"], "1");
        assert_eq!(answer.headers["x-saw-te"], "trailers");
    });
}

#[test]
fn grpc_callers_get_the_gateways_errors_as_grpc_status() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .auth(&TokenMint::new())
        .backend_with("backend", &[backend.address], ", protocol: h2, timeouts: {response: 200ms}")
        .backend_with("gone", &[refusing_port()], ", protocol: h2")
        .route(r#"{name: guarded, path: "/guarded/{*rest}", auth: required, backend: backend}"#)
        .route(r#"{name: gone, path: "/gone/{*rest}", auth: none, backend: gone}"#)
        .route(r#"{name: hang, path: "/hang", auth: none, backend: backend}"#)
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        for (path, status, code) in [
            ("/nowhere", "12", "no-route"),
            ("/guarded/x", "16", "token-missing"),
            ("/gone/x", "14", "upstream-unreachable"),
            ("/hang", "4", "upstream-timeout"),
        ] {
            let answer = client.send(grpc(path)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(answer.headers["content-type"], "application/grpc", "{path}");
            assert_eq!(answer.headers["grpc-status"], status, "{path}");
            assert_eq!(answer.headers["x-figway-error"], code, "{path}");
            assert!(answer.body.is_empty());
        }
        let plain = Request::get("http://a/nowhere").body(Frames::default()).expect("a request");
        let answer = client.send(plain).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"] == "application/problem+json"),
            (StatusCode::NOT_FOUND, true)
        );
    });
}

/// The limit on silent uploads once cut every stream whose client only listened.
#[test]
fn silent_client_keeps_its_stream() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 200ms, idle: 200ms}")
        .backend_with("backend", &[backend.address], ", protocol: h2, timeouts: {request: 300ms}")
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let (sender, mut answer) = stream(&mut client, "/echo").await;
        for _ in 0..2 {
            sleep(Duration::from_millis(700)).await;
            sender.send(Bytes::from_static(b"message")).expect("the stream is open");
            assert_eq!(answer.data().await, Some(Bytes::from_static(b"message")));
        }
        drop(sender);
        assert_eq!(answer.data().await, None);
    });
}

#[test]
fn stream_may_be_silent_before_there_is_an_answer() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 200ms}")
        .backend_with("backend", &[backend.address], ", protocol: h2, timeouts: {request: 300ms, response: 300ms}")
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let (sender, body) = StreamedBody::new();
        let request = Request::post("http://a/after").header("content-type", "application/grpc").body(body);
        let mut beginner = client.clone();
        let answer = tokio::spawn(async move { beginner.begin(request.expect("a request")).await });
        sleep(Duration::from_millis(800)).await;
        sender.send(Bytes::from_static(b"first")).expect("the stream is open");
        assert_eq!(answer.await.expect("no panic").data().await, Some(Bytes::from_static(b"first")));

        let (_sender, body) = StreamedBody::new();
        let upload = client.begin(Request::post("http://a/after").body(body).expect("a request")).await;
        assert_eq!(upload.status, StatusCode::REQUEST_TIMEOUT, "what is no stream must be sent in time");
    });
}

#[test]
fn silence_of_both_sides_ends_a_stream_and_that_of_one_does_not() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .backend_with("backend", &[backend.address], ", protocol: h2, timeouts: {idle: 400ms}")
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let (_silent, mut ticks) = stream(&mut client, "/ticks").await;
        let (talking, mut silent) = stream(&mut client, "/silent").await;
        assert_eq!(silent.data().await, Some(Bytes::from_static(b"word")));
        for _ in 0..12 {
            sleep(Duration::from_millis(100)).await;
            assert_eq!(ticks.data().await, Some(Bytes::from_static(b"tick")));
            talking.send(Bytes::from_static(b"message")).expect("the stream is open");
        }
        let fell_silent = Instant::now();
        assert!(silent.breaks_off().await);
        assert!(fell_silent.elapsed() < Duration::from_millis(1500), "{:?}", fell_silent.elapsed());
        assert_eq!(ticks.data().await, Some(Bytes::from_static(b"tick")), "the others go on");
    });
}

#[test]
fn stream_has_no_length_unless_its_route_says_so() {
    let backend = H2Backend::start();
    let gateway = TestGateway::builder()
        .server("limits", "{body: 10B}")
        .backend_with("backend", &[backend.address], ", protocol: h2")
        .route(r#"{name: limited, path: "/limited", auth: none, backend: backend, max_body: 10B}"#)
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let mut request = grpc("/echo");
        *request.body_mut() = Frames::new(["message"; 10]);
        assert_eq!(client.send(request).await.body.len(), 70);
        let mut request = grpc("/limited");
        request.headers_mut().insert("content-length", http::HeaderValue::from_static("70"));
        *request.body_mut() = Frames::new(["message"; 10]);
        assert_eq!(client.send(request).await.headers["grpc-status"], "8", "RESOURCE_EXHAUSTED");
    });
}
