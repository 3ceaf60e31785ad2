//! Bodies stream in both directions, keep their framing's promise and are absent where HTTP has none.

use std::sync::mpsc;
use std::time::Duration;

use crate::support::{FakeBackend, LIMIT, TestGateway};

#[test]
fn lengths_chunks_and_closes_all_carry_a_body() {
    let backend = FakeBackend::start(|connection| {
        while let Some(request) = connection.request() {
            match request.target() {
                "/length" => connection.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
                "/chunks" => connection
                    .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext\r\nlo\r\n0\r\n\r\n"),
                _ => {
                    connection.send("HTTP/1.1 200 OK\r\n\r\nhello");
                    return;
                }
            };
        }
    });
    let gateway = TestGateway::before(&backend);
    for target in ["/length", "/chunks", "/close"] {
        let response = gateway.get(target, "");
        assert_eq!((response.status, response.text().as_str(), response.complete), (200, "hello", true), "{target}");
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let backend = FakeBackend::answering(|request| match (request.method(), request.target()) {
        ("HEAD", _) => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\nx-kind: head\r\n\r\n".into(),
        (_, "/204") => "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n".into(),
        (_, "/304") => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncontent-length: 5\r\n\r\n".into(),
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response_to_head();
    assert_eq!(
        (response.status, response.get("content-length"), response.get("x-kind")),
        (200, Some("1234"), Some("head"))
    );
    client.send("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.get("transfer-encoding")), (204, None));
    assert_eq!(response.get("content-length"), None, "it promises what a 204 never has");
    client.send("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.get("etag")), (304, Some("\"1\"")));
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn body_of_a_get_is_not_lost() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for request in [
        "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        assert_eq!(gateway.exchange(request).status, 200);
        assert_eq!(backend.requests().last().expect("a request").body, b"hello", "{request}");
    }
}

#[test]
fn empty_post_keeps_its_length() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    gateway.exchange("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(backend.request().get("content-length"), Some("0"));
}

#[test]
fn request_body_reaches_the_backend_while_it_is_sent() {
    let (arrived, arrivals) = mpsc::channel();
    let backend = FakeBackend::start(move |connection| {
        if connection.head().is_none() {
            return;
        }
        while let Some(chunk) = connection.chunk() {
            let last = chunk.is_empty();
            let _ = arrived.send(chunk);
            if last {
                connection.ok("done");
                return;
            }
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for text in ["first", "other"] {
        client.send(format!("5\r\n{text}\r\n"));
        assert_eq!(arrivals.recv_timeout(LIMIT).expect("the chunk before the next is sent"), text.as_bytes());
    }
    assert_eq!(client.send("0\r\n\r\n").response().text(), "done");
}

#[test]
fn events_reach_the_client_as_they_happen() {
    let (next, wanted) = mpsc::channel::<()>();
    let wanted = std::sync::Mutex::new(wanted);
    let backend = FakeBackend::start(move |connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            connection.send(format!("{:x}\r\n{event}\r\n", event.len()));
            let _ = wanted.lock().expect("no other thread").recv_timeout(LIMIT);
        }
        connection.send("0\r\n\r\n");
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().get("content-type"), Some("text/event-stream"));
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        assert_eq!(client.chunk(), event.as_bytes());
        next.send(()).expect("the backend listens");
    }
    assert_eq!(client.chunk(), b"");
}

#[test]
fn trailers_reach_those_who_asked() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-checksum\r\n\r\n\
         5\r\nhello\r\n0\r\nx-checksum: 42\r\n\r\n"
            .into()
    });
    let gateway = TestGateway::before(&backend);
    let asked = gateway.get("/x", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!(asked.text(), "hello");
    assert_eq!(asked.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
    let other = gateway.get("/x", "");
    assert_eq!((other.text().as_str(), other.complete), ("hello", true));
    assert_eq!(other.trailers, []);
}

#[test]
fn trailers_of_a_request_reach_the_backend() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let response = gateway.exchange(
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n",
    );
    assert_eq!(response.status, 200);
    let request = backend.request();
    assert_eq!(request.body, b"hello");
    assert_eq!(request.trailers, [("x-checksum".to_owned(), "42".to_owned())]);
}

/// The connection ends behind such an answer, so the answer must say so: a client that kept it in a pool would
/// lose its next request.
#[test]
fn answer_during_an_upload_reaches_the_client_and_announces_the_end() {
    let backend = FakeBackend::start(|connection| {
        if connection.head().is_some() {
            connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
            // The rest of the upload is read, so that no reset overtakes the answer.
            connection.is_abandoned();
        }
    });
    let gateway = TestGateway::before(&backend);
    for framing in ["Content-Length: 1000000\r\n\r\nbeginning", "Transfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n"]
    {
        let mut client = gateway.client();
        let response = client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{framing}")).response();
        assert_eq!((response.status, response.text().as_str()), (403, "no"), "{framing}");
        assert_eq!(response.get("connection"), Some("close"), "{framing}");
        assert!(client.half_close().rest().is_empty());
    }
}

#[test]
fn small_rest_of_an_upload_is_read_for_the_next_request() {
    let backend = FakeBackend::start(|connection| {
        if connection.head().is_some() {
            connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
            connection.is_abandoned();
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let response = client.response();
    assert_eq!((response.status, response.get("connection")), (403, None));
    client.send("worldPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 403, "the request behind the rest is served");
}

/// A conversation over one chunked upload: silence within it is no fault once the answer is under way.
#[test]
fn upload_may_be_silent_while_its_answer_is_under_way() {
    let backend = FakeBackend::start(|connection| {
        if connection.head().is_none() {
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nready\r\n");
        while let Some(chunk) = connection.chunk() {
            let text = String::from_utf8_lossy(&chunk).into_owned();
            connection.send(format!("{:x}\r\n{text}\r\n", text.len()));
            if text.is_empty() {
                return;
            }
        }
    });
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 200ms}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().first_line, "HTTP/1.1 200 OK");
    assert_eq!(client.chunk(), b"ready");
    for word in ["hello", "again"] {
        assert!(client.is_silent_for(Duration::from_millis(500)), "the upload was cut");
        assert_eq!(client.send(format!("5\r\n{word}\r\n")).chunk(), word.as_bytes());
    }
    assert_eq!(client.send("0\r\n\r\n").chunk(), b"");
}

#[test]
fn nobody_waits_for_a_slow_reader_in_memory() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        let block = vec![b'x'; 1 << 20];
        while connection.send(&block) {}
    });
    let gateway = TestGateway::before(&backend);
    let before = gateway.memory();
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    // The backend could send hundreds of megabytes in this time if somebody took them.
    std::thread::sleep(Duration::from_millis(500));
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 30 << 20, "{grown} bytes more than before");
}

#[test]
fn two_gigabytes_pass_in_flat_memory() {
    const TOTAL: u64 = 2 << 30;
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {TOTAL}\r\n\r\n"));
        let block = vec![b'x'; 1 << 20];
        for _ in 0..TOTAL >> 20 {
            connection.send(&block);
        }
        connection.is_abandoned();
    });
    let gateway = TestGateway::before(&backend);
    let before = gateway.memory();
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.head().get("content-length"), Some("2147483648"));
    assert_eq!(client.drain(), TOTAL);
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 30 << 20, "{grown} bytes more than before");
}
