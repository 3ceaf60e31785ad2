use serde_json::json;

use super::*;

fn payment() -> Value {
    json!({
        "id": "pay_01", "order_id": "o-1, \"the first\"", "amount": 1500, "currency": "KRW",
        "attempts": [
            {"provider": "beta", "order_reference": "01-1", "provider_ref": null, "status": "not_processed",
             "started_at": "2026-11-01T00:00:00.000Z", "ended_at": "2026-11-01T00:00:01.000Z"},
            {"provider": "alpha", "order_reference": "01-2", "provider_ref": "ch_1", "status": "succeeded",
             "started_at": "2026-11-01T00:00:02.000Z", "ended_at": "2026-11-01T00:00:03.000Z"},
        ],
        "refunds": [
            {"number": 1, "reference": "01-r1", "provider_ref": "re_1", "amount": 500, "status": "succeeded",
             "started_at": "2026-11-02T00:00:00.000Z", "ended_at": null},
        ],
    })
}

#[test]
fn a_payment_becomes_its_charges_at_the_provider_and_the_refunds_of_its_money() {
    let alpha = entries(&payment(), "alpha").expect("understood");
    let told: Vec<_> = alpha.iter().map(|one| (one.kind, one.reference.as_str(), one.amount, one.state)).collect();
    assert_eq!(
        told,
        [
            (EntryKind::Charge, "01-2", 1500, AttemptState::Succeeded),
            (EntryKind::Refund, "01-r1", 500, AttemptState::Succeeded)
        ]
    );
    let beta = entries(&payment(), "beta").expect("understood");
    assert_eq!(beta.len(), 1);
    assert_eq!((beta[0].state, &beta[0].provider_ref), (AttemptState::NotProcessed, &None));
    assert!(entries(&json!({"id": "p", "attempts": [{"provider": "alpha"}]}), "alpha").is_err());
}

#[test]
fn csv_is_quoted_as_rfc_4180_says_and_has_headings_even_if_empty() {
    let mut out = Vec::new();
    let mut csv = Csv::new(&mut out);
    for entry in entries(&payment(), "alpha").expect("understood") {
        csv.put(&entry).expect("memory");
    }
    csv.finish().expect("memory");
    drop(csv);
    let text = String::from_utf8(out).expect("text");
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(lines[0], HEADINGS.join(","));
    assert_eq!(
        lines[1],
        "charge,pay_01,\"o-1, \"\"the first\"\"\",alpha,01-2,ch_1,1500,KRW,succeeded,2026-11-01T00:00:02.000Z,\
         2026-11-01T00:00:03.000Z"
    );
    assert!(lines[2].starts_with("refund,pay_01,") && lines[2].ends_with(",2026-11-02T00:00:00.000Z,"));
    let mut empty = Vec::new();
    Csv::new(&mut empty).finish().expect("memory");
    assert_eq!(empty, format!("{}\r\n", HEADINGS.join(",")).into_bytes());
    let mut failed = Vec::new();
    drop(Csv::new(&mut failed));
    assert_eq!(failed, b"", "an export that failed has no headings");
}

#[test]
fn json_is_one_document_a_line() {
    let mut lines = JsonLines(Vec::new());
    for entry in entries(&payment(), "alpha").expect("understood") {
        lines.put(&entry).expect("memory");
    }
    let text = String::from_utf8(lines.0).expect("text");
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["kind"], &first["amount"], text.lines().count()), (&json!("charge"), &json!(1500), 2));
    let keys: Vec<_> = first.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, HEADINGS);
}

#[test]
fn days_are_whole_and_moments_exact() {
    let utc = |text| Timestamp::parse(text).expect("a moment");
    assert_eq!(first_moment("2026-11-01"), Ok(utc("2026-11-01T00:00:00Z")));
    assert_eq!(end_moment("2026-11-30"), Ok(utc("2026-12-01T00:00:00Z")));
    assert_eq!(end_moment("2026-11-01T09:00:00+09:00"), Ok(utc("2026-11-01T00:00:00Z")));
    for text in ["2026-11-31", "november", "", "2026-11-01T09:00:00"] {
        assert!(first_moment(text).is_err() && end_moment(text).is_err(), "{text}");
    }
}
