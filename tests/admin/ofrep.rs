//! OpenFeature's remote evaluation protocol.

use serde_json::json;

use super::gateway::{Gateway, Reply};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn evaluate(gateway: &Gateway, key: &str, body: &str) -> Reply {
    gateway.send(&format!("POST /ofrep/v1/evaluate/flags/{key}"), &[JSON], body).await
}

#[tokio::test]
async fn a_flag_is_evaluated_for_its_context() {
    let gateway = Gateway::start().await;
    let staff = evaluate(&gateway, "member-api", r#"{"context": {"targetingKey": "u1", "role": "staff"}}"#).await;
    assert_eq!(staff.status, 200, "{}", staff.body);
    assert_eq!(
        staff.json(),
        json!({"key": "member-api", "value": "new", "reason": "TARGETING_MATCH", "variant": "new",
               "metadata": {"figwayReason": "RULE", "kind": "migration", "owner": "member-team"}})
    );
    let nobody = evaluate(&gateway, "member-api", r#"{"context": {}}"#).await.json();
    assert_eq!((&nobody["value"], &nobody["reason"]), (&json!("legacy"), &json!("STATIC")));
    let switch = evaluate(&gateway, "reviews-offline", "").await.json();
    assert_eq!((&switch["value"], &switch["variant"]), (&json!(false), &json!("off")));
    let split = evaluate(&gateway, "checkout-button", r#"{"context": {"targetingKey": "u1"}}"#).await.json();
    assert_eq!(split["reason"], "SPLIT");
    let counts = gateway.metrics.flag_counts();
    let counts: Vec<_> = counts.iter().map(|one| (one.flag.as_str(), one.variant.as_str(), one.remote)).collect();
    let bold_or_plain = split["variant"].as_str().expect("a variant");
    assert_eq!(
        counts,
        [
            ("checkout-button", bold_or_plain, 1),
            ("member-api", "legacy", 1),
            ("member-api", "new", 1),
            ("reviews-offline", "off", 1),
        ],
        "a flag that is asked for is not dead"
    );
}

#[tokio::test]
async fn mistakes_have_the_shape_of_the_protocol() {
    let gateway = Gateway::start().await;
    for (key, body, status, error) in [
        ("other", "{}", 404, "FLAG_NOT_FOUND"),
        ("member-api", "{", 400, "PARSE_ERROR"),
        ("member-api", "[]", 400, "PARSE_ERROR"),
        ("member-api", r#"{"context": 7}"#, 400, "INVALID_CONTEXT"),
        ("member-api", r#"{"context": {"targetingKey": 7}}"#, 400, "INVALID_CONTEXT"),
        ("member-api", r#"{"context": {"ip": "nowhere"}}"#, 400, "INVALID_CONTEXT"),
    ] {
        let reply = evaluate(&gateway, key, body).await;
        let document = reply.json();
        assert_eq!((reply.status, &document["errorCode"]), (status, &json!(error)), "{body}");
        assert_eq!(document["key"], key);
        assert!(reply.header("x-figway-error").is_some());
    }
}

#[tokio::test]
async fn all_flags_are_evaluated_and_unchanged_ones_are_not_sent_again() {
    let gateway = Gateway::start().await;
    let line = "POST /ofrep/v1/evaluate/flags";
    let body = r#"{"context": {"targetingKey": "u1", "role": "staff"}}"#;
    let first = gateway.send(line, &[JSON], body).await;
    assert_eq!(first.json()["flags"].as_array().map(Vec::len), Some(3));
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = gateway.send(line, &[JSON, ("if-none-match", &tag)], body).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let other = gateway.send(line, &[JSON, ("if-none-match", &tag)], r#"{"context": {"targetingKey": "u1"}}"#).await;
    assert_eq!(other.status, 200, "another context has other values");
}
