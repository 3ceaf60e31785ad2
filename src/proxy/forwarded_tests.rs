//! What reaches a backend, of what clients claim.

use super::*;

fn head(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead { authority: "shop.example".into(), ..RequestHead::default() };
    for (name, value) in fields {
        head.fields.push(name, value.as_bytes());
    }
    head
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn sent(head: &mut RequestHead, peer: &str, trusted: &[&str]) -> String {
    let trusted: Vec<IpAddr> = trusted.iter().map(|text| ip(text)).collect();
    let origin = Origin::of(head, &Peer::new(ip(peer), true), |ip| trusted.contains(&ip));
    strip_client_claims(head, &origin, &StripList::new(&["x-user-id".into()]));
    let mut ids = IdSource::new(1);
    let id = request_id(head, &origin, &mut ids);
    prepare(head, &origin, &id, None, &mut ids);
    let mut out = Vec::new();
    head.fields.write_lines(&mut out);
    String::from_utf8(out).expect("text").to_lowercase()
}

#[test]
fn identity_headers_of_clients_are_dropped_in_every_spelling() {
    let text = sent(
        &mut head(&[
            ("X-User-Id", "1"),
            ("x_user_id", "2"),
            ("X-USER_ID", "3"),
            ("x.user~id", "1"),
            ("x-user-idx", "4"),
        ]),
        "10.0.0.9",
        &[],
    );
    assert!(!text.contains(": 1\r\n") && !text.contains(": 2\r\n") && !text.contains(": 3\r\n"), "{text}");
    assert!(text.contains("x-user-idx: 4"));
}

#[test]
fn twins_of_fields_that_frame_a_message_are_dropped() {
    let twins = [("Content_Length", "9"), ("transfer.encoding", "chunked"), ("Transfer_Encodings", "kept")];
    let text = sent(&mut head(&[twins[0], twins[1], twins[2], ("Content-Length", "2")]), "10.0.0.9", &[]);
    assert!(!text.contains(": 9\r\n") && !text.contains(": chunked"), "{text}");
    assert!(text.contains("transfer_encodings: kept") && text.contains("content-length: 2"), "{text}");
}

#[test]
fn a_stranger_begins_its_own_chain() {
    let text = sent(
        &mut head(&[
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Prefix", "/x"),
            ("x_forwarded_for", "5.6.7.8"),
            ("Forwarded", "for=1.2.3.4"),
            ("X-Request-Id", "mine"),
        ]),
        "10.0.0.9",
        &[],
    );
    assert!(text.contains("x-forwarded-for: 10.0.0.9\r\n"), "{text}");
    assert!(text.contains("x-forwarded-proto: https\r\n"));
    assert!(text.contains("x-forwarded-host: shop.example\r\n"));
    assert!(
        !text.contains("1.2.3.4") && !text.contains("5.6.7.8") && !text.contains("mine") && !text.contains("prefix")
    );
}

#[test]
fn a_trusted_peer_continues_its_chain() {
    let mut request = head(&[
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-For", "10.0.0.8"),
        ("X-Forwarded-Proto", "http"),
        ("X-Request-Id", "mine"),
    ]);
    let origin = Origin::of(&request, &Peer::new(ip("10.0.0.9"), false), |peer| {
        [ip("10.0.0.8"), ip("10.0.0.9")].contains(&peer)
    });
    assert_eq!(origin.client, ip("1.2.3.4"));
    let text = sent(&mut request, "10.0.0.9", &["10.0.0.8", "10.0.0.9"]);
    assert!(text.contains("x-forwarded-for: 1.2.3.4, 10.0.0.8, 10.0.0.9\r\n"), "{text}");
    assert!(text.contains("x-forwarded-proto: http\r\n") && text.contains("x-request-id: mine\r\n"));
}

/// A load balancer that is trusted passes on whatever its clients call `x_forwarded_for`.
#[test]
fn twins_are_dropped_also_behind_a_trusted_peer() {
    let claims = [("X_Forwarded_For", "6.6.6.1"), ("x-forwarded_proto", "6.6.6.2"), ("X_Request_Id", "6.6.6.3")];
    let text = sent(&mut head(&claims), "10.0.0.9", &["10.0.0.9"]);
    assert!(!text.contains("6.6.6."), "{text}");
}

#[test]
fn a_hop_in_ipv6_clothes_is_the_ipv4_address_that_it_is() {
    let request = head(&[("X-Forwarded-For", "1.2.3.4, ::ffff:10.0.0.8")]);
    let origin = Origin::of(&request, &Peer::new(ip("10.0.0.9"), false), |peer| {
        [ip("10.0.0.8"), ip("10.0.0.9")].contains(&peer)
    });
    assert_eq!(origin.client, ip("1.2.3.4"));
}

/// Only the first line once reached the backend.
#[test]
fn all_protocols_that_a_client_offers_are_offered_to_the_backend() {
    let mut request = head(&[("Upgrade", "chat/2"), ("Accept", "*/*"), ("Upgrade", "websocket, chat/1")]);
    request.upgrade = true;
    let text = sent(&mut request, "10.0.0.9", &[]);
    assert!(text.contains("\r\nupgrade: chat/2, websocket, chat/1\r\n"), "{text}");
    assert_eq!(text.matches("upgrade").count(), 1, "{text}");
}

#[test]
fn what_stands_before_an_unreadable_hop_is_not_believed() {
    let request = head(&[("X-Forwarded-For", "1.2.3.4, unknown, 10.0.0.8")]);
    let origin = Origin::of(&request, &Peer::new(ip("10.0.0.9"), false), |peer| {
        [ip("10.0.0.8"), ip("10.0.0.9")].contains(&peer)
    });
    assert_eq!(origin.client, ip("10.0.0.9"));
}

#[test]
fn hop_by_hop_fields_and_proxy_never_reach_a_backend() {
    let text = sent(
        &mut head(&[
            ("Connection", "keep-alive"),
            ("Keep-Alive", "x"),
            ("Proxy", "http://evil"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "x"),
        ]),
        "10.0.0.9",
        &[],
    );
    for name in ["connection", "keep-alive", "proxy", "te:", "upgrade", "http2-settings", "transfer-encoding"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[test]
fn a_valid_trace_goes_on_and_a_broken_one_begins_anew() {
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert!(sent(&mut head(&[("traceparent", valid), ("tracestate", "a=b")]), "10.0.0.9", &[]).contains(valid));
    let text = sent(&mut head(&[("traceparent", "broken"), ("tracestate", "a=b")]), "10.0.0.9", &[]);
    assert!(text.contains("traceparent: 00-") && !text.contains("broken") && !text.contains("tracestate"));
}
