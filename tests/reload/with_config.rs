//! The same with the real configuration language: what it validates, where it says mistakes are, what a copy holds.

use std::fs;

use figway::reload::ChangeError;
use serde_json::{Value, json};

use crate::site::{BY_EVENT, Gateway, Site, until};

const CONFIG: &str = r#"
server: {listen: ["127.0.0.1:8080"]}
state: {dir: ../data}
flags: {dir: ../flags}
auth:
  issuers:
    - {issuer: "https://auth.shop.example", algorithms: [EdDSA], jwks: {file: jwks.json}}
backends:
  monolith: {endpoints: ["127.0.0.1:7001"]}
  member: {endpoints: ["127.0.0.1:7002"]}
routes:
  - {name: members, path: "/members/{id}", auth: required, flag: member-api, backends: {legacy: monolith, new: member}}
  - {name: reviews, path: "/reviews", auth: none, flag: reviews-offline, backends: {off: monolith, on: member}}
"#;

const FLAGS: &str = "\
# Flags of the shop.
member-api:
  kind: migration
  stage: canary      # careful
  percent: 10
  rules: # who goes first
    - {when: {claim.role: [staff]}, serve: new}
  killed: false   # 3 a.m.
reviews-offline: {kind: switch, state: off} # quiet nights
checkout: {kind: split, variants: {plain: 50, bold: 50}}
";

fn key_set(kid: &str) -> String {
    let key = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    format!(r#"{{"keys":[{{{key},"kid":"{kid}"}}]}}"#)
}

fn site() -> Site {
    let site = Site::new();
    fs::remove_file(site.path("flags/member.yaml")).expect("removed");
    site.write("config/gateway.yaml", CONFIG);
    site.write("config/jwks.json", &key_set("one"));
    site.write("flags/shop.yaml", FLAGS);
    site
}

async fn make(gateway: &Gateway, key: &str, changes: Value) -> Result<Value, ChangeError> {
    gateway.change(key, changes, gateway.revision()).await.map(|changed| changed.flag)
}

#[tokio::test]
async fn every_kind_of_value_can_be_written_and_is_understood_again() {
    let site = site();
    let gateway = site.start_real();
    let rules = json!([{"when": {"claim.role": ["staff", "off"], "header.x-beta": ["1"]}, "serve": "new"}]);
    for (key, field, value, in_file) in [
        ("member-api", "percent", json!(12.5), "percent: 12.5\n"),
        ("member-api", "killed", json!(true), "killed: true   # 3 a.m.\n"),
        ("member-api", "stage", json!("new"), "stage: new      # careful\n"),
        ("member-api", "sticky_by", json!("header:x-shop"), "sticky_by: \"header:x-shop\"\n"),
        ("member-api", "expires", json!("2027-03-31"), "expires: \"2027-03-31\"\n"),
        ("member-api", "description", json!("é: \"a\" # b\n- c"), "description: \"é: \\\"a\\\" # b\\n- c\"\n"),
        (
            "member-api",
            "rules",
            rules,
            "rules: [{when: {claim.role: [staff, \"off\"], header.x-beta: [\"1\"]}, serve: new}]",
        ),
        ("reviews-offline", "state", json!("on"), "{kind: switch, state: \"on\"} # quiet nights\n"),
        ("checkout", "variants", json!({"bold": 1, "plain": 2}), "variants: {bold: 1, plain: 2}"),
    ] {
        let flag = make(&gateway, key, json!({field: value.clone()})).await.expect(field);
        assert_eq!(flag[field].to_string(), value.to_string());
        assert!(site.read("flags/shop.yaml").contains(in_file), "{in_file}: {}", site.read("flags/shop.yaml"));
    }
    assert!(gateway.handle.status().success && !gateway.handle.load().stale);
}

#[tokio::test]
async fn the_order_of_a_splits_variants_is_a_change() {
    let site = site();
    let gateway = site.start_real();
    let revision = gateway.revision();
    site.write("flags/shop.yaml", &FLAGS.replace("plain: 50, bold: 50", "bold: 50, plain: 50"));
    assert!(until(BY_EVENT, || gateway.revision() > revision).await, "{}", gateway.problems());
    let undone = gateway.undo("checkout", gateway.revision()).await.expect("undone");
    assert_eq!(undone.flag["variants"].to_string(), r#"{"plain":50,"bold":50}"#);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let site = site();
    let gateway = site.start_real();
    let refused = make(&gateway, "member-api", json!({"stage": "canari"})).await.expect_err("no such stage");
    assert!(
        refused.to_string().contains("flags/shop.yaml:4:10: ") && refused.to_string().contains("canari"),
        "{refused}"
    );
    assert_eq!(site.read("flags/shop.yaml"), FLAGS);
    site.write("flags/shop.yaml", &FLAGS.replace("percent: 10", "percent: 101"));
    gateway.refuses("shop.yaml:5:12: ").await;
    // Good in itself, but not for the route that serves by it.
    site.write("flags/shop.yaml", FLAGS);
    assert!(until(BY_EVENT, || gateway.handle.status().success).await);
    let kinds = json!({"kind": "switch", "state": "on", "stage": null, "percent": null, "rules": null});
    assert!(matches!(make(&gateway, "member-api", kinds).await, Err(ChangeError::Invalid(_))));
    assert_eq!(site.read("flags/shop.yaml"), FLAGS);
}

#[tokio::test]
async fn new_keys_in_a_file_are_a_new_revision() {
    let site = site();
    let gateway = site.start_real();
    let revision = gateway.revision();
    site.write("config/jwks.json", &key_set("two"));
    assert!(until(BY_EVENT, || gateway.revision() == revision + 1).await, "{}", gateway.problems());
}

#[tokio::test]
async fn bad_files_at_start_serve_the_copy() {
    let site = site();
    let gateway = site.start_real();
    make(&gateway, "member-api", json!({"percent": 33})).await.expect("changed");
    gateway.stop().await;
    for (file, bad) in [("flags/shop.yaml", "member-api: ["), ("config/gateway.yaml", "server: [")] {
        site.write(file, bad);
        let gateway = site.start_real();
        assert!(gateway.handle.load().stale);
        assert_eq!(gateway.flag("member-api"), "canary:3300");
        assert!(gateway.problems().contains(file), "{}", gateway.problems());
        gateway.stop().await;
    }
    site.write("config/gateway.yaml", CONFIG);
    site.write("flags/shop.yaml", &FLAGS.replace("percent: 10", "percent: 44"));
    let gateway = site.start_real();
    assert_eq!((gateway.flag("member-api").as_str(), gateway.handle.load().stale), ("canary:4400", false));
    let last = gateway.writer.last_change(&"member-api".into()).expect("recorded");
    assert_eq!(
        (&last.before["percent"], &last.after["percent"], last.actor.as_str()),
        (&json!(33), &json!(44), "file")
    );
}
