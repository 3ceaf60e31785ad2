//! Values that try to leave the field they stand in, and answers that try to be taken for something else.

use proptest::prelude::*;

use super::*;
use crate::types::property::config;

/// A request with a value in every kind of place.
const EVERYWHERE: &str = r#"
description: d
credentials: {key: required}
sign: {algorithm: sha256, key: "{{ credentials.key }}", over: "{{ timestamp }}.{{ nonce }}.{{ http_method }}.{{ target }}.{{ body }}", header: x-signature, value: "t={{ timestamp }},v1={{ signature }}"}
operations:
  charge:
    request:
      - when: capture
        method: POST
        path: /v1/{{ token }}/charges
        query: {q: "a {{ token }}"}
        json: {token: "{{ token }}", both: "<{{ token }}>", amount: "{{ amount }}", major: "{{ amount | major(currency) }}", none: "{{ none }}", fixed: [1, true, null], metadata: "{{ metadata }}"}
      - method: POST
        path: /v1/charges
        form: {token: "{{ token }}", amount: "{{ amount }}", "metadata[mine]": "{{ order_reference }}", metadata: "{{ metadata }}"}
    read: {provider_ref: body.id}
    classify: [{when: status == 200 and body.ok == true, as: succeeded}]
  lookup:
    request: {method: GET, path: /v1/charges, query: {of: "{{ lookup }}"}, headers: {x-token: "{{ token }}"}}
    classify: [{when: status == 404, as: not_found}]
"#;

fn everywhere() -> Declared {
    let draft = serde_saphyr::from_str(EVERYWHERE).expect("an adapter");
    let plan = Plan::compile("everywhere", draft).expect("compiles");
    let stamp = || Stamp { at: Timestamp(1_700_000_000_123), nonce: "n".into() };
    let credentials = BTreeMap::from([("key".to_owned(), Credential::new("secret"))]);
    Declared::new(Arc::new(plan), credentials, stamp).expect("complete")
}

const HOSTILE: &[&str] = &[
    "\"}, \"amount\": 1, {\"x\": \"",
    "a\r\nx-injected: 1\r\n\r\nPOST / HTTP/1.1",
    "{{ amount }}",
    "{% raw %}",
    "%2F..%2F",
    "../../admin?x=1#",
    "&amount=1&",
    "é\u{202e}한\u{1f600}",
    "\u{0}\u{1}\\",
    "a;b,c=d+e f",
];

#[test]
fn hostile_values_stay_where_they_are_put() {
    let adapter = everywhere();
    for value in HOSTILE {
        let metadata = [("mine".to_owned(), (*value).to_owned()), ("note".to_owned(), (*value).to_owned())];
        let json = adapter
            .request(&Call { token: Some(value), metadata: &metadata, ..charge() })
            .unwrap_or_else(|error| panic!("{value:?}: {error}"));
        assert!(json.path.bytes().all(|byte| byte.is_ascii_graphic()), "{}", json.path);
        assert_eq!(json.path.matches('/').count(), 3, "{}", json.path);
        assert_eq!((json.path.matches('?').count(), json.path.contains('#')), (1, false), "{}", json.path);
        let body: serde_json::Value = serde_json::from_slice(&json.body).expect("JSON");
        assert_eq!(body["token"], *value);
        assert_eq!(body["both"], format!("<{value}>"));
        assert_eq!(body["amount"], 1000);
        assert_eq!(body["metadata"]["note"], *value);
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(6), "{body}");
        let form = adapter.request(&Call { token: Some(value), capture: false, metadata: &metadata, ..charge() });
        let form = String::from_utf8(form.expect("buildable").body.to_vec()).expect("ASCII");
        let fields: Vec<_> = form.split('&').map(|field| wire::form_field(field).expect("a field")).collect();
        let expected = [("token", *value), ("amount", "1000"), ("metadata[mine]", "ref-1"), ("metadata[note]", *value)];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[test]
fn a_value_that_a_header_cannot_hold_is_not_sent() {
    let adapter = everywhere();
    for value in ["a\r\nx: y", "a\nb", "\u{0}", "é", "\u{7f}"] {
        let error = adapter.request(&Call { token: Some(value), ..call(Operation::Lookup) }).expect_err(value);
        assert!(error.to_string().contains("x-token") && !error.to_string().contains(value), "{error}");
    }
}

#[test]
fn a_path_is_never_shortened_by_what_is_inserted() {
    for value in ["", ".", ".."] {
        assert!(everywhere().request(&Call { token: Some(value), ..charge() }).is_err(), "{value:?}");
    }
}

#[test]
fn numbers_are_written_exactly_and_none_is_left_out() {
    let request = everywhere().request(&charge()).expect("buildable");
    let body = String::from_utf8(request.body.to_vec()).expect("text");
    assert_eq!(
        body,
        r#"{"token":"tok","both":"<tok>","amount":1000,"major":10.00,"fixed":[1,true,null],"metadata":{}}"#
    );
}

#[test]
fn the_signature_covers_what_is_sent() {
    let request = everywhere().request(&charge()).expect("buildable");
    let field = &request.headers.iter().find(|(name, _)| name == "x-signature").expect("signed").1;
    let over = format!("1700000000.n.POST./v1/tok/charges?q=a%20tok.{}", String::from_utf8_lossy(&request.body));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"secret");
    let tag = aws_lc_rs::hmac::sign(&key, over.as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(field.to_str().expect("ASCII"), format!("t=1700000000,v1={digits}"));
}

/// JSON of any shape, its texts and keys often those that rules look for.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let word = prop_oneof![
        Just("succeeded".to_owned()),
        Just("declined".to_owned()),
        Just("ref-1".to_owned()),
        Just("EUR".to_owned()),
        "[ -~]{0,12}"
    ];
    let key = prop_oneof![
        Just("id".to_owned()),
        Just("status".to_owned()),
        Just("order_reference".to_owned()),
        Just("amount".to_owned()),
        Just("currency".to_owned()),
        Just("error".to_owned()),
        Just("code".to_owned()),
        "[a-z_]{0,8}"
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        prop_oneof![Just(1000_i64), any::<i64>()].prop_map(Into::into),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        word.prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn property_no_answer_is_a_success_unless_a_rule_and_the_echo_say_so(
        status in 100_u16..600, body in json(), operation in 0..Operation::ALL.len()
    ) {
        let verdict = canonical().classify(&call(Operation::ALL[operation]), &answer(status, &body.to_string()));
        if let Verdict::Succeeded { .. } = verdict {
            prop_assert!(matches!(status, 200 | 201), "{status}");
            prop_assert_eq!(&body["status"], "succeeded");
            prop_assert_eq!(&body["amount"], 1000);
            prop_assert_eq!(&body["currency"], "EUR");
        }
    }

    #[test]
    fn property_no_bytes_are_too_strange_for_an_answer(status in 100_u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut strange = answer(200, "");
        strange.status = StatusCode::from_u16(status).expect("in range");
        strange.body = Bytes::from(body);
        for operation in Operation::ALL {
            let verdict = canonical().classify(&call(*operation), &strange);
            let settles = matches!(verdict, Verdict::Succeeded { .. } | Verdict::Voided | Verdict::Prepared { .. });
            prop_assert!(!settles);
        }
    }

    #[test]
    fn property_any_value_can_be_sent_or_is_refused(token in any::<String>(), capture in any::<bool>()) {
        if let Ok(request) = everywhere().request(&Call { token: Some(&token), capture, ..charge() }) {
            prop_assert!(request.path.starts_with("/v1/") && request.path.is_ascii());
        }
    }
}
