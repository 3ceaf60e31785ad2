//! What is passed on, what is made anew and what goes no further than this hop (RFC 9110 section 7.6).

use crate::abuse::Abuse;
use crate::support::{FakeBackend, TestGateway};

#[test]
fn end_to_end_fields_pass_in_both_directions_unchanged() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 203 Odd Reason\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         X-Empty:\r\nCache-Control: no-store\r\nServer: backend\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nok"
            .into()
    });
    let gateway = TestGateway::before(&backend);
    let response = gateway.get(
        "/x",
        "Authorization: Basic abc\r\nCookie: a=1; b=2\r\nAccept: */*\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Odd: \u{e4}\r\n\
         User-Agent: test\r\n",
    );
    assert_eq!((response.status, response.text().as_str()), (203, "ok"));
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.get("x-empty"), Some(""));
    assert_eq!(response.get("cache-control"), Some("no-store"));
    assert_eq!(response.get("server"), Some("backend"));
    assert_eq!(response.get("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(response.get("x-figway-error"), None);
    let request = backend.request();
    assert_eq!(request.get("host"), Some("shop.example"));
    assert_eq!(request.get("authorization"), Some("Basic abc"));
    assert_eq!(request.get("cookie"), Some("a=1; b=2"));
    assert_eq!(request.all("x-twice"), ["1", "2"]);
    assert_eq!(request.get("x-odd"), Some("\u{e4}"));
    assert_eq!(request.get("user-agent"), Some("test"));
}

#[test]
fn hop_by_hop_fields_of_a_request_stop_here() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let response = gateway.get(
        "/x",
        "Connection: keep-alive, X-Secret-Hop\r\nConnection: x-other-hop\r\nX-Secret-Hop: 1\r\nX-Other-Hop: 2\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic abc\r\n\
         Proxy: http://evil.example\r\nTE: gzip\r\nUpgrade: something\r\nX-Kept: yes\r\n",
    );
    assert_eq!(response.status, 200);
    let request = backend.request();
    for name in [
        "x-secret-hop",
        "x-other-hop",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy",
        "te",
        "upgrade",
    ] {
        assert_eq!(request.all(name), Vec::<&str>::new(), "{name}");
    }
    assert!(request.all("connection").iter().all(|value| !value.contains("hop")));
    assert_eq!(request.get("x-kept"), Some("yes"));
}

#[test]
fn hop_by_hop_fields_of_a_response_stop_here() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Internal\r\nX-Internal: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Kept: yes\r\n\r\nok"
            .into()
    });
    let gateway = TestGateway::before(&backend);
    let response = gateway.get("/x", "");
    assert_eq!(response.text(), "ok");
    for name in ["x-internal", "keep-alive", "proxy-connection"] {
        assert_eq!(response.get(name), None, "{name}");
    }
    assert_eq!(response.get("x-kept"), Some("yes"));
}

#[test]
fn connection_may_not_name_what_the_backend_needs() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    for value in [
        "authorization",
        "Authorization",
        "close, authorization",
        "keep-alive,AUTHORIZATION",
        "cookie",
        "host",
        "content-type",
        "x-forwarded-for",
        "X-Forwarded-Proto",
    ] {
        let response = gateway.get("/x", &format!("Authorization: Bearer abc\r\nConnection: {value}\r\n"));
        assert_eq!(response.status, 400, "{value}");
        response.problem();
    }
    assert_eq!(backend.connections(), 0);
}

/// Each name is looked for in every line: thousands of names once cost milliseconds a request.
#[test]
fn connection_may_name_few_fields() {
    let abuse = Abuse::new();
    let names = |count: usize| (0..count).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(", ");
    assert_eq!(abuse.gateway.get("/x", &format!("Connection: {}\r\n", names(32))).status, 200);
    let response = abuse.refuses_headers(&format!("Connection: {}\r\n", names(33)), &[400]);
    assert_eq!(response.problem(), "malformed-request");
    let thousands = "a,".repeat(15_000);
    abuse.refuses_headers(&format!("Connection: {thousands}\r\n{}", "X-Many: a\r\n".repeat(90)), &[400]);
}

#[test]
fn forwarded_fields_of_strangers_are_made_anew() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    gateway.get(
        "/x",
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil.example\r\nX-Request-Id: chosen-by-the-client\r\n",
    );
    let request = backend.request();
    assert_eq!(request.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.get("x-forwarded-proto"), Some("http"));
    assert_eq!(request.get("x-forwarded-host"), Some("shop.example"));
    assert_ne!(request.get("x-request-id"), Some("chosen-by-the-client"));
}

#[test]
fn forwarded_fields_of_trusted_proxies_are_believed() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .server("trusted_proxies", "[\"127.0.0.0/8\"]")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let response = gateway.get(
        "/x",
        "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\n\
         X-Request-Id: edge-4711\r\n",
    );
    let request = backend.request();
    assert_eq!(request.get("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    assert_eq!(request.get("x-forwarded-host"), Some("public.example"));
    assert_eq!(request.get("x-request-id"), Some("edge-4711"));
    assert_eq!(response.get("x-request-id"), Some("edge-4711"));
}

#[test]
fn each_request_has_an_id_that_client_and_backend_share() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let ids: Vec<_> =
        (0..3).map(|_| gateway.get("/x", "").get("x-request-id").expect("an id for the client").to_owned()).collect();
    let sent: Vec<_> =
        backend.requests().iter().map(|request| request.get("x-request-id").expect("an id").to_owned()).collect();
    assert_eq!(ids, sent);
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}

#[test]
fn trace_context_is_passed_on_or_begun() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    gateway.get("/x", &format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n"));
    gateway.get("/x", "");
    gateway.get("/x", "traceparent: nonsense\r\n");
    let parents: Vec<_> =
        backend.requests().iter().map(|request| request.get("traceparent").expect("traceparent").to_owned()).collect();
    assert_eq!(parents[0].split('-').nth(1), Some(trace));
    for parent in &parents {
        let lengths: Vec<_> = parent.split('-').map(str::len).collect();
        assert_eq!(lengths, [2, 32, 16, 2], "{parent}");
    }
    assert_ne!(parents[1].split('-').nth(1), parents[2].split('-').nth(1));
}

#[test]
fn decision_is_shown_only_when_asked_for() {
    let backend = FakeBackend::echoing();
    let silent = TestGateway::before(&backend);
    assert_eq!(silent.get("/x", "").get("x-figway-decision"), None);
    let open = TestGateway::builder()
        .server("debug_headers", "true")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let response = open.get("/x", "");
    let decision = response.get("x-figway-decision").expect("a decision");
    assert!(decision.starts_with("route=all; backend=backend"), "{decision}");
}
