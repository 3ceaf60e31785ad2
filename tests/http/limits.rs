//! What a request may measure, and the status that says which measure was exceeded.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::abuse::Abuse;
use crate::support::{FakeBackend, TestGateway};

#[test]
fn targets_up_to_the_limit_pass_and_longer_ones_are_refused() {
    let abuse = Abuse::new();
    let fits = format!("/{}", "a".repeat((8 << 10) - 1));
    assert_eq!(abuse.gateway.get(&fits, "").text(), fits);
    let response = abuse.refuses(format!("GET {fits}a HTTP/1.1\r\nHost: a\r\n\r\n"), &[414]);
    assert_eq!(response.problem(), "uri-too-long");
    abuse.refuses(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000)), &[414]);
}

#[test]
fn header_sections_past_the_limits_are_refused() {
    let abuse = Abuse::new();
    assert_eq!(abuse.gateway.get("/x", &format!("X-Long: {}\r\n", "a".repeat(30_000))).status, 200);
    let response = abuse.refuses_headers(&format!("X-Long: {}\r\n", "a".repeat(33_000)), &[431]);
    assert_eq!(response.problem(), "headers-too-large");
    abuse.refuses_headers(&format!("X-Long: {}\r\n", "a".repeat(1_000_000)), &[431]);
    assert_eq!(abuse.gateway.get("/x", &"X-Many: a\r\n".repeat(99)).status, 200);
    abuse.refuses_headers(&"X-Many: a\r\n".repeat(100), &[431]);
    abuse.refuses_headers(&"X-Many: a\r\n".repeat(3_000), &[431]);
}

#[test]
fn endless_header_section_is_refused_before_it_ends() {
    let abuse = Abuse::new();
    let endless = format!("GET /x HTTP/1.1\r\nHost: a\r\nX-Endless: {}", "a".repeat(100_000));
    abuse.refuses(endless, &[431]);
}

#[test]
fn long_methods_are_refused() {
    let abuse = Abuse::new();
    let fits = "M".repeat(32);
    assert_eq!(abuse.gateway.exchange(format!("{fits} /x HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
    abuse.refuses(format!("{fits}M /x HTTP/1.1\r\nHost: a\r\n\r\n"), &[400, 501]);
    // Past every limit at once, any of them may be named.
    abuse.refuses(format!("{} /x HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(50_000)), &[400, 414, 431, 501]);
}

#[test]
fn announced_body_past_the_limit_is_refused_before_it_is_sent() {
    let abuse = Abuse::new();
    let too_long = (10 << 20) + 1;
    let response = abuse.refuses(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {too_long}\r\n\r\n"), &[413]);
    assert_eq!(response.problem(), "body-too-large");
    assert_eq!(abuse.backend.requests().len(), 1, "only the plain request");
}

/// gRPC's streams have no length in all. A client that only says that it speaks gRPC got around the limit.
#[test]
fn media_type_of_grpc_lifts_no_limit_on_http1() {
    let abuse = Abuse::new();
    let length = (10 << 20) + 1;
    let claim =
        format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: {length}\r\n\r\n");
    assert_eq!(abuse.refuses(claim, &[413]).problem(), "body-too-large");
}

/// Closing on a client that is still sending resets the connection: most clients then never read the answer.
#[test]
fn client_that_sends_a_body_past_the_limit_to_its_end_is_not_reset() {
    let abuse = Abuse::new();
    let body = vec![b'x'; 12 << 20];
    let head = format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = TcpStream::connect(abuse.gateway.address).expect("the gateway accepts");
    client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body)).expect("everything is taken");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("the answer and its end");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn limits_are_those_of_the_configuration() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("limits", "{header_bytes: 1KiB, header_lines: 5, uri: 100B, body: 10B}")
        .backend("backend", &backend)
        .route(r#"{name: larger, path: "/larger", auth: none, backend: backend, max_body: 20B}"#)
        .open_route("backend")
        .start();
    let post = |path: &str, length: usize| {
        let body = "x".repeat(length);
        gateway.exchange(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")).status
    };
    assert_eq!(post("/x", 10), 200);
    assert_eq!(post("/x", 11), 413);
    assert_eq!(post("/larger", 20), 200);
    assert_eq!(post("/larger", 21), 413);
    assert_eq!(gateway.get(&format!("/{}", "a".repeat(100)), "").status, 414);
    assert_eq!(gateway.get("/x", &format!("X: {}\r\n", "a".repeat(1_100))).status, 431);
    assert_eq!(gateway.get("/x", &"X: a\r\n".repeat(5)).status, 431);
}

#[test]
fn chunked_body_is_cut_off_where_it_passes_the_limit() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("limits", "{body: 10B}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(gateway.exchange(format!("{head}5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")).status, 200);
    let mut client = gateway.client();
    let response = client.send(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")).response();
    assert_eq!((response.status, response.problem().as_str()), (413, "body-too-large"));
    assert!(client.rest().is_empty());
    assert_eq!(backend.requests().len(), 1, "the one that fits");
}
