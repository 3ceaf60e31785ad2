//! HTTP/2 backends: their limits on streams, their silence, and the ways in which they end a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};

use crate::support::h2::{Frames, H2Backend, H2Client, run};
use crate::support::h2_frames::{
    DATA, END_HEADERS, END_STREAM, FramePeer, GOAWAY, HEADERS, RST_STREAM, frame, frame_backend, section,
};
use crate::support::{FakeBackend, TestGateway};

/// `:status: 200` in HPACK.
const OK: [u8; 1] = [0x88];

fn before(address: std::net::SocketAddr, more: &str) -> TestGateway {
    let more = format!(", protocol: h2{more}");
    TestGateway::builder().backend_with("backend", &[address], &more).open_route("backend").start()
}

/// Answers each request with its number on the connection.
fn answer_all(peer: &mut FramePeer) {
    while let Some(request) = peer.next() {
        if request.kind == HEADERS {
            peer.send(frame(HEADERS, END_HEADERS, request.stream, OK));
            peer.send(frame(DATA, END_STREAM, request.stream, *b"answer"));
        }
    }
}

/// The time for an answer once began anew when the body was taken, and so ran twice.
#[test]
fn time_for_an_answer_runs_once() {
    let backend = H2Backend::start();
    let gateway = before(backend.address, ", timeouts: {response: 600ms}");
    let begun = Instant::now();
    let response = gateway.exchange("POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((response.status, response.problem().as_str()), (504, "upstream-timeout"));
    assert!((550..1000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn time_does_not_run_while_the_client_sends() {
    let backend = H2Backend::start();
    let gateway = before(backend.address, ", timeouts: {response: 300ms, request: 500ms}");
    let mut client = gateway.client();
    client.send("POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(120));
        client.send("a");
    }
    assert_eq!(client.response().text(), "aaaaaaaaaa");
}

#[test]
fn silent_answer_is_cut_and_its_stream_given_back() {
    let backend = H2Backend::taking(1);
    let gateway = before(backend.address, ", timeouts: {idle: 300ms}");
    let begun = Instant::now();
    let response = gateway.get("/silent", "");
    assert_eq!((response.status, response.text().as_str(), response.complete), (200, "word", false));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(gateway.get("/empty", "").status, 200);
    assert_eq!(backend.connections(), 1, "there was room again");
}

#[test]
fn full_connection_is_joined_by_another_one() {
    for limit in [1_u32, 3] {
        let backend = H2Backend::taking(limit);
        let gateway = before(backend.address, ", timeouts: {response: 8s}");
        run(async {
            let client = H2Client::connect(gateway.address).await;
            let mut ticking = tokio::task::JoinSet::new();
            for _ in 0..6 {
                let mut client = client.clone();
                let request = Request::get("http://a/ticks").body(Frames::default()).expect("a request");
                ticking.spawn(async move { client.begin(request).await });
            }
            let mut answers = ticking.join_all().await;
            for answer in &mut answers {
                assert_eq!(answer.data().await, Some(Bytes::from_static(b"tick")));
            }
        });
        assert_eq!(backend.connections(), usize::try_from(6_u32.div_ceil(limit)).expect("small"));
        assert!(gateway.metric("figway_upstream_retries_total") < 1.0, "no stream was refused");
    }
}

/// A few clients that take nothing once used up what a connection may hold, for everybody.
#[test]
fn answers_that_nobody_takes_leave_room_for_the_others() {
    let backend = H2Backend::start();
    let gateway = before(backend.address, "");
    let mut stalled = FramePeer::greeting(gateway.address, &[(4, 0)]);
    for number in 0..20 {
        stalled.get(1 + 2 * number, "/flood");
    }
    for _ in 0..20 {
        stalled.until(HEADERS);
    }
    for _ in 0..20 {
        assert_eq!(
            gateway.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").text(),
            "hello"
        );
    }
    assert_eq!(backend.connections(), 1, "one connection bears it all");
}

#[test]
fn streams_beyond_all_connections_wait_their_turn() {
    let backend = H2Backend::taking(1);
    let gateway = before(backend.address, "");
    run(async {
        let client = H2Client::connect(gateway.address).await;
        let mut answers = tokio::task::JoinSet::new();
        for number in 0..60 {
            let request = Request::post("http://a/echo").body(Frames::new([["a", "b", "c"][number % 3]]));
            answers.spawn(client.clone().send_owned(request.expect("a request")));
        }
        for answer in answers.join_all().await {
            assert_eq!(answer.status, StatusCode::OK);
        }
    });
    assert!(backend.connections() <= 8, "{}", backend.connections());
}

/// A GOAWAY that does not count a stream promises that nothing was done: also what is not idempotent is sent again.
#[test]
fn request_that_the_backend_did_not_count_is_sent_again() {
    for refusal in [GOAWAY, RST_STREAM] {
        let address = frame_backend(move |peer, connection| {
            if connection > 0 {
                return answer_all(peer);
            }
            peer.until(HEADERS);
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
            peer.until(HEADERS);
            if refusal == GOAWAY {
                peer.send(frame(GOAWAY, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0]));
            } else {
                peer.send(frame(RST_STREAM, 0, 3, 7_u32.to_be_bytes()));
                answer_all(peer);
            }
        });
        let gateway = before(address, "");
        for _ in 0..2 {
            let response = gateway.exchange("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
            assert_eq!(response.status, 200, "refused by a frame of type {refusal}");
        }
    }
}

#[test]
fn reset_request_is_not_sent_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let address = frame_backend(move |peer, _| {
        while let Some(request) = peer.next() {
            if request.kind == HEADERS {
                count.fetch_add(1, Ordering::AcqRel);
                peer.send(frame(RST_STREAM, 0, request.stream, 2_u32.to_be_bytes()));
            }
        }
    });
    let gateway = before(address, "");
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.problem().as_str()), (502, "upstream-closed"));
    assert_eq!(seen.load(Ordering::Acquire), 1);
}

#[test]
fn answer_that_is_reset_never_looks_whole() {
    for reason in [0_u32, 2] {
        let address = frame_backend(move |peer, _| {
            peer.until(HEADERS);
            peer.send(frame(HEADERS, END_HEADERS, 1, OK));
            peer.send(frame(DATA, 0, 1, *b"half"));
            peer.send(frame(RST_STREAM, 0, 1, reason.to_be_bytes()));
            peer.closed_after();
        });
        let response = before(address, "").get("/x", "");
        assert_eq!((response.status, response.text().as_str(), response.complete), (200, "half", false));
    }
}

#[test]
fn trailers_of_a_stream_replace_no_header_of_an_http1_client() {
    let address = frame_backend(move |peer, _| {
        peer.until(HEADERS);
        peer.send(frame(HEADERS, END_HEADERS, 1, OK));
        peer.send(frame(DATA, 0, 1, *b"whole"));
        let trailers = section(&[("x-sum", "1"), ("content-length", "2"), ("host", "evil"), ("x-sum", "2")]);
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers));
        peer.closed_after();
    });
    let response = before(address, "").get("/x", "TE: trailers\r\nConnection: TE\r\n");
    assert_eq!((response.text().as_str(), response.complete), ("whole", true));
    let kept = [("x-sum", "1"), ("x-sum", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(response.trailers, kept);
}

#[test]
fn backend_of_another_protocol_is_said_to_be_one() {
    let backend = FakeBackend::start(|connection| {
        connection.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        connection.is_abandoned();
    });
    let response = before(backend.address, "").get("/x", "");
    assert_eq!((response.status, response.problem().as_str()), (502, "upstream-unreachable"));
}

/// Requests once waited for each other's attempts to connect, one after the other.
#[test]
fn backend_that_never_greets_costs_each_request_the_same() {
    let backend = FakeBackend::start(|connection| {
        connection.is_abandoned();
    });
    let gateway = before(backend.address, ", timeouts: {connect: 500ms}");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(gateway.get("/x", "").status, 504));
        }
    });
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

/// A host that is gone would be noticed by TCP after a quarter of an hour.
#[test]
fn connection_on_which_a_request_timed_out_takes_no_new_ones() {
    let address = frame_backend(|peer, connection| {
        if connection == 0 {
            peer.until(RST_STREAM);
            peer.closed_after();
        } else {
            answer_all(peer);
        }
    });
    let gateway = before(address, ", timeouts: {response: 300ms}");
    assert_eq!(gateway.get("/x", "").status, 504);
    assert_eq!(gateway.get("/x", "").text(), "answer");
}

/// A client that speaks h2 and hears interim answers.
async fn listening_client(gateway: &TestGateway) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(gateway.address).await.expect("the gateway accepts");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn interim(answer: &mut h2::client::ResponseFuture) -> http::Response<()> {
    let interim = std::future::poll_fn(|cx| answer.poll_informational(cx)).await;
    interim.expect("an interim answer").expect("unbroken")
}

#[test]
fn interim_answers_pass_from_end_to_end() {
    let address = frame_backend(|peer, _| {
        peer.until(HEADERS);
        peer.send(frame(HEADERS, END_HEADERS, 1, section(&[(":status", "103"), ("link", "</a.css>")])));
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, OK));
        peer.closed_after();
    });
    let gateway = before(address, "");
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.interim[0].get("link")), (200, Some("</a.css>")));
    let gateway = before(address, "");
    run(async {
        let mut sender = listening_client(&gateway).await;
        let request = Request::get("http://a/x").body(()).expect("a request");
        let (mut answer, _) = sender.send_request(request, true).expect("sent");
        let hints = interim(&mut answer).await;
        assert_eq!((hints.status().as_u16(), hints.headers()["link"].as_bytes()), (103, &b"</a.css>"[..]));
        assert_eq!(answer.await.expect("an answer").status(), StatusCode::OK);
    });
}

#[test]
fn body_that_waits_for_continue_gets_it_from_the_backend() {
    let address = frame_backend(|peer, _| {
        peer.until(HEADERS);
        peer.send(frame(HEADERS, END_HEADERS, 1, section(&[(":status", "100")])));
        let body = peer.until(DATA).payload;
        peer.send(frame(HEADERS, END_HEADERS, 1, OK));
        peer.send(frame(DATA, END_STREAM, 1, body));
        peer.closed_after();
    });
    let gateway = before(address, "");
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert!(client.head().first_line.starts_with("HTTP/1.1 100"));
    assert_eq!(client.send("hello").response().text(), "hello");

    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 300ms}")
        .backend_with("backend", &[address], ", protocol: h2")
        .open_route("backend")
        .start();
    run(async {
        let mut sender = listening_client(&gateway).await;
        let request = Request::post("http://a/x").header("expect", "100-continue").body(()).expect("a request");
        let (mut answer, mut upload) = sender.send_request(request, false).expect("sent");
        assert_eq!(interim(&mut answer).await.status().as_u16(), 100);
        upload.send_data(Bytes::from_static(b"hello"), true).expect("sent");
        let mut body = answer.await.expect("an answer").into_body();
        assert_eq!(body.data().await.expect("data").expect("unbroken"), "hello");
    });
}

/// It is the backend that is waited for, not the client's body.
#[test]
fn continue_that_does_not_come_is_the_backends_fault() {
    let address = frame_backend(|peer, _| {
        peer.closed_after();
    });
    let gateway = TestGateway::builder()
        .server("timeouts", "{body: 200ms}")
        .backend_with("backend", &[address], ", protocol: h2, timeouts: {response: 600ms}")
        .open_route("backend")
        .start();
    run(async {
        let mut sender = listening_client(&gateway).await;
        let request = Request::post("http://a/x").header("expect", "100-continue").body(()).expect("a request");
        let (answer, _upload) = sender.send_request(request, false).expect("sent");
        assert_eq!(answer.await.expect("an answer").status(), StatusCode::GATEWAY_TIMEOUT);
    });
}
