//! Pages of other origins: preflights need no token, and every answer says who may read it.

use crate::support::{FakeBackend, Response, TestGateway, TokenMint};

fn shop(mint: &TokenMint) -> (TestGateway, FakeBackend) {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::builder()
        .auth(mint)
        .backend("backend", &backend)
        .route(r#"{name: all, path: "/{*rest}", auth: required, backend: backend, cors: {origins: ["https://shop.example"]}}"#)
        .start();
    (gateway, backend)
}

fn readable_by(response: &Response) -> Vec<&str> {
    response.all("access-control-allow-origin")
}

#[test]
fn a_preflight_is_answered_without_a_token_and_reaches_no_backend() {
    let (gateway, backend) = shop(&TokenMint::new());
    let response = gateway.exchange(
        "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    );
    assert_eq!((response.status, readable_by(&response)), (204, vec!["https://shop.example"]));
    assert!(backend.requests().is_empty());
}

#[test]
fn an_answer_may_be_read_by_pages_that_are_allowed_to() {
    let mint = TokenMint::new();
    let (gateway, _backend) = shop(&mint);
    let get = |origin: &str| {
        gateway.get("/x", &format!("Authorization: Bearer {}\r\nOrigin: {origin}\r\n", mint.token("user-1")))
    };
    let response = get("https://shop.example");
    assert_eq!((response.status, readable_by(&response)), (200, vec!["https://shop.example"]));
    assert_eq!(readable_by(&get("https://evil.example")), Vec::<&str>::new());
}

/// A page that could not read the 401 never learnt that its token had expired.
#[test]
fn a_refusal_may_be_read_as_well() {
    let (gateway, _backend) = shop(&TokenMint::new());
    let response = gateway.get("/x", "Origin: https://shop.example\r\n");
    assert_eq!((response.status, readable_by(&response)), (401, vec!["https://shop.example"]));
}
