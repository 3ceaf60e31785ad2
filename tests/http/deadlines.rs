//! Clients that take their time: progress, not totals, decides (408), and idleness is no offence.

use std::time::{Duration, Instant};

use crate::support::{FakeBackend, RawClient, TestGateway};

fn impatient(backend: &FakeBackend) -> TestGateway {
    TestGateway::builder()
        .server("timeouts", "{header: 400ms, idle: 600ms, body: 400ms}")
        .backend("backend", backend)
        .open_route("backend")
        .start()
}

/// Sends a byte now and then until the gateway has had enough; fails if it never has.
fn drip_until_refused(client: &mut RawClient) {
    let begun = Instant::now();
    while client.is_silent_for(Duration::from_millis(50)) {
        client.send("a");
        assert!(begun.elapsed() < Duration::from_secs(3), "bytes keep an unfinished head alive");
    }
}

#[test]
fn unfinished_head_is_a_408() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    for beginning in ["G", "GET /x HTTP/1.1\r\n", "GET /x HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut client = gateway.client();
        let begun = Instant::now();
        let response = client.send(beginning).response();
        assert_eq!((response.status, response.problem().as_str()), (408, "request-timeout"), "{beginning:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(client.rest().is_empty());
    }
}

#[test]
fn dripping_does_not_prolong_a_head() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    drip_until_refused(&mut client);
    assert_eq!(client.response().status, 408);
}

#[test]
fn second_head_of_a_connection_has_the_same_limit() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    let mut client = gateway.client();
    assert_eq!(client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "/1");
    assert_eq!(client.send("GET /2 HT").response().status, 408);
}

#[test]
fn many_slow_heads_delay_nobody_else() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    let mut slow: Vec<_> = (0..200).map(|_| gateway.client()).collect();
    for client in &mut slow {
        client.send("GET /x HTTP/1.1\r\nX-Slow: ");
    }
    let begun = Instant::now();
    assert_eq!(gateway.get("/fast", "").text(), "/fast");
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    for client in &mut slow {
        assert_eq!(client.response().status, 408);
    }
}

#[test]
fn stalled_body_is_a_408() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    for beginning in [
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut client = gateway.client();
        let response = client.send(beginning).response();
        assert_eq!((response.status, response.problem().as_str()), (408, "request-timeout"), "{beginning:?}");
        assert!(client.rest().is_empty());
    }
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn slow_but_steady_upload_is_not_cut() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 1s}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    for _ in 0..6 {
        assert!(client.is_silent_for(Duration::from_millis(250)), "the upload was cut");
        client.send("a");
    }
    assert_eq!(client.response().status, 200);
    assert_eq!(backend.request().body, b"aaaaaa");
}

#[test]
fn idle_connection_is_closed_without_a_word() {
    let backend = FakeBackend::echoing();
    let gateway = impatient(&backend);
    let mut used = gateway.client();
    assert_eq!(used.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    assert!(used.rest().is_empty());
    assert!(gateway.client().rest().is_empty(), "not even a first byte");
}

#[test]
fn backend_that_takes_its_time_is_not_the_clients_fault() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        std::thread::sleep(Duration::from_millis(900));
        connection.ok("late");
    });
    let gateway = impatient(&backend);
    assert_eq!(gateway.get("/x", "").text(), "late");
}

#[test]
fn client_that_takes_nothing_of_its_answer_is_given_up() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while connection.send(vec![b'x'; 1 << 16]) {}
    });
    let gateway = TestGateway::builder()
        .server("timeouts", "{answer: 400ms}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut client = gateway.client();
    client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    backend.await_ended(1);
    assert!(client.drain() < 1_000_000_000);
}
