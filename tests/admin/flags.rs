//! Flags over HTTP: reading, conditional changes, and each way in which a change is refused.

use figway::admin::FLAG_SURROUNDINGS;
use figway::clock::Timestamp;
use figway::reload::{ChangeError, HistoryEntry};
use figway::types::Revision;
use serde_json::json;

use super::gateway::{Gateway, Reply};

const FLAG: &str = "/admin/v1/flags/member-api";
const RAMP: &str = r#"{"changes": {"percent": 25}, "reason": "ramp"}"#;

async fn patch(gateway: &Gateway, if_match: &str, body: &str) -> Reply {
    gateway.operate(&format!("PATCH {FLAG}"), &[("if-match", if_match)], body).await
}

fn fail_with(gateway: &Gateway, failure: ChangeError) {
    *gateway.changes.failure.lock().expect("no panic") = Some(failure);
}

#[tokio::test]
async fn a_flag_is_shown_with_its_revision_and_surroundings() {
    let gateway = Gateway::start().await;
    let reply = gateway.get(FLAG).await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"12\"")));
    let flag = reply.json();
    assert_eq!(flag["stage"], "canary");
    assert_eq!(flag["percent"], 10);
    assert_eq!(flag["rules"], json!([{"when": {"claim.role": ["staff"]}, "serve": "new"}]));
    assert_eq!(flag["routes"][0]["backends"], json!({"legacy": "monolith", "new": "member"}));
    assert_eq!(flag["expired"], true);
    assert_eq!(flag["last_changed"], json!(null));
    gateway.get("/admin/v1/flags/other").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_flags_document_is_its_definition_and_the_known_surroundings() {
    let gateway = Gateway::start().await;
    let document = gateway.get(FLAG).await.json();
    let definition = gateway.handle.load().flags.flags["member-api"].to_json();
    let mut expected: Vec<&str> = definition.as_object().expect("an object").keys().map(String::as_str).collect();
    expected.extend(FLAG_SURROUNDINGS);
    let mut found: Vec<&str> = document.as_object().expect("an object").keys().map(String::as_str).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_flag_shows_how_often_it_is_asked_and_when_it_was_last() {
    let gateway = Gateway::start().await;
    let document = gateway.get(FLAG).await.json();
    assert_eq!((&document["last_evaluated"], &document["requests_per_second"]), (&json!(null), &json!(null)));
    let start = Timestamp(1_795_291_200_000);
    let series = gateway.metrics.core().flag("member-api", "new");
    gateway.activity.look(start);
    (0..25).for_each(|_| series.evaluated());
    gateway.activity.look(start.plus(std::time::Duration::from_secs(10)));
    let document = gateway.get(FLAG).await.json();
    assert_eq!(document["last_evaluated"], "2026-11-21T20:00:10.000Z");
    assert_eq!(document["requests_per_second"], json!({"new": 2.5}));
    assert_eq!(
        gateway.get("/admin/v1/migrations").await.json()["migrations"][0]["last_evaluated"],
        document["last_evaluated"]
    );
    assert!(gateway.get("/").await.body.contains("datetime=\"2026-11-21T20:00:10.000Z\""));
}

#[tokio::test]
async fn every_flag_is_listed_in_key_order() {
    let gateway = Gateway::start().await;
    let reply = gateway.get("/admin/v1/flags").await;
    assert_eq!(reply.header("etag"), Some("\"12\""));
    let document = reply.json();
    let keys: Vec<_> = document["flags"].as_array().expect("a list").iter().map(|flag| &flag["key"]).collect();
    assert_eq!(keys, ["checkout-button", "member-api", "reviews-offline"]);
    gateway.get("/admin/v1/flags?stage=canary").await.problem(400, "invalid-request");
}

#[tokio::test]
async fn a_change_answers_with_the_flag_as_it_is_now() {
    let gateway = Gateway::start().await;
    let reply = patch(&gateway, "\"12\"", RAMP).await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"13\"")), "{}", reply.body);
    let flag = reply.json();
    assert_eq!((&flag["percent"], &flag["revision"]), (&json!(25), &json!(13)));
    assert_eq!(flag["last_changed"]["actor"], "alice");
    assert_eq!(flag["last_changed"]["reason"], "ramp");
}

#[tokio::test]
async fn a_change_without_the_revision_seen_is_refused() {
    let gateway = Gateway::start().await;
    let line = format!("PATCH {FLAG}");
    gateway.operate(&line, &[], RAMP).await.problem(428, "precondition-required");
    patch(&gateway, "*", RAMP).await.problem(428, "precondition-required");
    patch(&gateway, "12", RAMP).await.problem(400, "invalid-request");
    for never in ["\"99\"", "\"0\""] {
        let document = patch(&gateway, never, RAMP).await.problem(412, "precondition-failed");
        assert_eq!(document["current_revision"], 12);
    }
    assert!(gateway.changes.made.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn the_loser_of_a_race_sees_the_winner() {
    let gateway = Gateway::start().await;
    let winner = HistoryEntry {
        at: Timestamp(1_795_291_200_123),
        actor: "bob".into(),
        reason: "faster".into(),
        key: "member-api".into(),
        revision: Revision(14),
        before: json!({"percent": 10}),
        after: json!({"percent": 50}),
        undoes: None,
    };
    fail_with(&gateway, ChangeError::Stale { current: Revision(15), winner: Some(Box::new(winner)) });
    let reply = patch(&gateway, "\"12\"", RAMP).await;
    let document = reply.problem(412, "precondition-failed");
    assert_eq!(reply.header("etag"), Some("\"15\""));
    assert_eq!(document["winner"]["actor"], "bob");
    assert_eq!(document["winner"]["at"], "2026-11-21T20:00:00.123Z");
    assert_eq!(document["winner"]["after"], json!({"percent": 50}));
    assert!(document["detail"].as_str().is_some_and(|detail| detail.contains("bob")));
}

#[tokio::test]
async fn what_the_writer_refuses_keeps_its_meaning() {
    let gateway = Gateway::start().await;
    for (failure, status, code) in [
        (ChangeError::Invalid(vec!["a".into(), "b".into()]), 422, "unprocessable"),
        (ChangeError::Conflict("flags/member.yaml is a symbolic link".into()), 409, "conflict"),
        (ChangeError::Io("no space left".into()), 500, "internal"),
        (ChangeError::NotFound("member-api".into()), 404, "not-found"),
        (ChangeError::Stale { current: Revision(13), winner: None }, 412, "precondition-failed"),
    ] {
        fail_with(&gateway, failure);
        patch(&gateway, "\"12\"", RAMP).await.problem(status, code);
    }
    fail_with(&gateway, ChangeError::Invalid(vec!["a".into(), "b".into()]));
    let document = patch(&gateway, "\"12\"", RAMP).await.json();
    assert_eq!(document["problems"], json!(["a", "b"]));
    let known: serde_json::Value = serde_json::from_str(figway::admin::OPENAPI).expect("JSON");
    let own = &known["components"]["responses"]["Invalid"]["content"]["application/problem+json"]["schema"]["allOf"][1];
    let is_described = |member: &String| {
        let common = &known["components"]["schemas"]["Problem"]["properties"];
        common.get(member).or(own["properties"].get(member)).is_some()
    };
    assert!(document.as_object().expect("an object").keys().all(is_described), "{document}");
}

#[tokio::test]
async fn a_body_that_is_no_change_is_refused_and_told_why() {
    let gateway = Gateway::start().await;
    for (body, status, code, detail) in [
        ("{\n  \"changes\": {,", 400, "invalid-request", "line 2 column 15"),
        ("", 400, "invalid-request", "empty"),
        (r#"{"changes": {"percent": 1}, "reason": " \t"}"#, 422, "unprocessable", "reason"),
        (r#"{"changes": {"percent": 1}}"#, 422, "unprocessable", "reason"),
        (r#"{"changes": {}, "reason": "x"}"#, 422, "unprocessable", "changes"),
        (r#"{"changes": [], "reason": "x"}"#, 422, "unprocessable", "a map"),
        (r#"{"changes": {"percent": 1, "percent": 100}, "reason": "x"}"#, 422, "unprocessable", "twice"),
        (r#"{"changes": {"percent": 1}, "reason": "x", "force": true}"#, 422, "unprocessable", "force"),
        (r#"{"changes": {"percent": 1}, "reason": "x"} trailing"#, 400, "invalid-request", "trailing"),
        (r#"{"changes": {"rules": [{"a": 1, "a": 2}]}, "reason": "x"}"#, 422, "unprocessable", "twice"),
        ("[]", 422, "unprocessable", "a JSON object"),
        (r#"[{"percent": 1}, "x"]"#, 422, "unprocessable", "a JSON object"),
    ] {
        let document = patch(&gateway, "\"12\"", body).await.problem(status, code);
        assert!(document["detail"].as_str().is_some_and(|told| told.contains(detail)), "{body}: {document}");
    }
    assert!(gateway.changes.made.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_json_is_not_looked_at() {
    let gateway = Gateway::start().await;
    let operator = format!("Bearer {}", super::fakes::OPERATOR);
    let headers = [("authorization", operator.as_str()), ("if-match", "\"12\"")];
    let line = format!("PATCH {FLAG}");
    gateway.send(&line, &headers, RAMP).await.problem(415, "unsupported-media-type");
    let form = [headers[0], headers[1], ("content-type", "text/plain")];
    gateway.send(&line, &form, RAMP).await.problem(415, "unsupported-media-type");
    let json = [headers[0], headers[1], ("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(gateway.send(&line, &json, RAMP).await.status, 200);
}

#[tokio::test]
async fn history_is_newest_first_and_bounded() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get(&format!("{FLAG}/history")).await.json()["total"], 0);
    assert_eq!(patch(&gateway, "\"12\"", RAMP).await.status, 200);
    let back = r#"{"changes": {"percent": 5}, "reason": "slower"}"#;
    assert_eq!(patch(&gateway, "\"13\"", back).await.status, 200);
    let history = gateway.get(&format!("{FLAG}/history?limit=1")).await.json();
    assert_eq!((&history["total"], history["entries"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    assert_eq!(history["entries"][0]["reason"], "slower");
    assert_eq!(history["entries"][0]["at"], "1970-01-01T00:00:00.000Z");
    for beyond in [0, 101] {
        gateway.get(&format!("{FLAG}/history?limit={beyond}")).await.problem(400, "invalid-request");
    }
    gateway.get("/admin/v1/flags/other/history").await.problem(404, "not-found");
}

#[tokio::test]
async fn undo_is_a_change_with_a_reason_and_a_revision() {
    let gateway = Gateway::start().await;
    assert_eq!(patch(&gateway, "\"12\"", RAMP).await.status, 200);
    let line = format!("POST {FLAG}/undo");
    gateway.operate(&line, &[], r#"{"reason": "worse"}"#).await.problem(428, "precondition-required");
    gateway.operate(&line, &[("if-match", "\"13\"")], r#"{"reason": ""}"#).await.problem(422, "unprocessable");
    let reply = gateway.operate(&line, &[("if-match", "\"13\"")], r#"{"reason": "worse"}"#).await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"14\"")), "{}", reply.body);
    assert_eq!(reply.json()["percent"], 10);
    assert_eq!(gateway.get(&format!("{FLAG}/history")).await.json()["entries"][0]["undoes"], 13);
}

#[tokio::test]
async fn migrations_are_listed_with_what_is_due() {
    let gateway = Gateway::start().await;
    let document = gateway.get("/admin/v1/migrations").await.json();
    let migrations = document["migrations"].as_array().expect("a list");
    assert_eq!(migrations.len(), 1, "switches and splits are no migrations");
    assert_eq!(migrations[0]["stage"], "canary");
    assert_eq!(migrations[0]["owner"], "member-team");
    assert_eq!(migrations[0]["age_seconds"], json!(null));
    assert!(migrations[0]["notes"][0].as_str().is_some_and(|note| note.contains("2020-01-31")), "{document}");
    assert_eq!(patch(&gateway, "\"12\"", RAMP).await.status, 200);
    let document = gateway.get("/admin/v1/migrations").await.json();
    assert!(document["migrations"][0]["age_seconds"].as_u64().is_some_and(|age| age > 1_000_000_000));
}
