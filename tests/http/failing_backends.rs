//! Backends that refuse, hang, reset, lie or give up: each has its status, and none poisons the next answer.

use std::time::{Duration, Instant};

use crate::support::{FakeBackend, TestGateway, full_backlog, refusing_port};

fn before(backend: &FakeBackend, more: &str) -> TestGateway {
    TestGateway::builder().backend_with("backend", &[backend.address], more).open_route("backend").start()
}

#[test]
fn refused_connection_is_a_502() {
    let gateway = TestGateway::builder().backend_with("backend", &[refusing_port()], "").open_route("backend").start();
    for method in ["GET", "POST"] {
        let response = gateway.exchange(format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-unreachable"));
    }
}

#[test]
fn refused_connection_goes_to_another_endpoint_at_once() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .backend_with("backend", &[refusing_port(), backend.address, refusing_port()], "")
        .open_route("backend")
        .start();
    for number in 0..30 {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        let response =
            gateway.exchange(format!("{method} /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"));
        assert_eq!((response.status, response.text()), (200, format!("/{number}")));
    }
    assert_eq!(backend.requests().len(), 30);
}

#[test]
fn connection_that_never_comes_is_given_up() {
    let (address, _listener, _waiting) = full_backlog();
    let gateway = TestGateway::builder()
        .backend_with("backend", &[address], ", timeouts: {connect: 200ms}")
        .open_route("backend")
        .start();
    let begun = Instant::now();
    let response = gateway.get("/x", "");
    assert!([502, 504].contains(&response.status), "{}", response.status);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    response.problem();
}

/// Each endpoint once had the whole time to connect, however little the request had left.
#[test]
fn time_for_the_request_is_not_exceeded_by_connecting() {
    let (first, _listener, _waiting) = full_backlog();
    let (second, _listener, _waiting) = full_backlog();
    for protocol in ["http1", "h2"] {
        let gateway = TestGateway::builder()
            .backend_with(
                "backend",
                &[first, second],
                &format!(", protocol: {protocol}, timeouts: {{connect: 4s, request: 300ms}}"),
            )
            .open_route("backend")
            .start();
        let begun = Instant::now();
        assert_eq!(gateway.get("/x", "").status, 504);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[test]
fn silent_backend_is_a_504_and_is_left_alone() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        assert!(connection.is_abandoned());
    });
    let gateway = before(&backend, ", timeouts: {response: 200ms}");
    let begun = Instant::now();
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.problem().as_str()), (504, "upstream-timeout"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    backend.await_ended(1);
    assert_eq!(backend.requests().len(), 1, "a time-out is no proof that nothing happened");
}

#[test]
fn close_or_reset_before_an_answer_is_a_502_without_another_try() {
    for resets in [false, true] {
        let backend = FakeBackend::start(move |connection| {
            connection.request();
            if resets {
                connection.reset();
            }
        });
        let gateway = TestGateway::before(&backend);
        for method in ["GET", "POST"] {
            let before = backend.requests().len();
            let response = gateway.exchange(format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!((response.status, response.problem().as_str()), (502, "upstream-closed"), "{method}");
            assert_eq!(backend.requests().len(), before + 1, "a fresh connection proves nothing");
        }
    }
}

#[test]
fn answers_that_are_not_http_are_a_502_and_their_connection_is_dropped() {
    for answer in [
        "what?\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\nx-a: b\r\n\r\nok",
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nx-folded: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx-nul: a\0b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx-space : a\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let backend = FakeBackend::start(move |connection| {
            while let Some(request) = connection.request() {
                if request.target() == "/bad" {
                    connection.send(answer);
                } else {
                    connection.ok("good");
                }
            }
        });
        let gateway = TestGateway::before(&backend);
        let response = gateway.get("/bad", "");
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-invalid"), "{answer:?}");
        assert_eq!(gateway.get("/good", "").text(), "good", "after {answer:?}");
        assert_eq!(backend.connections(), 2, "{answer:?}: the connection was used again");
    }
}

#[test]
fn endless_head_of_an_answer_is_cut_off() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\n");
        while connection
            .send("x-endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100))
        {
        }
    });
    let gateway = TestGateway::before(&backend);
    assert_eq!(gateway.get("/x", "").status, 502);
    backend.await_ended(1);
}

#[test]
fn body_that_ends_early_is_not_made_to_look_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nwhat\r\n",
    ] {
        let backend = FakeBackend::answering_once(answer);
        let gateway = TestGateway::before(&backend);
        let mut client = gateway.client();
        let response = client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response();
        assert_eq!((response.status, response.complete), (200, false), "{answer:?}");
        assert!(client.rest().is_empty(), "{answer:?}: nothing may follow");
    }
}

/// To HTTP/1.0 an end of the connection is the end of an answer without a length.
#[test]
fn body_that_ends_early_is_a_reset_to_an_old_client() {
    for (rest, whole) in [("5\r\nhello\r\n0\r\n\r\n", true), ("5\r\nhello\r\n", false), ("50\r\nhello", false)] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{rest}");
        let backend = FakeBackend::answering_once(answer);
        let gateway = TestGateway::before(&backend);
        let mut client = gateway.client();
        assert_eq!(client.send("GET /x HTTP/1.0\r\nHost: a\r\n\r\n").ends_with_reset(), !whole, "{rest:?}");
    }
}

#[test]
fn request_as_a_whole_has_a_limit() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        for _ in 0..200 {
            if !connection.send("drip") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the request was not cut off");
    });
    let gateway = before(&backend, ", timeouts: {request: 400ms}");
    let begun = Instant::now();
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.complete), (200, false));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    backend.await_ended(1);
}

#[test]
fn stream_is_limited_by_silence_only() {
    let backend = FakeBackend::start(|connection| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.request();
        connection.send(head);
        for _ in 0..8 {
            connection.send("5\r\nevent\r\n");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(connection.is_abandoned());
    });
    let gateway = before(&backend, ", timeouts: {request: 300ms, idle: 400ms}");
    let begun = Instant::now();
    let response = gateway.get("/x", "");
    assert_eq!((response.text(), response.complete), ("event".repeat(8), false));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    backend.await_ended(1);
}

#[test]
fn route_may_override_the_timeouts() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.is_abandoned();
    });
    let gateway = TestGateway::builder()
        .backend("backend", &backend)
        .route(r#"{name: quick, path: "/quick", auth: none, backend: backend, timeouts: {response: 200ms}}"#)
        .start();
    let begun = Instant::now();
    assert_eq!(gateway.get("/quick", "").status, 504);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn try_after_a_bad_answer_sends_the_whole_body_again() {
    let backend = FakeBackend::start(|connection| {
        while connection.request().is_some() {
            if connection.number == 1 {
                connection.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy");
                return;
            }
            connection.ok("done");
        }
    });
    let gateway = TestGateway::builder()
        .backend("backend", &backend)
        .route(r#"{name: all, path: "/{*rest}", auth: none, backend: backend, retries: 1}"#)
        .start();
    let response = gateway.exchange("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((response.status, response.text().as_str()), (200, "done"));
    assert!(backend.requests().iter().all(|request| request.body == b"hello"));
}
