//! The OpenAPI document, the status page, explain, payments, and paths that are not there.

use std::sync::Arc;

use figway::admin::{OPENAPI, operations};
use figway::snapshot::{AnonymousAccess, Role, Severity};
use figway::tls::{CertificatePem, ServerTls};
use serde_json::{Value, json};

use super::fakes::{diagnostic, snapshot};
use super::gateway::Gateway;

#[test]
fn the_openapi_document_lists_exactly_what_is_routed() {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let mut written = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item").iter().filter(|(name, _)| *name != "parameters") {
            let role = operation["x-figway-role"].as_str().expect("a role");
            written.push(format!("{} {path} {role}", method.to_uppercase()));
        }
    }
    let mut routed: Vec<String> = operations()
        .into_iter()
        .map(|(path, method, needs)| {
            let role = match needs {
                Some(Role::Operator) => "operator",
                Some(Role::Viewer) => "viewer",
                None => "anybody",
            };
            format!("{method} {path} {role}")
        })
        .collect();
    written.sort();
    routed.sort();
    assert_eq!(written, routed);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_reference_of_the_openapi_document_leads_somewhere() {
    fn walk(value: &Value, document: &Value, seen: &mut usize) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let pointer = target.strip_prefix('#').expect("a local reference");
                    assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                    *seen += 1;
                }
                members.values().for_each(|member| walk(member, document, seen));
            }
            Value::Array(elements) => elements.iter().for_each(|element| walk(element, document, seen)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let mut seen = 0;
    walk(&document, &document, &mut seen);
    assert!(seen > 0);
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let gateway = Gateway::start().await;
    for path in ["/nothing", "/admin/v1/hot", "/admin/v1/parity/member-api", "/admin/v1/flags/", "//livez"] {
        gateway.get(path).await.problem(404, "not-found");
    }
    for (line, allow) in [
        ("DELETE /admin/v1/flags/member-api", "GET,HEAD,PATCH"),
        ("POST /livez", "GET,HEAD"),
        ("OPTIONS /admin/v1/flags", "GET,HEAD"),
        ("GET /ofrep/v1/evaluate/flags", "POST"),
    ] {
        let reply = gateway.send(line, &[], "").await;
        reply.problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{line}");
    }
    gateway.get("/admin/v1/flags/%ff").await.problem(400, "invalid-path");
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let gateway = Gateway::start().await;
    let reply = gateway.send("HEAD /admin/v1/flags/member-api", &[], "").await;
    assert_eq!((reply.status, reply.header("etag"), reply.body.as_str()), (200, Some("\"12\""), ""));
    assert_eq!(gateway.send("HEAD /admin/v1/flags/other", &[], "").await.body, "");
}

#[tokio::test]
async fn the_status_page_shows_the_state_and_nothing_can_run_in_it() {
    let gateway = Gateway::start().await;
    let reply = gateway.get("/").await;
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!reply.body.contains("<script"), "a flag's description became markup");
    for shown in
        ["&lt;script&gt;", "member-api", "canary, 10&nbsp;%", "2020-01-31</span>, over", "127.0.0.1:7002", "plain 50"]
    {
        assert!(reply.body.contains(shown), "{shown}");
    }
    assert!(!reply.body.contains("not in effect"));
}

#[tokio::test]
async fn the_status_page_says_when_the_files_are_not_in_effect() {
    let gateway = Gateway::start().await;
    let mut status = (*gateway.handle.status()).clone();
    status.success = false;
    status.problems = vec![diagnostic(Severity::Error, "unknown key <x>")];
    gateway.handle.set_status(status);
    let page = gateway.get("/").await.body;
    assert!(page.contains("role=\"alert\"") && page.contains("not in effect"));
    assert!(page.contains("config/gateway.yaml:14:12: routes[0]: unknown key &lt;x&gt;"));
}

#[tokio::test]
async fn certificates_are_shown_with_their_dates() {
    let gateway = Gateway::start().await;
    assert!(!gateway.get("/").await.body.contains("Certificates"));
    let certificate = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).expect("certificate");
    let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let tls = ServerTls::from_pem(&[CertificatePem {
        certificate_file: "tls/shop.pem",
        certificate: chain.as_bytes(),
        key_file: "tls/shop.key",
        key: key.as_bytes(),
    }]);
    let mut next = snapshot(13, 1_000, AnonymousAccess::Read);
    next.server.tls = Some(Arc::new(tls.expect("a pair")));
    gateway.handle.publish(next.into());
    let shown = gateway.get("/admin/v1/snapshot").await.json()["certificates"].clone();
    assert_eq!((&shown[0]["file"], &shown[0]["number"]), (&json!("tls/shop.pem"), &json!(1)));
    let not_after = shown[0]["not_after"].as_str().expect("a date");
    let page = gateway.get("/").await.body;
    assert!(page.contains("tls/shop.pem") && page.contains(not_after), "{not_after}");
}

#[tokio::test]
async fn explain_is_asked_by_query_or_by_document() {
    let gateway = Gateway::start().await;
    let expected = json!({
        "method": "GET", "path": "/api/v1/members/7?a=b", "host": "shop.example",
        "headers": [["x-app", "ios:2"], ["x-b", "1"]], "subject": "u1",
    });
    let query =
        "method=GET&path=/api/v1/members/7%3Fa%3Db&host=shop.example&header=X-App:%20ios:2&header=x-b:1&subject=u1";
    assert_eq!(gateway.get(&format!("/admin/v1/explain?{query}")).await.json(), expected);
    let body = r#"{"path": "/api/v1/members/7?a=b", "host": "shop.example", "subject": "u1",
                   "headers": {"X-App": "ios:2", "x-b": ["1"]}}"#;
    let reply = gateway.send("POST /admin/v1/explain", &[("content-type", "application/json")], body).await;
    assert_eq!(reply.json(), expected);
    // Methods are compared with their case: what a client sends as `get` is no GET.
    assert_eq!(gateway.get("/admin/v1/explain?method=get&path=/").await.json()["method"], "get");
}

#[tokio::test]
async fn what_can_not_be_explained_is_refused() {
    let gateway = Gateway::start().await;
    for (query, status, code) in [
        ("", 400, "invalid-request"),
        ("?path=/&path=/x", 400, "invalid-request"),
        ("?path=/&colour=red", 400, "invalid-request"),
        ("?path=/&header=nocolon", 400, "invalid-request"),
        ("?path=members", 422, "unprocessable"),
        ("?path=/&method=G%20T", 422, "unprocessable"),
        ("?path=/&subject=", 422, "unprocessable"),
        ("?path=/&header=a%20b:c", 422, "unprocessable"),
    ] {
        gateway.get(&format!("/admin/v1/explain{query}")).await.problem(status, code);
    }
}

#[tokio::test]
async fn payments_are_listed_and_shown() {
    let gateway = Gateway::start().await;
    let asked = async |query: &str| {
        let list = gateway.get(&format!("/admin/v1/payments{query}")).await.json();
        list["payments"][0]["asked"].as_str().expect("text").to_owned()
    };
    let plain = asked("").await;
    assert!(plain.contains("state: None, manual: false") && plain.contains("limit: Some(100)"), "{plain}");
    let manual = asked("?status=manual&limit=5").await;
    assert!(manual.contains("state: None, manual: true") && manual.contains("limit: Some(5)"), "{manual}");
    let narrow = asked(
        "?status=pending&provider=alpha&order_id=o%2D1&from=2026-11-21T20:00:00Z&to=2026-11-22T20:00:00%2B01:00\
         &before=pay_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    )
    .await;
    for part in ["Some(Pending)", "alpha", "o-1", "1795291200000", "1795374000000", "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        assert!(narrow.contains(part), "{part}: {narrow}");
    }
    assert_eq!(gateway.get("/admin/v1/payments/p1").await.json()["id"], "p1");
    gateway.get("/admin/v1/payments/p1?colour=red").await.problem(400, "invalid-request");
    gateway.get("/admin/v1/payments/p2").await.problem(404, "not-found");
    gateway.get("/admin/v1/payments?provider=nobody").await.problem(400, "invalid-request");
    let gone = gateway.get("/admin/v1/payments?provider=gone&from=2026-11-21T20:00:00Z").await.json();
    assert_eq!(gone["payments"], serde_json::json!([]), "one that is configured no longer is no mistake");
    gateway
        .get("/admin/v1/payments?from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z")
        .await
        .problem(400, "invalid-request");
    for query in ["status=nonsense", "limit=1001", "from=yesterday", "before=p1", "state=pending", "to=1&to=2"] {
        gateway.get(&format!("/admin/v1/payments?{query}")).await.problem(400, "invalid-request");
    }
}

#[tokio::test]
async fn an_operator_settles_a_payment_by_name_and_with_a_reason() {
    const RESOLVE: &str = "POST /admin/v1/payments/p1/resolve";
    let gateway = Gateway::start().await;
    let body = r#"{"as":"succeeded","attempt":2,"provider_ref":"ch_1","reason":" seen in their console "}"#;
    let resolved = gateway.operate(RESOLVE, &[], body).await.json();
    let asked = resolved["asked"].as_str().expect("text").to_owned();
    for part in ["Attempt(2)", "state: Succeeded", "ch_1", "reason: \"seen in their console\"", "by: \""] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!asked.contains("by: \"anonymous\""), "{asked}");
    for (code, body) in [
        ("unprocessable", r#"{"as":"pending","reason":"r"}"#),
        ("unprocessable", r#"{"as":"manual","reason":"r"}"#),
        ("unprocessable", r#"{"as":"voided","reason":"  "}"#),
        ("unprocessable", r#"{"as":"voided"}"#),
        ("unprocessable", r#"{"as":"voided","reason":"r","attempt":1,"refund":1}"#),
        ("unprocessable", r#"{"as":"voided","reason":"r","note":"x"}"#),
        ("unprocessable", r#"{"as":"voided","reason":"the card was 4242 4242 4242 4242"}"#),
        ("unprocessable", r#"{"as":"succeeded","reason":"r","provider_ref":"two words"}"#),
    ] {
        gateway.operate(RESOLVE, &[], body).await.problem(422, code);
    }
    let other = gateway.operate("POST /admin/v1/payments/p2/resolve", &[], body).await;
    other.problem(409, "conflict");
    let anonymous = gateway.send(RESOLVE, &[("content-type", "application/json")], body).await;
    anonymous.problem(401, "token-missing");
}
