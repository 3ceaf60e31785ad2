//! Backend connections: reused when sound, never shared by two answers, never trusted after a race was lost.

use std::sync::mpsc;

use crate::support::{FakeBackend, LIMIT, TestGateway, eventually};

#[test]
fn sound_connection_is_used_again() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("/{number}"), "").text(), format!("/{number}"));
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn connection_that_the_backend_closes_is_not_used_again() {
    let backend = FakeBackend::start(|connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
            // Closing late shows that the announcement counts, not the FIN.
            connection.is_abandoned();
        }
    });
    let gateway = TestGateway::before(&backend);
    for _ in 0..3 {
        let response = gateway.get("/x", "");
        assert_eq!((response.status, response.get("connection")), (200, None));
    }
    assert_eq!(backend.connections(), 3);
}

/// Answers the first request of each connection and closes at the second: the race that every pool loses now and then.
fn closing_at_the_second() -> FakeBackend {
    FakeBackend::start(|connection| {
        if connection.number > 1 {
            while connection.request().is_some() {
                connection.ok("again");
            }
        } else if connection.request().is_some() {
            connection.ok("first");
            connection.request();
        }
    })
}

#[test]
fn idempotent_request_that_lost_the_race_is_sent_again() {
    let backend = closing_at_the_second();
    let gateway = TestGateway::before(&backend);
    assert_eq!(gateway.get("/x", "").text(), "first");
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.text().as_str()), (200, "again"));
    assert_eq!(backend.requests().len(), 3);
}

#[test]
fn idempotent_request_with_a_body_is_sent_again_whole() {
    let backend = closing_at_the_second();
    let gateway = TestGateway::before(&backend);
    gateway.get("/x", "");
    let response = gateway.exchange("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    // A body that can't be replayed may also be given up, but never sent in part.
    assert!([200, 502].contains(&response.status), "{}", response.status);
    for request in backend.requests().iter().filter(|request| request.method() == "PUT") {
        assert_eq!(request.body, b"hello");
    }
}

#[test]
fn other_request_that_lost_the_race_is_not_sent_again() {
    let backend = closing_at_the_second();
    let gateway = TestGateway::before(&backend);
    gateway.get("/x", "");
    let response = gateway.exchange("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((response.status, response.problem().as_str()), (502, "upstream-closed"));
    assert_eq!(backend.requests().iter().filter(|request| request.method() == "POST").count(), 1);
}

#[test]
fn connection_closed_while_idle_costs_nobody_anything() {
    let (close, closing) = mpsc::channel::<()>();
    let closing = std::sync::Mutex::new(closing);
    let backend = FakeBackend::start(move |connection| {
        connection.request();
        connection.ok("ok");
        let _ = closing.lock().expect("no other thread").recv_timeout(LIMIT);
    });
    let gateway = TestGateway::before(&backend);
    assert_eq!(gateway.get("/x", "").status, 200);
    close.send(()).expect("the backend listens");
    backend.await_ended(1);
    close.send(()).expect("the backend listens");
    let response = gateway.exchange("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    // The FIN is on its way when the POST comes; a gateway that has not seen it yet may lose the race, and must say so.
    assert!([200, 502].contains(&response.status), "{}", response.status);
}

#[test]
fn bytes_that_no_request_asked_for_are_never_an_answer() {
    for surplus in [
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        "surplus",
    ] {
        let (sent, waiting) = mpsc::channel::<()>();
        let backend = FakeBackend::start(move |connection| {
            if connection.number > 1 {
                connection.request();
                connection.ok("own");
            } else if connection.request().is_some() {
                connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst{surplus}"));
                let _ = sent.send(());
                connection.is_abandoned();
            }
        });
        let gateway = TestGateway::before(&backend);
        assert_eq!(gateway.get("/1", "").text(), "first");
        waiting.recv_timeout(LIMIT).expect("the surplus is sent");
        let response = gateway.get("/2", "");
        assert_eq!((response.status, response.text().as_str()), (200, "own"), "{surplus:?}");
    }
}

#[test]
fn answer_left_half_read_is_not_continued_for_somebody_else() {
    let backend = FakeBackend::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/large" {
                connection.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\nbeginning");
            } else {
                connection.ok("own");
            }
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").head();
    client.reset();
    assert_eq!(gateway.get("/x", "").text(), "own");
    backend.await_ended(1);
}

#[test]
fn backend_at_its_limit_is_spared() {
    let (finish, finishing) = mpsc::channel::<()>();
    let finishing = std::sync::Mutex::new(finishing);
    let backend = FakeBackend::start(move |connection| {
        while connection.request().is_some() {
            let _ = finishing.lock().expect("a turn").recv_timeout(LIMIT);
            connection.ok("done");
        }
    });
    let gateway = TestGateway::builder()
        .backend_with("backend", &[backend.address], ", max_in_flight: 2")
        .open_route("backend")
        .start();
    let mut busy: Vec<_> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut busy {
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("two requests are under way", || backend.requests().len() == 2);
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.problem().as_str()), (503, "upstream-busy"));
    assert!(response.get("retry-after").is_some());
    for _ in &busy {
        finish.send(()).expect("the backend listens");
    }
    for client in &mut busy {
        assert_eq!(client.response().text(), "done");
    }
    finish.send(()).expect("the backend listens");
    assert_eq!(gateway.get("/x", "").text(), "done");
}

#[test]
fn load_is_spread_over_endpoints() {
    let backends = [FakeBackend::echoing(), FakeBackend::echoing()];
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let gateway = TestGateway::builder().backend_with("backend", &addresses, "").open_route("backend").start();
    for _ in 0..60 {
        assert_eq!(gateway.get("/x", "").status, 200);
    }
    for backend in &backends {
        assert!(backend.requests().len() >= 10, "{} of 60", backend.requests().len());
    }
}
