//! The page and the adapter say the same: each example of `docs/payments-canonical.md` is built or judged by the adapter.

use super::*;

const PAGE: &str = include_str!("../../../../docs/payments-canonical.md");
const REFERENCE: &str = "01M7Y3A9VY0FQQAMKRC02P2MQT-1";

/// The text of each example by the words behind its fence: `charge`, `charge succeeded`.
fn examples() -> Vec<(Vec<&'static str>, &'static str)> {
    let blocks = PAGE.split("\n```http ").skip(1).map(|block| block.split("\n```").next().expect("an end"));
    blocks
        .map(|block| block.split_once('\n').expect("a fence"))
        .map(|(info, text)| (info.split(' ').collect(), text))
        .collect()
}

/// The call that the page's requests are about.
fn asked(operation: Operation, metadata: &[(String, String)]) -> Call<'_> {
    let client = matches!(operation, Operation::Charge | Operation::Prepare | Operation::Confirm);
    Call {
        order_reference: REFERENCE,
        lookup: REFERENCE,
        provider_ref: Some("ch_8812").filter(|_| !client),
        refund_reference: Some("01M7Y3A9VY0FQQAMKRC02P2MQT-1-r1").filter(|_| operation == Operation::Refund),
        token: Some("tok_example").filter(|_| client),
        money: Money { amount: 1234, currency: Currency::parse("EUR").expect("listed") },
        metadata,
        ..call(operation)
    }
}

#[test]
fn every_example_of_the_page_is_what_the_adapter_does() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for (words, text) in examples() {
        let operation = Operation::parse(words[0]).expect("an operation");
        let metadata = [("cart".to_owned(), "c-77".to_owned())];
        let metadata = if operation == Operation::Charge { &metadata[..] } else { &[] };
        let call = asked(operation, metadata);
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first: Vec<_> = lines.next().expect("a first line").split(' ').collect();
        *seen.entry(words[0]).or_default() += 1;
        if let Some(class) = words.get(1) {
            let answer = answer(first[1].parse().expect("a status"), body);
            assert_eq!(canonical().classify(&call, &answer).class(), *class, "{text}");
            continue;
        }
        let request = canonical().request(&call).expect("buildable");
        assert_eq!((request.method.as_str(), request.path.as_str()), (first[0], first[1]));
        let written = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).ok();
        assert_eq!(written(&request.body), written(body.as_bytes()), "{text}");
        for line in lines {
            let name = line.split(':').next().expect("a name").to_lowercase();
            assert!(request.headers.iter().any(|(known, _)| known.as_str() == name), "{name} in {text}");
        }
    }
    let operations: Vec<_> = seen.keys().copied().collect();
    assert_eq!(operations, ["charge", "confirm", "lookup", "prepare", "refund", "void"]);
    assert!(seen["charge"] > 3 && seen["lookup"] > 2, "{seen:?}");
}
