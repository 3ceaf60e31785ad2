//! Where a message ends must never be in doubt (RFC 9112 sections 2, 5, 6 and 11).

use crate::abuse::Abuse;
use crate::support::{FakeBackend, TestGateway};

#[test]
fn length_with_transfer_encoding_is_refused() {
    let abuse = Abuse::new();
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\ncontent-length: 0",
    ] {
        let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        abuse.refuses(format!("POST /x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n\r\n{body}"), &[400]);
    }
}

#[test]
fn transfer_encodings_other_than_one_final_chunked_are_refused() {
    let abuse = Abuse::new();
    for value in [
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    ] {
        abuse.refuses_headers(&format!("{value}\r\n"), &[400, 501]);
    }
    abuse.refuses("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]);
}

#[test]
fn repeated_lengths_are_refused_even_when_equal() {
    let abuse = Abuse::new();
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 6",
        "Content-Length: 5, 5",
    ] {
        abuse.refuses(format!("POST /x HTTP/1.1\r\nHost: shop.example\r\n{lengths}\r\n\r\nhello"), &[400]);
    }
}

#[test]
fn lengths_that_are_no_decimal_number_are_refused() {
    let abuse = Abuse::new();
    for length in ["+5", "-1", "0x5", "5 5", "", "5;", "5.0", "five", "99999999999999999999"] {
        let bytes = format!("POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {length}\r\n\r\nhello");
        abuse.refuses(bytes, &[400]);
    }
}

#[test]
fn lines_ended_by_anything_but_crlf_are_refused() {
    let abuse = Abuse::new();
    for bytes in [
        "GET /x HTTP/1.1\nHost: shop.example\n\n",
        "GET /x HTTP/1.1\nHost: shop.example\r\n\r\n",
        "\nGET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "\r\n\nGET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: shop.example\nX-A: b\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: shop.example\r\nX-A: b\n\r\n",
        "GET /x HTTP/1.1\r\nHost: shop.example\r\nX-A: b\r\n\n",
        "GET /x HTTP/1.1\r\nHost: shop.example\r\nX-A: b\rX-B: c\r\n\r\n",
    ] {
        abuse.refuses(bytes, &[400]);
    }
}

#[test]
fn malformed_header_lines_are_refused() {
    let abuse = Abuse::new();
    for line in [
        "X-Folded: a\r\n b",
        "X-Folded: a\r\n\tb",
        " X-Leading: a",
        "X-Space : a",
        "Transfer-Encoding : chunked",
        "X-Nul: a\0b",
        "X-N\0l: a",
        "X-Control: a\u{1}b",
        "X-Delete: a\u{7f}b",
        "X Name: a",
        "X-N\u{e4}me: a",
        "no colon",
        ": no name",
        "X(Y): a",
    ] {
        abuse.refuses_headers(&format!("{line}\r\n"), &[400]);
    }
    abuse.refuses("GET /x HTTP/1.1\r\n X-First: a\r\nHost: shop.example\r\n\r\n", &[400]);
}

#[test]
fn malformed_request_lines_are_refused() {
    let abuse = Abuse::new();
    for line in [
        "GET  /x HTTP/1.1",
        "GET\t/x\tHTTP/1.1",
        "GET /x  HTTP/1.1",
        "GET /x HTTP/1.1 ",
        "GET /x y HTTP/1.1",
        "GET /a?a=b c HTTP/1.1",
        "GET /a?a=b c HTTP/1.0",
        "GET /x",
        "GET /x http/1.1",
        "GET /x HTTP/1.10",
        "GET /x HTTP/11",
        "GET /x HTTP1.1",
        "GET /x\0 HTTP/1.1",
        "G\u{e4}T /x HTTP/1.1",
        "G@T /x HTTP/1.1",
        " GET /x HTTP/1.1",
        "GET x HTTP/1.1",
        "GET /x#fragment HTTP/1.1",
        "GET shop.example:80 HTTP/1.1",
        "GET * HTTP/1.1",
    ] {
        abuse.refuses(format!("{line}\r\nHost: shop.example\r\n\r\n"), &[400]);
    }
}

#[test]
fn versions_that_are_not_spoken_are_refused() {
    let abuse = Abuse::new();
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9"] {
        abuse.refuses(format!("GET /x {version}\r\nHost: shop.example\r\n\r\n"), &[505]);
    }
}

#[test]
fn connect_opens_no_tunnel() {
    let abuse = Abuse::new();
    let response = abuse.gateway.exchange("CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n");
    assert_eq!(response.status, 405);
    assert_eq!(abuse.backend.connections(), 0);
}

#[test]
fn one_empty_line_before_a_request_is_ignored() {
    let abuse = Abuse::new();
    let response = abuse.gateway.exchange("\r\nGET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((response.status, response.text().as_str()), (200, "/x"));
}

/// Wherever the pieces end: a CR LF cut in two once hid the bare LF behind it.
#[test]
fn bare_line_feed_behind_a_split_empty_line_is_refused() {
    let abuse = Abuse::new();
    let mut client = abuse.gateway.client();
    client.send("\r");
    assert!(client.is_silent_for(std::time::Duration::from_millis(100)));
    let response = client.send("\n\nGET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n").response();
    assert_eq!((response.status, response.problem().as_str()), (400, "malformed-request"));
    assert!(client.rest().is_empty());
}

#[test]
fn bytes_after_a_closing_request_are_never_served() {
    let abuse = Abuse::new();
    let mut client = abuse.gateway.client();
    client.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "/last");
    assert!(client.rest().is_empty());
    assert_eq!(abuse.backend.request().target(), "/last");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let abuse = Abuse::new();
    let mut client = abuse.gateway.client();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n\
         HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /5 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let texts: Vec<_> = (0..3).map(|_| client.response().text()).collect();
    assert_eq!(texts, ["/1", "/2", "/3"]);
    assert_eq!(client.response_to_head().get("content-length"), Some("2"));
    assert_eq!(client.response().text(), "/5");
    assert_eq!(abuse.backend.requests()[1].body, b"hello");
    assert_eq!(abuse.backend.requests()[2].body, b"world");
}

#[test]
fn half_closed_client_is_still_answered() {
    let backend = FakeBackend::start(|connection| {
        if connection.request().is_some() {
            // Long enough for a proxy that takes the FIN for a farewell to hang up first.
            std::thread::sleep(std::time::Duration::from_millis(200));
            connection.ok("late");
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    let response = client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").half_close().response();
    assert_eq!((response.status, response.text().as_str()), (200, "late"));
    assert!(client.rest().is_empty());
}

#[test]
fn head_split_into_single_bytes_is_understood() {
    let abuse = Abuse::new();
    let mut client = abuse.gateway.client();
    for byte in b"GET /split HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "/split");
}

#[test]
fn old_clients_are_answered_without_chunks_and_closed() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into()
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    let response = client.send("GET /x HTTP/1.0\r\nHost: shop.example\r\n\r\n").response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert_eq!(response.get("transfer-encoding"), None);
    assert!(client.rest().is_empty());
    assert!(backend.request().head.first_line.ends_with("HTTP/1.1"));
}
