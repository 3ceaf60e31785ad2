//! Which request heads are taken, and which are refused with what.

use super::*;

fn read(text: &str) -> Result<RequestHead, HeadError> {
    let mut head = RequestHead::default();
    let lines = text.matches("\r\n").count().saturating_sub(2);
    parse(text.as_bytes(), lines, &Limits::default(), &mut head).map(|()| head)
}

fn code(text: &str) -> Code {
    read(text).map(|head| format!("{head:?}")).expect_err(text).code
}

#[test]
fn reads_a_plain_request() {
    let head = read("GET /a/%7eb?x=%zz HTTP/1.1\r\nHost: shop.example:8080\r\nX-A:  b \r\n\r\n").expect("valid");
    assert_eq!((head.method.as_str(), head.target.as_str(), head.path()), ("GET", "/a/~b?x=%zz", "/a/~b"));
    assert_eq!(head.host(), "shop.example");
    assert_eq!(head.fields.find("x-a"), Some(&b"b"[..]));
    assert_eq!(head.body, BodyLength::None);
    assert!(!head.close);
}

#[test]
fn framing_that_two_readers_may_take_differently_is_refused() {
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 4",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, gzip",
        "Transfer-Encoding: gzip, identity, chunked",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: chun\0ked",
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        assert_eq!(code(&text), Code::MalformedRequest, "{fields}");
    }
    assert_eq!(code("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), Code::NotImplemented);
}

#[test]
fn there_is_exactly_one_well_formed_host() {
    for fields in [
        "X: y",
        "Host: a\r\nHost: a",
        "Host: a b",
        "Host: a@b",
        "Host: a/b",
        "Host:",
        "Host: [::1",
        "Host: a:99999",
        "Host: a:x",
        "Host: a,b",
        "Host: %",
        "Host: a%2",
        "Host: a%zz",
        "Host: :80",
        "Host: [::1]x",
        "Host: a:1:2",
    ] {
        assert_eq!(code(&format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n")), Code::InvalidHost, "{fields}");
    }
    for host in ["a", "a.b:80", "[::1]:8080", "127.0.0.1", "a_b.c", "a:", "a%C3%A9", "shop.example."] {
        read(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).expect(host);
    }
    read("GET / HTTP/1.0\r\nX: y\r\n\r\n").expect("HTTP/1.0 needs no host");
}

#[test]
fn the_authority_of_an_absolute_target_wins() {
    let head = read("GET http://real.example/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n").expect("valid");
    assert_eq!((head.authority.as_str(), head.target.as_str()), ("real.example", "/a?b"));
    assert_eq!(head.fields.get(Known::Host), Some(&b"real.example"[..]));
    assert_eq!(code("GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n"), Code::InvalidHost);
    assert_eq!(code("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("GET a/b HTTP/1.1\r\nHost: h\r\n\r\n"), Code::MalformedRequest);
}

#[test]
fn request_lines_out_of_form_are_refused() {
    assert_eq!(code("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Code::VersionNotSupported);
    assert_eq!(code("GET / y HTTP/1.1\r\nHost: a\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("GET / HTTP/1.9x\r\nHost: a\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), Code::MalformedRequest);
    assert_eq!(code("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), Code::MethodNotAllowed);
    assert_eq!(code(&format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(33))), Code::NotImplemented);
    assert_eq!(code("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"), Code::InvalidPath);
    assert_eq!(code("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), Code::InvalidPath);
    assert_eq!(code(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000))), Code::UriTooLong);
}

#[test]
fn connection_may_not_drop_what_the_backend_must_see() {
    for name in ["authorization", "Host", "content-length", "Cookie", "transfer-encoding", "X-Forwarded-For"] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, {name}\r\n\r\n");
        assert_eq!(code(&text), Code::MalformedRequest, "{name}");
    }
    let head = read("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nx-hop: 1\r\n\r\n").expect("valid");
    assert_eq!(head.fields.find("x-hop"), None);
}

#[test]
fn persistence_follows_the_version_and_connection() {
    assert!(!read("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("valid").close);
    assert!(read("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").expect("valid").close);
    assert!(read("GET / HTTP/1.0\r\nHost: a\r\n\r\n").expect("valid").close);
    assert!(!read("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").expect("valid").close);
}

#[test]
fn upgrades_are_taken_as_asked_but_never_to_h2c() {
    let ask = |protocol: &str| {
        let text =
            format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        read(&text).expect("valid").upgrade
    };
    assert!(ask("websocket"));
    assert!(!ask("h2c"));
    assert!(!ask("websocket, h2c"));
    assert!(!read("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").expect("valid").upgrade);
}

#[test]
fn the_only_expectation_is_100_continue() {
    let ask =
        |value: &str| read(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: {value}\r\n\r\n"));
    assert!(ask("100-Continue").expect("valid").expects_continue);
    assert_eq!(ask("miracles").map(|head| head.close).expect_err("unknown").code, Code::ExpectationFailed);
    let head = read("POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").expect("valid");
    assert!(!head.expects_continue && !head.fields.may_have(Known::Expect));
}

mod property {
    use super::*;

    proptest::proptest! {
        #![proptest_config(crate::types::property::config(512))]

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut scan = crate::proxy::http1::head_end::HeadScan::default();
            let limits = Limits::default();
            if let Ok(Some(end)) = scan.advance(&bytes, head_limits(&limits)) {
                let _ = parse(&bytes[..end], scan.lines(), &limits, &mut RequestHead::default());
            }
        }

        #[test]
        fn whatever_is_accepted_is_forwarded_as_one_message(target in "/[ -~]{0,40}", name in "[ -~]{1,12}", value in "[\\x00-\\xff]{0,20}") {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
            let mut scan = crate::proxy::http1::head_end::HeadScan::default();
            let limits = Limits::default();
            let mut head = RequestHead::default();
            if let Ok(Some(end)) = scan.advance(text.as_bytes(), head_limits(&limits))
                && parse(&text.as_bytes()[..end], scan.lines(), &limits, &mut head).is_ok()
            {
                let mut out = Vec::new();
                crate::proxy::http1::write::request_head(&mut out, &head);
                let mut again = crate::proxy::http1::head_end::HeadScan::default();
                proptest::prop_assert_eq!(again.advance(&out, head_limits(&limits)), Ok(Some(out.len())));
            }
        }
    }
}
