//! HTTP/2 clients that dawdle, vanish or break the rules: each loses what is its own, and nobody else's.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::support::h2::{Frames, H2Client, StreamedBody, run};
use crate::support::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FramePeer, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE, frame, request,
    settings,
};
use crate::support::{FakeBackend, TestGateway, eventually};

/// The settings with which a client gives no room for answers.
const NO_ROOM: (u16, u32) = (4, 0);

fn before(backend: &FakeBackend, timeouts: &str) -> TestGateway {
    TestGateway::builder().server("timeouts", timeouts).backend("backend", backend).open_route("backend").start()
}

/// Answers without end, except `/small`.
fn endless() -> FakeBackend {
    FakeBackend::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/small" {
                connection.ok("small");
                continue;
            }
            connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
            while connection.send(vec![b'x'; 1 << 16]) {}
            return;
        }
    })
}

/// Clients that opened windows of nothing once held a backend's connection a stream for ever.
#[test]
fn answers_that_a_client_has_no_room_for_are_given_up_one_by_one() {
    let backend = endless();
    let gateway = before(&backend, "{answer: 400ms}");
    let mut client = FramePeer::greeting(gateway.address, &[NO_ROOM]);
    let begun = Instant::now();
    for number in 0..20 {
        client.get(1 + 2 * number, "/endless");
    }
    for _ in 0..20 {
        assert_eq!(client.until(RST_STREAM).number(), 8, "CANCEL");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    backend.await_ended(20);
    client.send(settings(&[(4, 1 << 16)])).get(101, "/small");
    assert_eq!(client.answer(101), (Some(200), b"small".to_vec()), "the connection goes on");
}

#[test]
fn answer_that_is_taken_little_by_little_goes_on() {
    let backend = endless();
    let gateway = before(&backend, "{answer: 400ms}");
    let mut client = FramePeer::greeting(gateway.address, &[NO_ROOM]);
    client.get(1, "/endless");
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(200));
        client.send(frame(WINDOW_UPDATE, 0, 1, 1_u32.to_be_bytes()));
        assert_eq!(client.until(DATA).payload.len(), 1);
    }
    assert_eq!(client.until(RST_STREAM).number(), 8);
}

/// Such connections once lived as long as another stream of theirs did, or for the idle limit.
#[test]
fn what_a_client_begins_it_must_finish() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.is_abandoned();
    });
    let gateway = before(&backend, "{header: 400ms}");
    let section = request("GET", "/x", &[]);
    let unfinished = frame(HEADERS, END_STREAM, 3, &section[..20]);
    let half_a_frame = frame(HEADERS, END_STREAM | END_HEADERS, 3, section.clone());
    for (what, last) in [("section", &unfinished[..]), ("frame", &half_a_frame[..30]), ("greeting", &[])] {
        let mut client = FramePeer::silent(gateway.address);
        client.send_preface();
        if what != "greeting" {
            client.send(settings(&[])).get(1, "/slow").send(last);
        }
        let closed = client.closed_after();
        assert!((350..2000).contains(&closed.as_millis()), "{what}: {closed:?}");
    }
}

#[test]
fn dripping_does_not_prolong_a_header_section() {
    let backend = FakeBackend::echoing();
    let gateway = before(&backend, "{header: 400ms}");
    let mut client = FramePeer::greeting(gateway.address, &[]);
    let section = request("GET", "/x", &[]);
    let begun = Instant::now();
    client.send(frame(HEADERS, END_STREAM, 1, &section[..1]));
    for piece in section[1..5].chunks(1) {
        std::thread::sleep(Duration::from_millis(150));
        client.send(frame(CONTINUATION, 0, 1, piece));
    }
    client.closed_after();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn client_that_has_nothing_to_say_is_left_alone() {
    let backend = FakeBackend::echoing();
    let gateway = before(&backend, "{header: 200ms}");
    let mut client = FramePeer::greeting(gateway.address, &[]);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(client.get(1, "/x").answer(1), (Some(200), b"/x".to_vec()));
    std::thread::sleep(Duration::from_millis(600));
    assert!(client.is_alive());
}

/// The library asks with a ping whether its GOAWAY was read; without an answer the connection once stayed.
#[test]
fn idle_client_that_does_not_hear_that_it_should_go_is_cut() {
    let backend = FakeBackend::echoing();
    let gateway = before(&backend, "{idle: 300ms, answer: 300ms}");
    let mut client = FramePeer::greeting(gateway.address, &[]);
    assert_eq!(client.get(1, "/x").answer(1).0, Some(200));
    let begun = Instant::now();
    assert_eq!(client.until(GOAWAY).number(), 0, "NO_ERROR");
    client.closed_after();
    assert!((500..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn reset_upload_never_looks_whole() {
    let backend = FakeBackend::start(|connection| {
        assert!(connection.request().is_none(), "half a body passed for a whole one");
    });
    let gateway = TestGateway::before(&backend);
    let mut client = FramePeer::greeting(gateway.address, &[]);
    for (stream, reason) in [(1_u32, 0_u32), (3, 8)] {
        client.send(frame(HEADERS, END_HEADERS, stream, request("POST", "/x", &[])));
        client.send(frame(DATA, 0, stream, *b"half"));
        eventually("the upload begins", || backend.connections() == usize::try_from(stream / 2 + 1).expect("small"));
        client.send(frame(RST_STREAM, 0, stream, reason.to_be_bytes()));
    }
    backend.await_ended(2);
    assert!(client.is_alive());
}

/// The answer and the end of the upload once came without each other.
#[test]
fn early_answer_ends_the_upload_and_spares_the_connection() {
    let backend = FakeBackend::start(|connection| {
        while let Some(head) = connection.head() {
            if head.first_line.starts_with("GET") {
                connection.ok("next");
            } else {
                connection.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
                return;
            }
        }
    });
    let gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        // More than the connection's window in all: what nobody reads must be given back.
        for _ in 0..40 {
            let (sender, body) = StreamedBody::new();
            sender.send(Bytes::from(vec![b'x'; 60 << 10])).expect("a first piece");
            let mut answer = client.begin(Request::post("http://a/x").body(body).expect("a request")).await;
            assert_eq!((answer.status, answer.data().await), (StatusCode::FORBIDDEN, Some(Bytes::from_static(b"no"))));
            assert_eq!(answer.data().await, None, "the answer is whole");
            sender.closed().await;
        }
        let next = Request::get("http://a/next").body(Frames::default()).expect("a request");
        assert_eq!(client.send(next).await.text(), "next");
    });
}

/// The library's own bound on small frames once broke such connections off.
#[test]
fn burst_of_small_messages_is_no_attack() {
    let backend = FakeBackend::answering(|request| {
        let length = request.body.len().to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{length}", length.len())
    });
    let gateway = TestGateway::before(&backend);
    let mut client = FramePeer::greeting(gateway.address, &[]);
    let mut burst = frame(HEADERS, END_HEADERS, 1, request("POST", "/x", &[]));
    for _ in 0..10_000 {
        burst.extend_from_slice(&frame(DATA, 0, 1, *b"m"));
    }
    burst.extend_from_slice(&frame(DATA, END_STREAM, 1, *b""));
    assert_eq!(client.send(burst).answer(1), (Some(200), b"10000".to_vec()));
}

#[test]
fn heads_are_judged_as_on_http1() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    run(async {
        let mut client = H2Client::connect(gateway.address).await;
        for (name, value, status) in [("expect", "foo", 417), ("x-padded", " a", 400), ("x-padded", "a\t", 400)] {
            let request = Request::post("http://a/x").header(name, value).body(Frames::default()).expect("a request");
            let answer = client.send(request).await;
            assert_eq!(answer.status.as_u16(), status, "{name}: {value:?}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        let tunnel = Request::builder().method("CONNECT").uri("a:80").body(Frames::default()).expect("a request");
        let answer = client.send(tunnel).await;
        assert_eq!((answer.status, answer.headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, &b""[..]));
    });
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn fragment_reaches_no_backend() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let mut client = FramePeer::greeting(gateway.address, &[]);
    assert_eq!(client.get(1, "/a#b").answer(1), (Some(200), b"/a".to_vec()));
    assert_eq!(backend.request().target(), "/a");
}

#[test]
fn options_of_the_whole_server_are_answered_by_the_gateway() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let mut client = FramePeer::greeting(gateway.address, &[]);
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("OPTIONS", "*", &[])));
    assert_eq!(client.answer(1), (Some(204), Vec::new()));
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, request("GET", "*", &[])));
    assert_eq!(client.answer(3).0, Some(400), "only OPTIONS has that form");
    let response = gateway.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((response.status, response.get("transfer-encoding")), (204, None));
    assert_eq!(backend.requests().len(), 0);
}
