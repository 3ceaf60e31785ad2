//! Chunked request bodies: the grammar to the letter, floods cut off (RFC 9112 section 7.1).

use crate::abuse::Abuse;

#[test]
fn malformed_chunks_are_refused() {
    let abuse = Abuse::new();
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "G\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\rhello\r\n0\r\n\r\n",
    ] {
        abuse.refuses_chunks(body, &[400]);
    }
}

#[test]
fn extensions_hide_no_line_ends() {
    let abuse = Abuse::new();
    for body in ["5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0;a\n\r\n\r\n"] {
        abuse.refuses_chunks(body, &[400]);
    }
}

#[test]
fn chunk_sizes_past_every_limit_are_refused() {
    let abuse = Abuse::new();
    for size in ["FFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFFF", "10000000000000005", "7FFFFFFFFFFFFFFF"] {
        abuse.refuses_chunks(format!("{size}\r\nhello\r\n0\r\n\r\n"), &[400, 413]);
    }
}

#[test]
fn floods_of_chunk_extensions_are_cut_off() {
    let abuse = Abuse::new();
    abuse.refuses_chunks(format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(200_000)), &[400]);
    let mut many = format!("1;a={}\r\nx\r\n", "b".repeat(50)).repeat(10_000);
    many.push_str("0\r\n\r\n");
    abuse.refuses_chunks(many, &[400]);
}

#[test]
fn harmless_extensions_are_dropped() {
    let abuse = Abuse::new();
    let response = abuse.gateway.exchange(
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;name=value;other=\"quoted\"\r\nhello\r\n006\r\n world\r\n000;last\r\n\r\n",
    );
    assert_eq!(response.status, 200);
    assert_eq!(abuse.backend.request().body, b"hello world");
}

#[test]
fn body_that_ends_early_reaches_no_backend_whole() {
    let abuse = Abuse::new();
    for body in ["5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"] {
        let mut client = abuse.gateway.client();
        client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).half_close();
        client.drain();
    }
    let mut client = abuse.gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").half_close();
    client.drain();
    assert_eq!(abuse.gateway.get("/plain", "").text(), "/plain");
    assert_eq!(abuse.backend.request().target(), "/plain");
}

#[test]
fn trailers_replace_no_header() {
    let abuse = Abuse::new();
    for field in
        ["Content-Length: 3", "Transfer-Encoding: chunked", "Host: evil", "Authorization: Bearer x", "X-User-Id: 1"]
    {
        let mut client = abuse.gateway.client();
        client.send(format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n{field}\r\n\r\n"
        ));
        let status = client.response().status;
        assert!([200, 400].contains(&status), "{field}: {status}");
        let name = field.split(':').next().expect("a name").to_ascii_lowercase();
        for request in abuse.backend.requests() {
            assert!(request.trailers.iter().all(|(known, _)| *known != name), "{field} reached the backend");
            assert_ne!(request.get("authorization"), Some("Bearer x"));
        }
    }
}

#[test]
fn floods_of_trailers_are_cut_off() {
    let abuse = Abuse::new();
    abuse.refuses_chunks(format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(20_000)), &[400, 431]);
}
