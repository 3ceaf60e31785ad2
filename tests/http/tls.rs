//! TLS from clients (names, protocols, certificates that change) and to backends.

use std::time::{Duration, Instant};

use crate::support::tls::{Authority, Certificate, TlsClient, tls_backend};
use crate::support::{FakeBackend, RawClient, TestGateway, eventually};

struct Secured {
    gateway: TestGateway,
    backend: FakeBackend,
    authority: Authority,
    shop: Certificate,
    other: Certificate,
}

fn secured() -> Secured {
    let authority = Authority::new();
    let (shop, other) = (authority.issue("shop.example"), authority.issue("other.example"));
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .file("shop.pem", &shop.chain)
        .file("shop.key", &shop.key)
        .file("other.pem", &other.chain)
        .file("other.key", &other.key)
        .server("tls", "{certificates: [{cert: shop.pem, key: shop.key}, {cert: other.pem, key: other.key}]}")
        .server("timeouts", "{header: 400ms}")
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    Secured { gateway, backend, authority, shop, other }
}

impl Secured {
    fn connect(&self, name: &str, alpn: &[&str]) -> std::io::Result<TlsClient> {
        TlsClient::connect(self.gateway.address, name, self.authority.client_config(alpn))
    }
}

#[test]
fn each_name_is_shown_its_own_certificate() {
    let secured = secured();
    for (name, certificate) in [("shop.example", &secured.shop), ("other.example", &secured.other)] {
        assert_eq!(secured.connect(name, &[]).expect("a handshake").shown(), certificate.der());
    }
    // An unknown name is shown the first certificate, which its client then refuses.
    assert!(secured.connect("unknown.example", &[]).is_err());
}

#[test]
fn protocol_is_what_both_sides_prefer() {
    let secured = secured();
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let client = secured.connect("shop.example", offered).expect("a handshake");
        assert_eq!(client.protocol().as_deref(), chosen, "{offered:?}");
    }
}

#[test]
fn request_over_tls_is_forwarded_as_such() {
    let secured = secured();
    let mut client = secured.connect("shop.example", &["http/1.1"]).expect("a handshake");
    for number in 0..3 {
        let target = format!("/{number}");
        assert_eq!(client.get(&target).text(), target);
    }
    assert_eq!(secured.backend.requests()[0].get("x-forwarded-proto"), Some("https"));
}

#[test]
fn renewed_certificate_is_shown_without_a_restart() {
    let secured = secured();
    let mut old = secured.connect("shop.example", &[]).expect("a handshake");
    let renewed = secured.authority.issue("shop.example");
    // Written one after the other, as renewal tools do: for a moment they don't match.
    secured.gateway.replace("shop.pem", &renewed.chain);
    secured.gateway.replace("shop.key", &renewed.key);
    eventually("the renewed certificate is shown", || {
        secured.connect("shop.example", &[]).is_ok_and(|client| client.shown() == renewed.der())
    });
    assert_eq!(old.get("/x").status, 200, "connections that stand are not touched");
}

#[test]
fn certificate_without_its_key_keeps_the_last_good_one() {
    let secured = secured();
    secured.gateway.replace("shop.pem", &secured.authority.issue("shop.example").chain);
    eventually("the mismatch is noticed", || secured.gateway.metric("figway_config_last_reload_success") < 0.5);
    assert_eq!(secured.connect("shop.example", &[]).expect("a handshake").shown(), secured.shop.der());
}

#[test]
fn stalled_handshake_is_cut_and_plain_text_refused() {
    let secured = secured();
    let begun = Instant::now();
    for bytes in [&b""[..], b"\x16\x03\x01\x00\xc8\x01", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = RawClient::connect(secured.gateway.address);
        let answer = client.send(bytes).rest();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "served without TLS");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(secured.backend.connections(), 0);
}

#[test]
fn backend_is_asked_for_by_name_and_verified() {
    let authority = Authority::new();
    let address = tls_backend(&authority.issue("backend.example"));
    let gateway = TestGateway::builder()
        .file("ca.pem", &authority.root())
        .file("stranger.pem", &Authority::new().root())
        .backend_with("named", &[address], ", tls: {ca: ca.pem, sni: backend.example}")
        .backend_with("misnamed", &[address], ", tls: {ca: ca.pem, sni: other.example}")
        .backend_with("untrusted", &[address], ", tls: {ca: stranger.pem, sni: backend.example}")
        .route(r#"{name: named, path: "/named", auth: none, backend: named}"#)
        .route(r#"{name: misnamed, path: "/misnamed", auth: none, backend: misnamed}"#)
        .route(r#"{name: untrusted, path: "/untrusted", auth: none, backend: untrusted}"#)
        .start();
    assert_eq!(gateway.get("/named", "").text(), "backend.example");
    for path in ["/misnamed", "/untrusted"] {
        let response = gateway.get(path, "");
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-unreachable"), "{path}");
    }
}
