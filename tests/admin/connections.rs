//! Callers that are slow, too large, too many, or still there at the end.

use std::time::{Duration, Instant};

use figway::admin::Limits;
use figway::snapshot::AnonymousAccess;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fakes::OPERATOR;
use super::gateway::{Gateway, PATIENCE, Reply};

const SOON: Duration = Duration::from_millis(200);

fn hasty() -> Limits {
    Limits { head: SOON, body: SOON, stalled_write: SOON, ..Limits::default() }
}

fn patch_head(gateway: &Gateway, rest: &str) -> String {
    format!(
        "PATCH /admin/v1/flags/member-api HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {OPERATOR}\r\n\
         if-match: \"12\"\r\ncontent-type: application/json\r\n{rest}\r\n",
        gateway.address
    )
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_while_others_are_served() {
    let gateway = Gateway::with(AnonymousAccess::Read, hasty()).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = gateway.connect().await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: lo").await.expect("written");
        slow.push(stream);
    }
    assert_eq!(gateway.get("/livez").await.status, 200);
    let begun = Instant::now();
    for stream in &mut slow {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_with_408() {
    let gateway = Gateway::with(AnonymousAccess::Read, hasty()).await;
    let mut stream = gateway.connect().await;
    let head = patch_head(&gateway, "content-length: 50\r\n");
    stream.write_all(format!("{head}{{\"changes\"").as_bytes()).await.expect("written");
    let reply = Reply::read(&mut stream).await;
    reply.problem(408, "request-timeout");
    assert_eq!(reply.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let gateway = Gateway::start().await;
    let announced = gateway.raw(&patch_head(&gateway, "content-length: 65537\r\n")).await;
    announced.problem(413, "body-too-large");
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    let body = format!("{chunk}{chunk}{chunk}0\r\n\r\n");
    let chunked = gateway.raw(&format!("{}{body}", patch_head(&gateway, "transfer-encoding: chunked\r\n"))).await;
    chunked.problem(413, "body-too-large");
}

#[tokio::test]
async fn a_caller_who_does_not_read_is_given_up() {
    let gateway = Gateway::with(AnonymousAccess::Read, Limits { connections: 1, ..hasty() }).await;
    let mut deaf = gateway.connect().await;
    let request = format!("GET /openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address);
    // Pipelined far beyond what the sockets' buffers hold; the write itself may stall, and that is the point.
    let flood = request.repeat(2_000);
    let flooding = tokio::spawn(async move {
        let _ = deaf.write_all(flood.as_bytes()).await;
        deaf
    });
    // The only connection there may be is free again once the deaf caller is given up.
    assert_eq!(gateway.get("/livez").await.status, 200);
    drop(flooding.await);
}

#[tokio::test]
async fn callers_beyond_the_limit_wait_for_their_turn() {
    let gateway = Gateway::with(AnonymousAccess::Read, Limits { connections: 1, ..Limits::default() }).await;
    let mut first = gateway.connect().await;
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut byte = [0];
    first.read_exact(&mut byte).await.expect("an answer");
    let second = tokio::spawn({
        let mut stream = gateway.connect().await;
        async move {
            let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.expect("written");
            Reply::read(&mut stream).await
        }
    });
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.expect("no panic").status, 200);
}

#[tokio::test]
async fn the_end_does_not_wait_for_idle_callers() {
    let gateway = Gateway::start().await;
    let mut idle = gateway.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut byte = [0];
    idle.read_exact(&mut byte).await.expect("an answer");
    let begun = Instant::now();
    gateway.end().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_is_not_cached() {
    let gateway = Gateway::start().await;
    let (first, second) = (gateway.get("/livez").await, gateway.get("/livez").await);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("x-request-id").map(str::len), Some(32));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
}
