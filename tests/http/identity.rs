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
fn claim_can_not_inject_a_header() {
    let (gateway, backend, mint) = setup("required");
    for role in ["a\r\nx-evil: 1", "a\nb", "a\0b"] {
        let mut claims = TokenMint::claims("user-1");
        claims["role"] = json!(role);
        let token = mint.sign(&TokenMint::header(), &claims);
        gateway.get("/x", &format!("Authorization: Bearer {token}\r\n"));
    }
    for request in backend.requests() {
        assert_eq!(request.get("x-evil"), None);
        assert!(request.get("x-user-role").is_none_or(|role| !role.contains(['\r', '\n', '\0'])));
    }
    assert_eq!(gateway.get("/x", &format!("Authorization: Bearer {}\r\n", mint.token("user-1"))).status, 200);
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
