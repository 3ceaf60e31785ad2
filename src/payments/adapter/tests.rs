//! The built-in adapter and hostile values; adapters that are written wrong are `config`'s tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;
use crate::payments::money::{Currency, Money};
use crate::payments::verdict::{Doubt, Proof};

mod hostile;
mod page;

fn charge() -> Call<'static> {
    call(Operation::Charge)
}

fn call(operation: Operation) -> Call<'static> {
    Call {
        operation,
        lookup: "ref-1",
        provider_ref: None,
        capture: true,
        refund_reference: (operation == Operation::Refund).then_some("ref-1-r1"),
        found: None,
        provider_key: "k",
        order_reference: "ref-1",
        money: Money { amount: 1000, currency: Currency::parse("EUR").expect("listed") },
        method: "card",
        token: Some("tok"),
        metadata: &[],
    }
}

fn canonical() -> Arc<dyn Adapter> {
    built_in(CANONICAL).expect("built in")
}

fn answer(status: u16, body: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn classify(status: u16, body: &str) -> Verdict {
    canonical().classify(&charge(), &answer(status, body))
}

fn echo(status: &str) -> String {
    format!(
        r#"{{"id":"ch_1","status":"{status}","order_reference":"ref-1","amount":1000,"currency":"EUR","decline_code":"do_not_honor"}}"#
    )
}

#[test]
fn the_built_in_adapter_prepares_without_a_token_what_another_provider_could_not_confirm() {
    let request = canonical().request(&Call { token: None, ..call(Operation::Prepare) }).expect("buildable");
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((body.get("token"), body["order_reference"].as_str()), (None, Some("ref-1")));
    assert!(canonical().request(&Call { token: None, ..charge() }).is_err(), "nothing is charged without one");
}

#[test]
fn the_built_in_adapter_comes_out_as_its_examples_say() {
    let tried = try_examples(&built_in_plan(CANONICAL).expect("built in"));
    assert_eq!(tried, Tried::default());
    assert!(built_in("canonicle").is_none());
}

#[test]
fn the_request_carries_our_reference_and_key() {
    let request = canonical().request(&charge()).expect("buildable");
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/charges"));
    assert!(request.headers.iter().any(|(name, value)| name == "idempotency-key" && value == "k"));
    assert!(!request.headers.iter().any(|(name, _)| name == "authorization"), "there is no api_key");
    assert_eq!(body["order_reference"], "ref-1");
    assert_eq!(body["amount"], 1000);
}

#[test]
fn a_full_echo_settles_the_charge() {
    assert_eq!(classify(201, &echo("succeeded")), Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: None });
    let declined = Verdict::Declined { code: "do_not_honor".into(), provider_ref: Some("ch_1".into()), soft: false };
    assert_eq!(classify(201, &echo("declined")), declined);
    assert_eq!(classify(402, &echo("declined")), declined);
}

#[test]
fn an_echo_of_something_else_is_unknown_whatever_it_says() {
    for (find, replace) in [("1000", "100"), ("EUR", "USD"), ("ref-1", "ref-2"), ("1000", "1000.5"), ("1000", "1000.0")]
    {
        for status in ["succeeded", "declined", "pending"] {
            let verdict = classify(201, &echo(status).replace(find, replace));
            assert_eq!(verdict, Verdict::Unknown { doubt: Doubt::Mismatch }, "{find} -> {replace}");
        }
    }
}

#[test]
fn success_without_an_echo_is_no_success() {
    for member in ["order_reference", "amount", "currency", "id"] {
        let body = echo("succeeded").replace(&format!("\"{member}\""), "\"other\"");
        assert_eq!(classify(201, &body), Verdict::Unknown { doubt: Doubt::Unreadable }, "{member}");
    }
}

#[test]
fn only_what_the_provider_states_is_not_processed() {
    let stated = r#"{"error":{"code":"not_processed"}}"#;
    assert_eq!(classify(503, stated), Verdict::NotProcessed { proof: Proof::Stated });
    assert_eq!(classify(400, stated), Verdict::NotProcessed { proof: Proof::Stated });
    assert_eq!(classify(429, ""), Verdict::NotProcessed { proof: Proof::Full });
    assert_eq!(classify(201, stated).class(), "unknown");
    for status in [302, 400, 401, 404, 408, 409, 500, 502, 503, 504] {
        for body in ["", "not_processed", r#"{"error":{"code":"boom"}}"#, r#"{"error":"not_processed"}"#] {
            assert_eq!(classify(status, body).class(), "unknown", "{status} {body}");
        }
    }
}

#[test]
fn a_validation_error_is_a_decline_only_with_a_validation_status() {
    let invalid = r#"{"error":{"code":"invalid_request"}}"#;
    assert_eq!(
        classify(422, invalid),
        Verdict::Declined { code: "invalid_request".into(), provider_ref: None, soft: false }
    );
    assert_eq!(classify(500, invalid).class(), "unknown");
}

#[test]
fn an_answer_that_makes_no_sense_is_unknown() {
    let twice = echo("declined").replacen('{', r#"{"status":"succeeded","#, 1);
    for body in ["", "{}", "null", "[]", "<html>", "{\"id\":1}", &echo("weird"), &echo("pending"), &twice] {
        assert_eq!(classify(201, body).class(), "unknown", "{body}");
    }
    let long = echo("succeeded").replace("ch_1", &"x".repeat(300));
    assert_eq!(classify(201, &long).class(), "unknown");
    assert_eq!(classify(402, &echo("succeeded")).class(), "unknown");
    assert_eq!(classify(204, "").class(), "unknown");
}

#[test]
fn an_answer_in_another_character_set_is_not_read() {
    for (charset, class) in [("utf-8", "succeeded"), ("\"UTF-8\"", "succeeded"), ("iso-8859-1", "unknown")] {
        let mut answer = answer(201, &echo("succeeded"));
        let kind = format!("application/json; charset={charset}");
        answer.headers.insert("content-type", kind.parse().expect("a field"));
        assert_eq!(canonical().classify(&charge(), &answer).class(), class, "{charset}");
    }
}

#[test]
fn an_adapter_needs_the_credentials_that_it_requires_and_shows_none() {
    let yaml = "{description: d, credentials: {k: required}, operations: {}, flow: {}}";
    let mut draft: Draft = serde_saphyr::from_str(yaml).expect("an adapter");
    draft.operations = serde_saphyr::from_str(
        "charge: {request: {method: POST, path: /c, headers: {x: \"{{ credentials.k }}\"}},\
         classify: [{when: status == 429, as: full}]}",
    )
    .expect("operations");
    let plan = Arc::new(Plan::compile("test", draft).expect("compiles"));
    let stamp = || Stamp { at: Timestamp(0), nonce: String::new() };
    assert_eq!(Declared::new(Arc::clone(&plan), BTreeMap::new(), stamp).map(drop), Err("k".into()));
    let credentials = BTreeMap::from([("k".to_owned(), Credential::new("hunter22"))]);
    let adapter = Declared::new(plan, credentials, stamp).expect("complete");
    assert_eq!(adapter.request(&charge()).expect("buildable").headers[1].1, "hunter22");
    assert!(!format!("{adapter:?}").contains("hunter22"));
    assert_eq!(adapter.masked("x: hunter22"), "x: [k]");
    let strange = BTreeMap::from([("k".to_owned(), Credential::new("a+b/c\"d"))]);
    let adapter = Declared::new(adapter.plan.clone(), strange, stamp).expect("complete");
    assert_eq!(adapter.masked(r#"a+b/c"d k=a%2Bb%2Fc%22d {"k":"a+b/c\"d"}"#), r#"[k] k=[k] {"k":"[k]"}"#);
}

/// An adapter that judges the answers to charges by these rules.
fn judging(rules: &str) -> Declared {
    let draft = serde_saphyr::from_str(&format!(
        "{{description: d, operations: {{charge: {{request: {{method: POST, path: /c}}, classify: [{rules}]}}}}}}"
    ));
    let plan = Arc::new(Plan::compile("test", draft.expect("an adapter")).expect("compiles"));
    let stamp = || Stamp { at: Timestamp(0), nonce: String::new() };
    Declared::new(plan, BTreeMap::new(), stamp).expect("complete")
}

#[test]
fn a_rule_that_cannot_be_judged_ends_the_search() {
    let adapter =
        judging("{when: 'status == 429 and body.code == \"lock\"', as: unknown}, {when: 'status == 429', as: full}");
    let check = |body: &str, class: &str| {
        assert_eq!(adapter.classify(&charge(), &answer(429, body)).class(), class, "{body}");
    };
    check(r#"{"code":"rate"}"#, "not_processed");
    check(r#"{"code":"lock"}"#, "unknown");
    check("", "unknown");
    check("{}", "unknown");
    assert!(adapter.explain(&charge(), &answer(429, "")).starts_with("classify[0] can't be judged"));
}

#[test]
fn a_5xx_that_nobody_can_read_is_unknown_whatever_the_rules_say() {
    let adapter = judging("{when: 'status >= 500 and headers.via is not defined', as: not_processed}");
    for (status, body, class) in [
        (503, r#"{"said":"by the provider"}"#, "not_processed"),
        (501, "<html>", "not_processed"),
        (500, "<html>", "unknown"),
        (502, "<html>", "unknown"),
        (503, "", "unknown"),
        (504, r#"{"cut":"#, "unknown"),
    ] {
        assert_eq!(adapter.classify(&charge(), &answer(status, body)).class(), class, "{status} {body}");
    }
    assert!(adapter.explain(&charge(), &answer(502, "<html>")).contains("may come from anything on the way"));
}
