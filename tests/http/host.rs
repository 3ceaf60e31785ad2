//! Exactly one well-formed host, and the target's own authority wins (RFC 9112 section 3.2).

use crate::abuse::Abuse;

#[test]
fn missing_repeated_and_malformed_hosts_are_refused() {
    let abuse = Abuse::new();
    for headers in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host:\r\n",
        "Host: a b\r\n",
        "Host: a, b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: a:b\r\n",
        "Host: a:99999\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: http://a\r\n",
    ] {
        let response = abuse.refuses(format!("GET /x HTTP/1.1\r\n{headers}\r\n"), &[400]);
        assert_eq!(response.problem(), "invalid-host", "{headers:?}");
    }
}

#[test]
fn well_formed_hosts_reach_the_backend_unchanged() {
    let abuse = Abuse::new();
    for host in ["shop.example", "SHOP.example", "shop.example:8443", "127.0.0.1", "[::1]", "[::1]:80", "a_b.example"] {
        let response = abuse.gateway.exchange(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.status, 200, "{host}");
        assert_eq!(abuse.backend.requests().last().expect("a request").get("host"), Some(host));
    }
}

#[test]
fn authority_of_an_absolute_target_wins_over_host() {
    let abuse = Abuse::new();
    let response = abuse.gateway.exchange("GET http://real.example:81/x?q=1 HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(response.status, 200);
    let request = abuse.backend.request();
    assert_eq!(request.target(), "/x?q=1");
    assert_eq!(request.get("host"), Some("real.example:81"));
}

#[test]
fn absolute_target_is_as_strict_as_host() {
    let abuse = Abuse::new();
    for target in ["http://user:secret@a/x", "http:///x", "ftp://a/x", "http://a:99999/x"] {
        abuse.refuses(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &[400]);
    }
    abuse.refuses("GET http://a/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]);
}
