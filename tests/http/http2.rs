//! HTTP/2 without TLS by prior knowledge, from clients and to backends.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::support::h2::{Frames, H2Backend, H2Client, StreamedBody, run};
use crate::support::{FakeBackend, RawClient, TestGateway, eventually};

fn before_h2(backend: &H2Backend) -> TestGateway {
    TestGateway::builder().backend_with("backend", &[backend.address], ", protocol: h2").open_route("backend").start()
}

#[test]
fn request_reads_the_same_to_the_backend_as_over_http1() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let request = Request::get("http://shop.example:81/a//b/%7ec?q=%2f")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-kept", "yes")
            .header("x-user_id", "kept as it is")
            .body(Frames::default())
            .expect("a request");
        let answer = client.send(request).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "/a/b/~c?q=%2f"));
        assert!(answer.headers.contains_key("x-request-id"));
    });
    let request = backend.request();
    assert_eq!(request.head.first_line, "GET /a/b/~c?q=%2f HTTP/1.1");
    assert_eq!(request.get("host"), Some("shop.example:81"));
    assert_eq!(request.get("cookie"), Some("a=1; b=2"), "crumbs are joined (RFC 9113 section 8.2.3)");
    assert_eq!(request.get("x-forwarded-host"), Some("shop.example:81"));
    assert_eq!(request.get("x-kept"), Some("yes"));
}

#[test]
fn bodies_of_known_and_unknown_length_arrive_whole() {
    let backend = FakeBackend::answering(|request| {
        let length = request.body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{length}", length.to_string().len())
    });
    let gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let block = "x".repeat(100_000);
        let streamed = Request::post("http://a/x").body(Frames::new([block.as_str(); 10])).expect("a request");
        assert_eq!(client.send(streamed).await.text(), "1000000");
        let measured = Request::post("http://a/x")
            .header("content-length", "100000")
            .body(Frames::new([block.as_str()]))
            .expect("a request");
        assert_eq!(client.send(measured).await.text(), "100000");
    });
}

#[test]
fn body_streams_both_ways_at_once() {
    let backend = H2Backend::start();
    let gateway = before_h2(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let (sender, body) = StreamedBody::new();
        let request = Request::post("http://a/echo").body(body).expect("a request");
        let mut answer = client.begin(request).await;
        for text in ["one", "two", "three"] {
            sender.send(Bytes::from_static(text.as_bytes())).expect("the gateway reads");
            assert_eq!(answer.data().await, Some(Bytes::from_static(text.as_bytes())));
        }
        drop(sender);
        assert_eq!(answer.data().await, None);
    });
}

#[test]
fn many_streams_share_a_connection_and_get_their_own_answers() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    run(async {
        let client = H2Client::connect(gateway.address).await;
        let mut answers = tokio::task::JoinSet::new();
        for number in 0..200 {
            let mut client = client.clone();
            answers.spawn(async move {
                let path = format!("/{number}");
                let request = Request::get(format!("http://a{path}")).body(Frames::default()).expect("a request");
                (client.send(request).await.text(), path)
            });
        }
        while let Some(answer) = answers.join_next().await {
            let (text, path) = answer.expect("no panic");
            assert_eq!(text, path);
        }
    });
}

/// An h2 answer that ends with its head once reached HTTP/1 clients without a length: they waited for
/// its body, and took the next answer for it.
#[test]
fn empty_answer_of_an_h2_backend_has_a_length_for_http1_clients() {
    let backend = H2Backend::start();
    let gateway = before_h2(&backend);
    let mut client = RawClient::connect(gateway.address);
    client.send("GET /empty HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    let empty = client.response();
    assert_eq!((empty.get("content-length"), empty.text().as_str()), (Some("0"), ""));
    assert_eq!(client.response().text(), "abc");
}

#[test]
fn http1_client_reaches_an_h2_backend() {
    let backend = H2Backend::start();
    let gateway = before_h2(&backend);
    let response = gateway.exchange("POST /echo HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(response.get("x-saw-authority"), Some("shop.example"));
    for _ in 0..10 {
        assert_eq!(gateway.get("/echo", "").status, 200);
    }
    assert_eq!(backend.connections(), 1, "streams share a connection");
}

/// It was said to be the backend's fault.
#[test]
fn what_http2_can_t_say_is_escaped_or_the_clients_fault() {
    let backend = H2Backend::start();
    let gateway = before_h2(&backend);
    let response = gateway.get("/echo?q=\"<b>\"&r={|}^`[]'\\%3c", "");
    assert_eq!((response.status, response.get("x-saw-query")), (200, Some("q=%22%3Cb%3E%22&r={|}^`[]'\\%3c")));
    let response = gateway.exchange("GET /echo HTTP/1.1\r\nHost: a%20b\r\n\r\n");
    assert_eq!((response.status, response.problem().as_str()), (400, "invalid-host"));
    let errors = gateway.metric("figway_upstream_errors_total");
    assert!(errors < 0.5, "{errors}");
}

#[test]
fn stream_that_is_reset_cancels_its_request_only() {
    let backend = FakeBackend::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/slow" {
                assert!(connection.is_abandoned());
                return;
            }
            connection.ok("other");
        }
    });
    let gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let request = Request::get("http://a/slow").body(Frames::default()).expect("a request");
        let slow = tokio::time::timeout(Duration::from_millis(300), client.clone().send_owned(request));
        assert!(slow.await.is_err(), "not answered before it was given up");
        let other = Request::get("http://a/other").body(Frames::default()).expect("a request");
        assert_eq!(client.send(other).await.text(), "other");
    });
    backend.await_ended(1);
}

#[test]
fn body_limit_holds_on_streams() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("limits", "{body: 10B}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let request = Request::post("http://a/x").body(Frames::new(["hello", " world"])).expect("a request");
        let answer = client.send(request).await;
        assert_eq!(
            (answer.status, answer.headers["x-figway-error"].as_bytes()),
            (StatusCode::PAYLOAD_TOO_LARGE, &b"body-too-large"[..])
        );
    });
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn idle_connection_is_closed_in_the_end() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("timeouts", "{idle: 300ms}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let request = Request::get("http://a/x").body(Frames::default()).expect("a request");
        assert_eq!(client.send(request).await.status, StatusCode::OK);
        client.closed().await;
    });
}

#[test]
fn streams_under_way_survive_the_drain() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        std::thread::sleep(Duration::from_millis(400));
        connection.ok("late");
    });
    let mut gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        let request = Request::get("http://a/x").body(Frames::default()).expect("a request");
        let under_way = tokio::spawn(client.clone().send_owned(request));
        tokio::task::yield_now().await;
        while backend.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gateway.signal("TERM");
        assert_eq!(under_way.await.expect("no panic").text(), "late");
        client.closed().await;
    });
    assert_eq!(gateway.await_exit().code(), Some(0));
    eventually("nobody listens any more", || std::net::TcpStream::connect(gateway.address).is_err());
}
