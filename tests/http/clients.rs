//! Clients that vanish, crowd or speak another language.

use std::sync::mpsc;
use std::time::Duration;

use crate::support::{FakeBackend, LIMIT, TestGateway, eventually};

#[test]
fn client_that_vanishes_cancels_its_request() {
    let backend = FakeBackend::start(|connection| {
        if connection.request().is_some_and(|request| request.target() == "/plain") {
            connection.ok("plain");
        }
        assert!(connection.is_abandoned());
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request arrives", || backend.requests().len() == 1);
    client.reset();
    backend.await_ended(1);
    assert_eq!(gateway.get("/plain", "").text(), "plain");
}

#[test]
fn client_that_vanishes_while_reading_cancels_the_rest() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while connection.send(vec![b'x'; 1 << 20]) {}
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").head();
    client.reset();
    backend.await_ended(1);
}

#[test]
fn client_that_vanishes_while_sending_ends_the_request() {
    let backend = FakeBackend::start(|connection| {
        assert!(connection.request().is_none(), "the request never became whole");
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbeginning");
    eventually("the request begins", || backend.connections() == 1);
    client.reset();
    backend.await_ended(1);
}

#[test]
fn client_that_said_it_would_close_is_not_waited_for() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for request in [
        "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /last HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let mut client = gateway.client();
        assert_eq!(client.send(request).response().text(), "/last");
        assert!(client.rest().is_empty());
        eventually("what it sends is refused", || client.is_refused());
    }
}

#[test]
fn client_whose_head_is_refused_may_go_on_sending_and_reads_why() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    assert_eq!(client.response().status, 501);
    assert!(client.rest().is_empty());
    for _ in 0..20 {
        assert!(!client.is_refused());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn hundreds_of_idle_connections_disturb_nobody() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let mut idle: Vec<_> = (0..600).map(|_| gateway.client()).collect();
    for client in idle.iter_mut().take(300) {
        assert_eq!(client.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "/idle");
    }
    for _ in 0..20 {
        assert_eq!(gateway.get("/x", "").text(), "/x");
    }
    for client in &mut idle {
        assert_eq!(client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "/late");
    }
}

#[test]
fn garbage_is_answered_once_and_closed() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let noise: Vec<u8> = (0..4096_u32).map(|number| u8::try_from(number * 131 % 251).expect("a byte")).collect();
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &noise, b"\0\0\0\0\r\n\r\n", b"EHLO mail\r\n\r\n"]
    {
        let mut client = gateway.client();
        client.send(bytes).send("\r\n\r\n").half_close();
        let answer = client.rest();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(gateway.get("/x", "").text(), "/x");
    assert_eq!(backend.requests().len(), 1);
}

/// An answer in HTTP/1's words would be noise to whoever speaks another protocol.
#[test]
fn request_line_of_another_protocol_is_not_answered() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for bytes in ["INVALID CONNECTION PREFACE\r\n\r\n", "OPTIONS sip:shop.example SIP/2.0\r\nTo: a\r\n\r\n"] {
        assert_eq!(gateway.client().send(bytes).rest(), b"", "{bytes:?}");
    }
    assert_eq!(gateway.get("/x", "").text(), "/x");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn tls_on_the_plain_port_does_not_hang() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("timeouts", "{header: 500ms}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut client = gateway.client();
    let mut hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03".to_vec();
    hello.resize(205, 0x2a);
    client.send(hello).limit(Duration::from_secs(3)).rest();
}

#[test]
fn half_a_preface_is_no_second_protocol() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for bytes in ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = gateway.client();
        let answer = client.send(bytes).half_close().rest();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 505"));
    }
    assert_eq!(gateway.exchange("PROPFIND /x HTTP/1.1\r\nHost: a\r\n\r\n").text(), "/x");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn connections_past_the_limit_wait_for_a_place() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("max_connections", "3")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut served: Vec<_> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut served {
        assert_eq!(client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    }
    let mut waiting = gateway.client();
    waiting.send("GET /waited HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(waiting.is_silent_for(Duration::from_millis(200)));
    assert!(gateway.metric("figway_accept_pauses_total") >= 1.0);
    served.pop();
    assert_eq!(waiting.response().text(), "/waited");
}

#[test]
fn simultaneous_requests_get_their_own_answers() {
    let backend = FakeBackend::echoing();
    let gateway =
        TestGateway::builder().server("threads", "2").backend("backend", &backend).open_route("backend").start();
    let (done, finished) = mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (gateway, done) = (&gateway, done.clone());
            scope.spawn(move || {
                let mut client = gateway.client();
                for round in 0..25 {
                    let target = format!("/{number}/{round}");
                    let response = client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).response();
                    done.send((target, response.text())).expect("the test listens");
                }
            });
        }
        for _ in 0..16 * 25 {
            let (target, text) = finished.recv_timeout(LIMIT).expect("an answer");
            assert_eq!(target, text);
        }
    });
}
