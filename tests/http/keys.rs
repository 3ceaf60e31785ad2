//! Keys that an issuer publishes by URL: rotation, reloads and an issuer that is down.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::support::{FakeBackend, Response, TestGateway, TokenMint, eventually};

/// An issuer whose document can be exchanged, and taken away.
struct Published {
    document: Arc<Mutex<Option<String>>>,
    server: FakeBackend,
}

impl Published {
    fn new(document: String) -> Self {
        let document = Arc::new(Mutex::new(Some(document)));
        let shown = Arc::clone(&document);
        let server = FakeBackend::answering(move |_| match &*shown.lock().expect("a turn") {
            Some(document) => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}", document.len()),
            None => "HTTP/1.1 500 Down\r\ncontent-length: 0\r\n\r\n".into(),
        });
        Self { document, server }
    }

    fn publish(&self, document: Option<String>) {
        *self.document.lock().expect("a turn") = document;
    }

    fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

/// A gateway that trusts the mint's tokens and fetches its keys; `jwks` holds further keys, each begun with a comma.
fn gateway(mint: &TokenMint, issuer: &Published, backend: &FakeBackend, jwks: &str) -> TestGateway {
    let url = format!("{{url: \"http://{}/jwks.json\"{jwks}}}", issuer.server.address);
    TestGateway::builder()
        .section("auth", mint.auth_section().replace("{file: jwks.json}", &url))
        .backend("backend", backend)
        .route(r#"{name: all, path: "/{*rest}", auth: required, backend: backend}"#)
        .start()
}

fn bearer(gateway: &TestGateway, token: &str) -> Response {
    gateway.get("/x", &format!("Authorization: Bearer {token}\r\n"))
}

/// The mint's key set under another key id, and a token that names it.
fn rotated(mint: &TokenMint) -> (String, String) {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "next-key" });
    (mint.jwks().replace("test-key", "next-key"), mint.sign(&header, &TokenMint::claims("user-1")))
}

/// Changes the configuration and waits until it is in effect.
#[track_caller]
fn reconfigure(gateway: &TestGateway, from: &str, to: &str) {
    let text = fs::read_to_string(gateway.path("gateway.yaml")).expect("the configuration");
    assert!(text.contains(from), "{text}");
    let revision = gateway.metric("figway_config_revision_number");
    gateway.replace("gateway.yaml", &text.replace(from, to));
    eventually("the reload", || gateway.metric("figway_config_revision_number") > revision);
}

#[test]
fn keys_are_there_when_the_gateway_is_ready() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, "");
    assert_eq!(issuer.fetches(), 1);
    assert_eq!(bearer(&gateway, &mint.token("user-1")).status, 200);
    assert_eq!(issuer.fetches(), 1, "known keys are not asked for");
}

#[test]
fn changed_settings_of_an_issuer_lose_none_of_its_keys() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, ", refresh: 10m");
    let token = mint.token("user-1");
    assert_eq!(bearer(&gateway, &token).status, 200);
    issuer.publish(None);
    for (from, to) in [
        ("refresh: 10m", "refresh: 20m"),
        ("leeway: 0s", "leeway: 5s"),
        ("audiences: [shop-api]", "audiences: [shop-api, other-api]"),
        ("algorithms: [ES256]", "algorithms: [ES256, RS256]"),
        (", refresh: 20m", ""),
    ] {
        reconfigure(&gateway, from, to);
        assert_eq!(bearer(&gateway, &token).status, 200, "{to}");
        assert_eq!(bearer(&gateway, &mint.token("user-2")).status, 200, "{to}: a token that no cache knows");
    }
    assert_eq!(issuer.fetches(), 1, "what was fetched just before needs no repetition");
}

#[test]
fn first_token_of_a_new_key_finds_it() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, "");
    let old = mint.token("user-1");
    assert_eq!(bearer(&gateway, &old).status, 200);
    let (document, token) = rotated(&mint);
    issuer.publish(Some(document));
    assert_eq!(bearer(&gateway, &token).status, 200);
    assert_eq!(bearer(&gateway, &old).status, 401, "its key is no longer published, so no cache vouches for it");
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn invented_key_ids_ask_the_issuer_once() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, "");
    for number in 0..20 {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": format!("invented-{number}") });
        let response = bearer(&gateway, &mint.sign(&header, &TokenMint::claims("user-1")));
        assert_eq!((response.status, response.problem().as_str()), (401, "token-invalid"));
    }
    assert_eq!(issuer.fetches(), 2);
}

#[test]
fn issuer_that_is_down_is_not_the_client_s_fault() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, "");
    issuer.publish(None);
    let response = bearer(&gateway, &rotated(&mint).1);
    assert_eq!((response.status, response.problem().as_str()), (503, "keys-unavailable"));
    assert!(response.get("retry-after").is_some());
    assert_eq!(bearer(&gateway, &mint.token("user-1")).status, 200, "keys that were fetched serve on");
    assert_eq!(bearer(&gateway, &TokenMint::new().token("user-1")).status, 401, "a forgery is one all the same");
    for (outcome, count) in [("unavailable", 1), ("verified", 1), ("invalid", 1)] {
        let line = format!("figway_auth_outcomes_total{{outcome=\"{outcome}\"}} {count}");
        assert!(gateway.admin_get("/metrics").text().contains(&line), "{line}");
    }
}

#[test]
fn tokens_of_a_new_issuer_wait_for_its_first_keys() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    let gateway = gateway(&mint, &issuer, &backend, "");
    let document = mint.jwks();
    let slow = FakeBackend::answering(move |_| {
        std::thread::sleep(Duration::from_millis(300));
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}", document.len())
    });
    let (from, to) = (issuer.server.address.to_string(), slow.address.to_string());
    reconfigure(&gateway, &from, &to);
    assert_eq!(bearer(&gateway, &mint.token("user-1")).status, 200);
}

#[test]
fn keys_that_can_not_be_had_are_a_503_at_once() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let issuer = Published::new(mint.jwks());
    issuer.publish(None);
    let gateway = gateway(&mint, &issuer, &backend, "");
    let response = bearer(&gateway, &mint.token("user-1"));
    assert_eq!((response.status, response.problem().as_str()), (503, "keys-unavailable"));
    issuer.publish(Some(mint.jwks()));
    eventually("the keys are fetched", || bearer(&gateway, &mint.token("user-1")).status == 200);
}
