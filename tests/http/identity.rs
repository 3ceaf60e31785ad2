//! Identity headers come from the verified token and from nowhere else.

use serde_json::json;

use crate::support::{FakeBackend, Request, TestGateway, TokenMint};

/// Everything that any backend framework might read as this header.
fn twins<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    let dashed = |known: &str| known.to_ascii_lowercase().replace('_', "-");
    let fields = request.head.fields.iter().filter(|(known, _)| dashed(known) == name);
    fields.map(|(_, value)| value.as_str()).collect()
}

fn setup(auth: &str) -> (TestGateway, FakeBackend, TokenMint) {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let gateway = TestGateway::builder()
        .auth(&mint)
        .backend("backend", &backend)
        .route(&format!(r#"{{name: all, path: "/{{*rest}}", auth: {auth}, backend: backend}}"#))
        .start();
    (gateway, backend, mint)
}

const SPOOFED: &str = "X-User-Id: admin\r\nx-user-id: admin\r\nX_User_Id: admin\r\nX-User_ID: admin\r\n\
                       X-USER-ROLE: root\r\nx_user_role: root\r\n";

#[test]
fn claims_reach_the_backend_as_configured() {
    let (gateway, backend, mint) = setup("required");
    gateway.get("/x", &format!("Authorization: Bearer {}\r\n", mint.token("user-1")));
    assert_eq!(backend.request().get("x-user-id"), Some("user-1"));
    assert_eq!(backend.request().get("x-user-role"), Some("customer"));
}

#[test]
fn spoofed_headers_are_replaced_by_the_tokens() {
    let (gateway, backend, mint) = setup("required");
    gateway.get("/x", &format!("Authorization: Bearer {}\r\n{SPOOFED}", mint.token("user-1")));
    assert_eq!(twins(&backend.request(), "x-user-id"), ["user-1"]);
    assert_eq!(twins(&backend.request(), "x-user-role"), ["customer"]);
}

#[test]
fn spoofed_headers_are_stripped_without_a_token() {
    for auth in ["optional", "none"] {
        let (gateway, backend, _) = setup(auth);
        assert_eq!(gateway.get("/x", SPOOFED).status, 200);
        assert_eq!(twins(&backend.request(), "x-user-id"), Vec::<&str>::new(), "{auth}");
        assert_eq!(twins(&backend.request(), "x-user-role"), Vec::<&str>::new(), "{auth}");
    }
}

#[test]
fn missing_claim_leaves_no_header_for_the_client_to_fill() {
    let (gateway, backend, mint) = setup("required");
    let mut claims = TokenMint::claims("user-1");
    claims.as_object_mut().expect("claims").remove("role");
    let token = mint.sign(&TokenMint::header(), &claims);
    gateway.get("/x", &format!("Authorization: Bearer {token}\r\n{SPOOFED}"));
    assert_eq!(twins(&backend.request(), "x-user-id"), ["user-1"]);
    assert_eq!(twins(&backend.request(), "x-user-role"), Vec::<&str>::new());
}

#[test]
fn claims_outside_printable_ascii_are_escaped_and_inject_nothing() {
    let (gateway, backend, mint) = setup("required");
    for (role, header) in [
        (json!("a\r\nx-evil: 1"), Some("a%0D%0Ax-evil: 1")),
        (json!("a\nb\0\u{7f}"), Some("a%0Ab%00%7F")),
        (json!("Zoë \u{202e}"), Some("Zo%C3%AB %E2%80%AE")),
        (json!(" admin"), Some("%20admin")),
        (json!("50%"), Some("50%25")),
        (json!(["a,b", "c"]), Some("a%2Cb,c")),
        (json!({"a": 1}), Some(r#"{"a":1}"#)),
        (json!(7), Some("7")),
        (json!(null), None),
    ] {
        let mut claims = TokenMint::claims("user-1");
        claims["role"] = role.clone();
        let token = mint.sign(&TokenMint::header(), &claims);
        let status = gateway.get("/x", &format!("Authorization: Bearer {token}\r\n{SPOOFED}")).status;
        let sent = backend.requests().pop().expect("a request");
        assert_eq!((status, sent.get("x-user-role"), sent.get("x-evil")), (200, header, None), "{role}");
    }
}

#[test]
fn identities_of_one_connection_do_not_mix() {
    let (gateway, backend, mint) = setup("optional");
    let mut client = gateway.client();
    for subject in ["user-1", "user-2", "user-1"] {
        client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", mint.token(subject)));
        client.response();
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response();
    }
    let requests = backend.requests();
    let users: Vec<_> = requests.iter().map(|request| request.get("x-user-id")).collect();
    assert_eq!(users, [Some("user-1"), None, Some("user-2"), None, Some("user-1"), None]);
}
