//! What is told of a request, by a configuration read from files.

use std::fs;

use super::*;
use crate::config::{self, Kept};

const CONFIG: &str = r#"
server: {listen: ["127.0.0.1:0"]}
flags: {dir: flags}
auth:
  issuers: [{issuer: "https://auth.example", audiences: [shop], algorithms: [ES256], jwks: {file: jwks.json}}]
  identity_headers: {sub: x-user-id}
backends:
  monolith: {endpoints: ["127.0.0.1:7001"]}
  member: {endpoints: ["127.0.0.1:7002"]}
routes:
  - {name: member, path: "/members/{id}", methods: [GET], auth: required, flag: member-api,
     backends: {legacy: monolith, new: member}, cors: {origins: ["https://shop.example"]}}
  - {name: open, path: "/open/{*rest}", auth: none, backend: monolith}
  - {name: hosted, path: "/hosted", host: shop.example, auth: optional, backend: member}
payments:
  path: /pay
  ledger: {embedded: pay.db}
  providers: [{name: alpha, adapter: canonical, base_url: "http://127.0.0.1:7100", weight: 1}]
"#;

const FLAGS: &str = r"
member-api:
  kind: migration
  stage: canary
  percent: 100
  rules: [{when: {header.x-user-id: [boss]}, serve: legacy}]
";

fn snapshot() -> Snapshot {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let key = crate::auth::SigningKey::generate(crate::auth::Algorithm::Es256).expect("a key");
    fs::create_dir(at("flags")).expect("a folder");
    fs::write(at("jwks.json"), key.public_jwks(None)).expect("written");
    fs::write(at("flags/member.yaml"), FLAGS).expect("written");
    fs::write(at("gateway.yaml"), CONFIG).expect("written");
    let loaded = config::load(&at("gateway.yaml"), &Kept::default());
    loaded.snapshot.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn ask(method: &str, path: &str) -> ExplainRequest {
    ExplainRequest { method: method.into(), path: path.into(), ..ExplainRequest::default() }
}

fn by(subject: &str, request: ExplainRequest) -> ExplainRequest {
    ExplainRequest { subject: Some(subject.into()), ..request }
}

fn with(headers: &[(&str, &str)], request: ExplainRequest) -> ExplainRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ExplainRequest { headers, ..request }
}

#[test]
fn an_authenticated_request_is_followed_to_its_backend() {
    let told = explain(&snapshot(), &by("u1", ask("GET", "/x/../members/7?a=b")));
    assert_eq!(told["normal_path"], "/members/7");
    assert_eq!(told["route"]["name"], "member");
    assert_eq!(told["identity"]["subject"], "u1");
    assert_eq!((&told["flag"]["variant"], &told["flag"]["reason"]), (&json!("new"), &json!("PERCENTAGE")));
    assert!(told["flag"]["why"].as_str().is_some_and(|why| why.contains("bucket")));
    assert_eq!((&told["outcome"]["kind"], &told["outcome"]["backend"]), (&json!("forwarded"), &json!("member")));
    assert!(told.get("revision").is_none(), "files that were only read have no revision");
}

#[test]
fn what_the_gateway_would_refuse_is_explained() {
    let snapshot = snapshot();
    for (request, status, code) in [
        (ask("GET", "/members/7"), 401, "token-missing"),
        (with(&[("authorization", "Bearer nonsense")], ask("GET", "/members/7")), 401, "token-invalid"),
        (ask("POST", "/members/7"), 405, "method-not-allowed"),
        (ask("GET", "/nothing"), 404, "no-route"),
        (ask("GET", "/members/%00"), 400, "invalid-path"),
        (ask("GET", "/members/a%2fb"), 400, "invalid-path"),
        (by("u1", ask("DELETE", "/pay")), 405, "method-not-allowed"),
        (by("u1", ask("GET", "/pay/pay_01M7ZQ2E22KS1HBC28PSP7HWYT/refund")), 405, "method-not-allowed"),
        (by("u1", ask("POST", "/pay/x/y/z")), 404, "not-found"),
    ] {
        let outcome = explain(&snapshot, &request)["outcome"].clone();
        assert_eq!(outcome["kind"], "refused", "{request:?}");
        assert_eq!((&outcome["status"], &outcome["code"]), (&json!(status), &json!(code)), "{request:?}");
    }
}

#[test]
fn a_payment_goes_to_the_distributor() {
    for (method, path) in [("POST", "/pay"), ("GET", "/pay/pay_01M7ZQ2E22KS1HBC28PSP7HWYT")] {
        let told = explain(&snapshot(), &by("u1", ask(method, path)));
        assert_eq!(told["outcome"]["kind"], "payments", "{told}");
    }
}

#[test]
fn identity_headers_of_the_client_are_not_believed() {
    for name in ["x-user-id", "x_user_id"] {
        let told = explain(&snapshot(), &with(&[(name, "boss")], by("u1", ask("GET", "/members/7"))));
        assert_eq!(told["flag"]["reason"], "PERCENTAGE", "{name} reached the flag's rule");
    }
}

#[test]
fn a_preflight_is_answered_and_goes_nowhere() {
    let headers = [("origin", "https://shop.example"), ("access-control-request-method", "GET")];
    let told = explain(&snapshot(), &with(&headers, ask("OPTIONS", "/members/7")));
    assert_eq!((&told["outcome"]["kind"], &told["outcome"]["status"]), (&json!("answered"), &json!(204)));
    assert!(told.get("flag").is_none());
}

#[test]
fn an_open_route_sees_no_caller() {
    let told = explain(&snapshot(), &by("u1", ask("GET", "/open/x")));
    assert!(told["identity"]["subject"].is_null());
    assert_eq!(told["outcome"]["backend"], "monolith");
}

#[test]
fn a_host_is_compared_without_case_and_port() {
    let snapshot = snapshot();
    let at = |host: &str| ExplainRequest { host: Some(host.into()), ..ask("GET", "/hosted") };
    assert_eq!(explain(&snapshot, &at("Shop.Example:8443"))["route"]["name"], "hosted");
    assert_eq!(explain(&snapshot, &at("other.example"))["outcome"]["code"], "no-route");
    let header = with(&[("host", "shop.example:80")], ask("GET", "/hosted"));
    assert_eq!(explain(&snapshot, &header)["route"]["name"], "hosted");
}
