//! Who is let in: each defect of a token is a 401 that says so, on every method and on upgrades.

use serde_json::{Value, json};

use crate::support::{FakeBackend, Response, TestGateway, TokenMint, unix_now};

fn guarded(mint: &TokenMint) -> (TestGateway, FakeBackend) {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .auth(mint)
        .backend("backend", &backend)
        .route(r#"{name: optional, path: "/optional/{*rest}", auth: optional, backend: backend}"#)
        .route(r#"{name: open, path: "/open/{*rest}", auth: none, backend: backend}"#)
        .route(r#"{name: all, path: "/{*rest}", auth: required, backend: backend}"#)
        .start();
    (gateway, backend)
}

fn bearer(gateway: &TestGateway, target: &str, token: &str) -> Response {
    gateway.get(target, &format!("Authorization: Bearer {token}\r\n"))
}

#[track_caller]
fn assert_challenge(response: &Response, code: &str) {
    assert_eq!((response.status, response.problem().as_str()), (401, code));
    let challenge = response.get("www-authenticate").expect("WWW-Authenticate");
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    assert_eq!(challenge.contains("error=\"invalid_token\""), code == "token-invalid", "{challenge}");
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn without(mut object: Value, key: &str) -> Value {
    object.as_object_mut().expect("an object").remove(key);
    object
}

#[test]
fn good_token_is_let_in_and_passed_on() {
    let mint = TokenMint::new();
    let (gateway, backend) = guarded(&mint);
    let token = mint.token("user-1");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let response = gateway.get("/x", &format!("Authorization: {scheme} {token}\r\n"));
        assert_eq!(response.status, 200, "{scheme}");
        let sent = backend.requests().last().expect("a request").get("authorization").map(str::to_owned);
        assert_eq!(sent, Some(format!("{scheme} {token}")));
    }
}

#[test]
fn missing_token_is_a_401_on_every_method_and_on_upgrades() {
    let (gateway, backend) = guarded(&TokenMint::new());
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE", "get"] {
        let response = gateway.exchange(format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_challenge(&response, "token-missing");
    }
    let mut client = gateway.client();
    let response = client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").response_to_head();
    assert_eq!((response.status, response.get("x-figway-error")), (401, Some("token-missing")));
    for upgrade in ["websocket", "h2c", "anything"] {
        let response = gateway.get("/x", &format!("Connection: Upgrade\r\nUpgrade: {upgrade}\r\n"));
        assert_challenge(&response, "token-missing");
    }
    let preflight = "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n\
                     Access-Control-Request-Method: GET\r\n\r\n";
    assert_challenge(&gateway.exchange(preflight), "token-missing");
    assert_eq!(backend.connections(), 0);
}

#[test]
fn defective_claims_are_a_401() {
    let mint = TokenMint::new();
    let (gateway, backend) = guarded(&mint);
    let (good, now) = (TokenMint::claims("user-1"), unix_now());
    for claims in [
        with(good.clone(), "exp", json!(now - 1)),
        with(good.clone(), "exp", json!("tomorrow")),
        with(good.clone(), "nbf", json!(now + 3600)),
        with(good.clone(), "iss", json!("https://evil.example")),
        with(good.clone(), "iss", json!(["https://auth.shop.example"])),
        with(good.clone(), "aud", json!("other-api")),
        with(good.clone(), "aud", json!(["other-api", "third-api"])),
        with(good.clone(), "exp", json!({"at": now + 3600})),
        with(good.clone(), "nbf", json!("now")),
        with(good.clone(), "iat", json!("yesterday")),
        with(good.clone(), "aud", json!(7)),
        with(good.clone(), "sub", json!("")),
        with(good.clone(), "sub", json!(42)),
        with(good.clone(), "sub", json!(null)),
        with(good.clone(), "sub", json!(["user-1"])),
        with(good.clone(), "sub", json!("user-1\r\nx-user-role: admin")),
        with(good.clone(), "sub", json!("u".repeat(513))),
        without(good.clone(), "sub"),
        without(good.clone(), "exp"),
        without(good.clone(), "iss"),
        without(good.clone(), "aud"),
        json!([]),
        json!("claims"),
    ] {
        let token = mint.sign(&TokenMint::header(), &claims);
        assert_challenge(&bearer(&gateway, "/x", &token), "token-invalid");
    }
    assert_eq!(backend.connections(), 0);
    for claims in [
        with(good.clone(), "aud", json!(["other-api", "shop-api"])),
        with(good.clone(), "exp", json!(now as f64 + 3600.5)),
        with(good, "sub", json!("Zoë | auth0")),
    ] {
        assert_eq!(bearer(&gateway, "/x", &mint.sign(&TokenMint::header(), &claims)).status, 200, "{claims}");
    }
    assert_eq!(backend.requests().last().expect("a request").get("x-user-id"), Some("Zo%C3%AB | auth0"));
}

#[test]
fn defective_headers_and_signatures_are_a_401() {
    let mint = TokenMint::new();
    let (gateway, backend) = guarded(&mint);
    let (header, claims) = (TokenMint::header(), TokenMint::claims("user-1"));
    let good = mint.token("user-1");
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let mut tampered: Vec<&str> = good.split('.').collect();
    let other_claims = mint.token("admin");
    tampered[1] = other_claims.split('.').nth(1).expect("claims");
    for token in [
        TokenMint::unsigned(&claims),
        mint.sign_with_public_key(&claims),
        TokenMint::new().token("user-1"),
        tampered.join("."),
        format!("{signed}."),
        signed.to_owned(),
        format!("{good}.extra"),
        format!("{signed}.{}", &signature[..signature.len() - 4]),
        format!("{good}="),
        mint.sign(&with(header.clone(), "alg", json!("RS256")), &claims),
        mint.sign(&with(header.clone(), "alg", json!("none")), &claims),
        mint.sign(&with(header.clone(), "kid", json!("unknown")), &claims),
        mint.sign(&with(header.clone(), "crit", json!(["exp"])), &claims),
        mint.sign(&with(header.clone(), "crit", json!([])), &claims),
        mint.sign(&with(header.clone(), "typ", json!("application/secevent+jwt")), &claims),
        mint.sign(&with(header.clone(), "kid", json!(7)), &claims),
        mint.sign(&without(header.clone(), "alg"), &claims),
        "nonsense".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(20_000),
    ] {
        assert_challenge(&bearer(&gateway, "/x", &token), "token-invalid");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn malformed_credentials_are_never_let_in() {
    let mint = TokenMint::new();
    let (gateway, backend) = guarded(&mint);
    let token = mint.token("user-1");
    for lines in [
        "Authorization:\r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Basic dXNlcjpwYXNz\r\n".to_owned(),
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Bearer {token} {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Basic abc\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}, Bearer {token}\r\n"),
        format!("Authorisation: Bearer {token}\r\n"),
    ] {
        let response = gateway.get("/x", &lines);
        assert!([400, 401].contains(&response.status), "{lines:?}: {}", response.status);
        response.problem();
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn optional_token_is_verified_when_present() {
    let mint = TokenMint::new();
    let (gateway, backend) = guarded(&mint);
    assert_eq!(gateway.get("/optional/x", "").status, 200);
    assert_eq!(bearer(&gateway, "/optional/x", &mint.token("user-1")).status, 200);
    assert_challenge(&bearer(&gateway, "/optional/x", "nonsense"), "token-invalid");
    let users: Vec<_> = backend.requests().iter().map(|request| request.get("x-user-id").map(str::to_owned)).collect();
    assert_eq!(users, [None, Some("user-1".to_owned())]);
}

#[test]
fn open_route_does_not_look_at_tokens() {
    let (gateway, backend) = guarded(&TokenMint::new());
    assert_eq!(bearer(&gateway, "/open/x", "nonsense").status, 200);
    assert_eq!(backend.request().get("authorization"), Some("Bearer nonsense"));
    assert_eq!(backend.request().get("x-user-id"), None);
}

#[test]
fn expired_token_is_refused_though_it_was_good_a_moment_ago() {
    let mint = TokenMint::new();
    let (gateway, _backend) = guarded(&mint);
    let expires = unix_now() + 2;
    let token = mint.sign(&TokenMint::header(), &with(TokenMint::claims("user-1"), "exp", json!(expires)));
    assert_eq!(bearer(&gateway, "/x", &token).status, 200);
    crate::support::eventually("the token expires", || bearer(&gateway, "/x", &token).status == 401);
    assert!(unix_now() >= expires, "refused before its time");
}
