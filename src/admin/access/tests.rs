//! Who is admitted, case by case.

use super::*;

const TOKENS: [(&str, Role, &str); 2] = [("vera", Role::Viewer, "look-only"), ("alice", Role::Operator, "s3cret")];

struct Asks {
    access: AnonymousAccess,
    method: Method,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    local: &'static str,
    peer: &'static str,
}

/// An anonymous GET with curl from the same machine.
fn asks() -> Asks {
    Asks {
        access: AnonymousAccess::Read,
        method: Method::GET,
        target: "/admin/v1/flags",
        headers: vec![("host", "127.0.0.1:9901")],
        local: "127.0.0.1:9901",
        peer: "127.0.0.1:50000",
    }
}

fn check(asks: &Asks, needed: Role) -> Result<Caller, Code> {
    let tokens = TOKENS.map(|(name, role, secret)| AdminToken { name: name.into(), role, secret: secret.into() });
    let admin = Admin { anonymous: asks.access, tokens: tokens.into() };
    let mut headers = HeaderMap::new();
    for (name, value) in &asks.headers {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let ends = Ends { local: asks.local.parse().expect("an address"), peer: asks.peer.parse().expect("an address") };
    let call = Call { method: &asks.method, uri: &Uri::from_static(asks.target), headers: &headers, ends };
    admit(&admin, call, needed).map_err(|refusal| refusal.problem().code)
}

fn with_host(host: &'static str) -> Asks {
    Asks { headers: vec![("host", host)], ..asks() }
}

fn with_token(value: &'static str) -> Asks {
    Asks { headers: vec![("host", "evil.example"), ("authorization", value)], ..asks() }
}

fn plus(header: (&'static str, &'static str)) -> Asks {
    let mut asks = asks();
    asks.headers.push(header);
    asks
}

#[test]
fn anonymous_reads_and_is_asked_for_a_token_to_change() {
    assert_eq!(check(&asks(), Role::Viewer).map(|caller| caller.actor), Ok("anonymous".into()));
    assert_eq!(check(&asks(), Role::Operator), Err(Code::TokenMissing));
    let closed = Asks { access: AnonymousAccess::None, ..asks() };
    assert_eq!(check(&closed, Role::Viewer), Err(Code::TokenMissing));
}

#[test]
fn anonymous_operates_only_between_loopback_addresses() {
    let operate = Asks { access: AnonymousAccess::Operate, ..asks() };
    assert!(check(&operate, Role::Operator).is_ok());
    let mapped = Asks { local: "[::ffff:127.0.0.1]:9901", peer: "[::ffff:127.0.0.1]:50000", ..operate };
    assert!(check(&mapped, Role::Operator).is_ok());
    let remote = Asks {
        access: AnonymousAccess::Operate,
        local: "10.0.0.5:9901",
        peer: "10.0.0.9:50000",
        ..with_host("10.0.0.5:9901")
    };
    assert_eq!(check(&remote, Role::Operator), Err(Code::TokenMissing));
    assert!(check(&remote, Role::Viewer).is_ok());
}

#[test]
fn a_token_decides_the_role_from_anywhere() {
    assert_eq!(check(&with_token("Bearer s3cret"), Role::Operator).map(|caller| caller.actor), Ok("alice".into()));
    assert_eq!(check(&with_token("bearer s3cret"), Role::Viewer).map(|caller| caller.actor), Ok("alice".into()));
    assert_eq!(check(&with_token("Bearer look-only"), Role::Viewer).map(|caller| caller.actor), Ok("vera".into()));
    assert_eq!(check(&with_token("Bearer look-only"), Role::Operator), Err(Code::Forbidden));
}

#[test]
fn credentials_that_do_not_hold_are_refused_even_where_none_are_needed() {
    for value in ["Bearer wrong", "Bearer s3cre", "Bearer s3crets", "Bearer ", "Bearer", "Basic czNjcmV0", "s3cret", ""]
    {
        assert_eq!(check(&with_token(value), Role::Viewer), Err(Code::TokenInvalid), "{value:?}");
    }
    let mut twice = with_token("Bearer s3cret");
    twice.headers.push(("authorization", "Bearer s3cret"));
    assert_eq!(check(&twice, Role::Viewer), Err(Code::TokenInvalid));
}

#[test]
fn an_empty_secret_never_matches() {
    let token = AdminToken { name: "nobody".into(), role: Role::Operator, secret: "".into() };
    assert!(known(&[token], "").is_none());
}

#[test]
fn anonymous_host_must_be_this_machine() {
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:9901", "[::ffff:127.0.0.1]"] {
        assert!(check(&with_host(host), Role::Viewer).is_ok(), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:9901",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.5",
        "localhost@evil.example",
    ] {
        assert_eq!(check(&with_host(host), Role::Viewer), Err(Code::Forbidden), "{host}");
    }
    let listener = Asks { local: "10.0.0.5:9901", peer: "10.0.0.9:50000", ..with_host("10.0.0.5:9901") };
    assert!(check(&listener, Role::Viewer).is_ok());
}

#[test]
fn a_host_that_is_missing_doubled_or_no_host_is_a_bad_request() {
    assert_eq!(check(&Asks { headers: vec![], ..asks() }, Role::Viewer), Err(Code::InvalidHost));
    assert_eq!(check(&with_host("a b"), Role::Viewer), Err(Code::InvalidHost));
    assert_eq!(check(&plus(("host", "localhost")), Role::Viewer), Err(Code::InvalidHost));
}

#[test]
fn the_authority_of_an_absolute_target_counts_not_the_header() {
    let asks = Asks { target: "http://evil.example/admin/v1/flags", ..asks() };
    assert_eq!(check(&asks, Role::Viewer), Err(Code::Forbidden));
}

#[test]
fn a_page_of_another_origin_may_not_call() {
    for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1", "127.0.0.1:9901", ""] {
        assert_eq!(check(&plus(("origin", origin)), Role::Viewer), Err(Code::Forbidden), "{origin:?}");
    }
    assert!(check(&plus(("origin", "http://127.0.0.1:9901")), Role::Viewer).is_ok());
    for site in ["cross-site", "same-site", "nonsense"] {
        assert_eq!(check(&plus(("sec-fetch-site", site)), Role::Viewer), Err(Code::Forbidden), "{site}");
    }
    for site in ["same-origin", "none"] {
        assert!(check(&plus(("sec-fetch-site", site)), Role::Viewer).is_ok(), "{site}");
    }
}

#[test]
fn a_followed_link_may_open_a_page_but_a_form_may_not_post() {
    let navigation = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let mut link = asks();
    link.headers.extend(navigation);
    assert!(check(&link, Role::Viewer).is_ok());
    let form = Asks { method: Method::POST, ..link };
    assert_eq!(check(&form, Role::Viewer), Err(Code::Forbidden));
    let mut frame = asks();
    frame.headers.extend([navigation[0], navigation[1], ("sec-fetch-dest", "iframe")]);
    assert_eq!(check(&frame, Role::Viewer), Err(Code::Forbidden));
}
