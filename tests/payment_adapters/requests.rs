//! Requests to the last byte, and answers of every kind.

use bytes::Bytes;
use figway::payments::adapter::{Adapter, Answer, Call};
use figway::payments::{Operation, Verdict};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::{REFERENCE, call, provider};

const PRICED: &[&str] = &["canonical", "stripe-like", "stripe-like-charges", "toss-like"];

/// The request as text: first line, the fields that matter, body.
fn written(adapter: &dyn Adapter, call: &Call<'_>) -> String {
    let request = adapter.request(call).expect("buildable");
    let mut text = format!("{} {}\n", request.method, request.path);
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "accept" | "stripe-version") {
            text.push_str(&format!("{name}: {}\n", value.to_str().expect("ASCII")));
        }
    }
    text + std::str::from_utf8(&request.body).expect("text")
}

fn check(adapter: &str, call: &Call<'_>, expected: &[&str]) {
    let provider = provider(adapter);
    assert_eq!(written(&*provider.adapter, call).replace(REFERENCE, "REF"), expected.join("\n"), "{adapter}");
}

const STRIPE_USER: &str = "authorization: Basic c2tfdGVzdDo=";
const FORM: &str = "content-type: application/x-www-form-urlencoded";
const KEY: &str = "idempotency-key: key-1";

#[test]
fn an_intent_is_created_unconfirmed_and_then_confirmed_by_its_id() {
    let metadata = [("cart".to_owned(), "c 77&confirm=true".to_owned())];
    check(
        "stripe-like",
        &Call { metadata: &metadata, ..call(Operation::Prepare) },
        &[
            "POST /v1/payment_intents",
            FORM,
            KEY,
            STRIPE_USER,
            "amount=1234&currency=eur&payment_method_types%5B%5D=card&payment_method=tok_1&capture_method=automatic&\
             confirm=false&metadata%5Border_reference%5D=REF&metadata%5Bcart%5D=c%2077%26confirm%3Dtrue",
        ],
    );
    let confirm = Call { provider_ref: Some("pi_1"), ..call(Operation::Confirm) };
    let sent = ["POST /v1/payment_intents/pi_1/confirm", FORM, KEY, STRIPE_USER, "error_on_requires_action=true"];
    check("stripe-like", &confirm, &sent);
    let sent = ["POST /v1/payment_intents/pi_1/capture", FORM, KEY, STRIPE_USER, "amount_to_capture=1234"];
    check("stripe-like", &Call { capture: false, ..confirm }, &sent);
}

#[test]
fn an_intent_is_taken_back_by_what_was_found() {
    let captured = Verdict::Succeeded { provider_ref: "pi_1".into(), refunded: None };
    let void = Call { found: Some(&captured), provider_ref: Some("pi_1"), ..call(Operation::Void) };
    let body = "payment_intent=pi_1&metadata%5Border_reference%5D=REF";
    check("stripe-like", &void, &["POST /v1/refunds", FORM, KEY, STRIPE_USER, body]);
    let void = Call { found: Some(&Verdict::NotFound), ..void };
    check("stripe-like", &void, &["POST /v1/payment_intents/pi_1/cancel", KEY, STRIPE_USER, ""]);
}

#[test]
fn a_charge_is_one_request_and_is_looked_for_in_a_list() {
    let bearer = "authorization: Bearer sk_test";
    check(
        "stripe-like-charges",
        &call(Operation::Charge),
        &[
            "POST /v1/charges",
            FORM,
            KEY,
            bearer,
            "amount=1234&currency=eur&source=tok_1&capture=true&transfer_group=REF&metadata%5Border_reference%5D=REF",
        ],
    );
    check(
        "stripe-like-charges",
        &call(Operation::Lookup),
        &["GET /v1/charges?transfer_group=REF&limit=100", KEY, bearer, ""],
    );
}

#[test]
fn a_payment_of_the_device_is_confirmed_with_its_key_and_amount() {
    let json = "content-type: application/json";
    let body = r#"{"paymentKey":"tok_1","orderId":"REF","amount":12.34}"#;
    check("toss-like", &call(Operation::Confirm), &["POST /v1/payments/confirm", json, KEY, STRIPE_USER, body]);
    check("toss-like", &call(Operation::Lookup), &["GET /v1/payments/orders/REF", KEY, STRIPE_USER, ""]);
    let refund = Call { provider_ref: Some("tk_1"), ..call(Operation::Refund) };
    let body = r#"{"cancelReason":"REF-r1","cancelAmount":12.34,"currency":"EUR"}"#;
    check("toss-like", &refund, &["POST /v1/payments/tk_1/cancel", json, KEY, STRIPE_USER, body]);
    let toss = provider("toss-like");
    for operation in [Operation::Prepare, Operation::Confirm] {
        assert_eq!(toss.adapter.lookup_handle(&call(operation)), Ok(REFERENCE.into()), "tokens are not written down");
    }
    let next = toss.adapter.next_action(&call(Operation::Prepare)).expect("local");
    assert_eq!((next["orderId"].as_str(), next["amount"].as_str()), (REFERENCE, "12.34"));
}

#[test]
fn abilities_and_flows_are_those_of_the_files() {
    for (adapter, confirms_itself, harmless) in [
        ("canonical", false, false),
        ("stripe-like", true, true),
        ("stripe-like-charges", false, false),
        ("toss-like", false, true),
    ] {
        let provider = provider(adapter);
        assert_eq!(provider.adapter.confirms_itself(), confirms_itself, "{adapter}");
        assert_eq!(provider.adapter.prepare_is_harmless(), harmless, "{adapter}");
        assert_eq!(provider.adapter.name(), adapter);
    }
}

/// Answers that are like those of the providers, or not at all.
fn answer() -> impl Strategy<Value = (u16, String)> {
    let word = proptest::sample::select(vec![
        "succeeded",
        "requires_confirmation",
        "canceled",
        "DONE",
        "CANCELED",
        "IN_PROGRESS",
        "payment_intent",
        "refund",
        "list",
        "card_error",
        "rate_limit",
        "resource_missing",
        "NOT_FOUND_PAYMENT",
        "eur",
        "EUR",
        "pi_1",
        REFERENCE,
        "",
    ]);
    let key = proptest::sample::select(vec![
        "id",
        "object",
        "status",
        "amount",
        "amount_received",
        "currency",
        "metadata",
        "order_reference",
        "orderId",
        "paymentKey",
        "totalAmount",
        "balanceAmount",
        "error",
        "code",
        "type",
        "data",
        "has_more",
        "captured",
        "refunded",
    ]);
    let leaf = prop_oneof![
        word.prop_map(serde_json::Value::from),
        prop_oneof![Just(1234_i64), Just(0), any::<i64>()].prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::json!(12.34)),
        Just(serde_json::Value::Null),
    ];
    let tree = leaf.prop_recursive(3, 40, 10, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            proptest::collection::hash_map(key.clone(), inner, 0..10).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    });
    let status = proptest::sample::select(vec![200_u16, 201, 202, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503]);
    (status, tree.prop_map(|tree| tree.to_string()))
}

#[test]
fn no_answer_settles_a_payment_without_naming_it_and_none_is_too_strange() {
    let providers: Vec<_> = PRICED.iter().map(|name| provider(name)).collect();
    let operations = [Operation::Charge, Operation::Prepare, Operation::Confirm, Operation::Lookup, Operation::Void];
    proptest!(ProptestConfig::with_cases(200), |((status, body) in answer())| {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: Bytes::from(body.clone()),
        };
        for provider in &providers {
            for operation in operations {
                let call = Call { provider_ref: Some("pi_1"), ..call(operation) };
                match provider.adapter.classify(&call, &answer) {
                    Verdict::Succeeded { .. } | Verdict::Prepared { .. } => {
                        prop_assert!(status < 300 && body.contains(REFERENCE), "{}: {body}", provider.adapter.name());
                    }
                    Verdict::Unknown { .. } => {}
                    // Everything else needs a rule that names it: at the least a status or a code.
                    verdict => prop_assert!(
                        !provider.adapter.explain(&call, &answer).starts_with("no rule"), "{verdict:?}: {status} {body}"
                    ),
                }
            }
        }
    });
}
