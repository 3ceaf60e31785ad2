//! Interim answers and `Expect` (RFC 9110 sections 10.1.1 and 15.2).

use std::time::Duration;

use crate::support::{FakeBackend, TestGateway};

const EXPECTING: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn backend_that_says_continue_gets_the_body() {
    let backend = FakeBackend::start(|connection| {
        let Some(head) = connection.head() else { return };
        assert_eq!(head.get("expect"), Some("100-continue"));
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = connection.exactly(5).unwrap_or_default();
        connection.ok(&String::from_utf8_lossy(&body));
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    assert!(client.send(EXPECTING).head().first_line.starts_with("HTTP/1.1 100"));
    let response = client.send("hello").response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(response.interim.len(), 0, "continue is said once");
}

#[test]
fn backend_that_refuses_at_once_spares_the_upload() {
    for status in ["401 Unauthorized", "417 Expectation Failed", "413 Content Too Large"] {
        let backend = FakeBackend::start(move |connection| {
            if connection.head().is_some() {
                connection.send(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno"));
                connection.is_abandoned();
            }
        });
        let gateway = TestGateway::before(&backend);
        let response = gateway.exchange(EXPECTING);
        assert_eq!((response.status.to_string().as_str(), response.text().as_str()), (&status[..3], "no"));
        assert_eq!(response.interim.len(), 0, "nobody asked for the body");
    }
}

/// A client that holds its body back as it may is not too slow: it is the backend that says nothing.
#[test]
fn backend_that_never_says_continue_is_a_504() {
    let backend = FakeBackend::start(|connection| {
        connection.head();
        connection.is_abandoned();
    });
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 100ms}")
        .backend_with("backend", &[backend.address], ", timeouts: {response: 400ms}")
        .open_route("backend")
        .start();
    let mut client = gateway.client();
    let response = client.send(EXPECTING).response();
    assert_eq!((response.status, response.problem().as_str()), (504, "upstream-timeout"));
    assert_eq!(response.get("connection"), Some("close"), "the body may still come, and is no request");
    assert!(client.rest().is_empty());
}

#[test]
fn client_that_does_not_wait_is_served_all_the_same() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let response = gateway.exchange(format!("{EXPECTING}hello"));
    assert_eq!(response.status, 200);
    assert_eq!(backend.request().body, b"hello");
}

#[test]
fn unknown_expectations_are_refused() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for value in ["200-ok", "100-continue, more", "a pony"] {
        let response = gateway.get("/x", &format!("Expect: {value}\r\n"));
        assert_eq!((response.status, response.problem().as_str()), (417, "expectation-failed"), "{value}");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn early_hints_reach_the_client_before_the_answer() {
    let backend = FakeBackend::start(|connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
            std::thread::sleep(Duration::from_millis(20));
            connection.ok("done");
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response();
        assert_eq!((response.status, response.text().as_str()), (200, "done"));
        assert_eq!(response.interim.len(), 1);
        assert_eq!(response.interim[0].first_line.split(' ').nth(1), Some("103"));
        assert_eq!(response.interim[0].get("link"), Some("</a.css>; rel=preload"));
    }
}

#[test]
fn old_clients_get_no_interim_answers() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into()
    });
    let gateway = TestGateway::before(&backend);
    let response = gateway.exchange("GET /x HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((response.status, response.interim.len()), (200, 0));
}

#[test]
fn floods_of_interim_answers_are_cut_off() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        while connection.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n".repeat(100)) {}
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    let response = client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.status, response.problem().as_str()), (502, "upstream-invalid"));
    assert!(response.interim.len() < 1_000, "{}", response.interim.len());
    backend.await_ended(1);
}
