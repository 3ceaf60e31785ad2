use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_visa"}"#;

fn message(body: &str) -> String {
    parse_charge(body.as_bytes()).expect_err("a refusal").to_string()
}

#[test]
fn a_charge_is_read() {
    let charge = parse_charge(GOOD.as_bytes()).expect("valid");
    assert_eq!(charge.order_id, "o-1");
    assert_eq!(charge.money.to_string(), "12.34 EUR");
    let full = GOOD.replace('}', r#","capture":true,"metadata":{"b":"2","a":"1"}}"#);
    let metadata = parse_charge(full.as_bytes()).expect("valid").metadata;
    assert_eq!(metadata, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
}

#[test]
fn a_charge_is_captured_at_once_unless_it_says_otherwise() {
    assert!(parse_charge(GOOD.as_bytes()).expect("valid").capture);
    let later = GOOD.replace('}', r#","capture":false}"#);
    assert!(!parse_charge(later.as_bytes()).expect("valid").capture);
}

#[test]
fn follow_ups_say_little_and_nothing_else() {
    for nothing in ["", " \n", "{}"] {
        assert_eq!(parse_confirm(nothing.as_bytes()), Ok(None));
        assert_eq!(parse_cancel(nothing.as_bytes()), Ok(()));
        assert_eq!(parse_refund(nothing.as_bytes()), Ok(None));
    }
    assert_eq!(parse_confirm(br#"{"token":"t"}"#), Ok(Some("t".into())));
    assert_eq!(parse_refund(br#"{"amount":5}"#), Ok(Some(5)));
    let says = |result: Result<_, RequestError>| result.expect_err("a refusal").to_string();
    assert_eq!(says(parse_cancel(b"{\"why\":1}")), "why: there is no such field; send an empty object: {}");
    assert_eq!(says(parse_cancel(b"[]")), "the body is an array; send an empty object: {}");
    assert!(says(parse_refund(br#"{"amount":0}"#).map(drop)).starts_with("amount: must be an integer"));
    assert!(says(parse_refund(br#"{"amount":null}"#).map(drop)).starts_with("amount: must be an integer"));
    assert!(says(parse_confirm(br#"{"token":"4242424242424242"}"#).map(drop)).contains("card number"));
    assert!(says(parse_cancel(br#"{"4242424242424242":1}"#)).contains("card number"));
}

#[test]
fn amounts_that_are_no_amounts_are_refused() {
    for amount in ["0", "-1", "12.34", "1.0", "1e3", "\"1234\"", "null", "true", "[1]", "1000000000000", "1e400"] {
        let body = GOOD.replace("1234", amount);
        assert!(parse_charge(body.as_bytes()).is_err(), "{amount}");
    }
    assert!(message(&GOOD.replace("1234", "99999999999999999999999999")).starts_with("amount: "));
    assert!(message(&GOOD.replace("1234", "12.34")).contains("without fraction"));
    assert!(parse_charge(GOOD.replace("1234", "999999999999").as_bytes()).is_ok());
}

#[test]
fn each_refusal_names_its_field() {
    for (find, replace, says) in [
        (r#""order_id":"o-1","#, "", "order_id: is missing"),
        ("o-1", "", "order_id: must be 1 to 64"),
        ("o-1", "two words", "order_id: must be 1 to 64"),
        ("EUR", "eur", "currency: must be a currency code"),
        ("EUR", "XXX", "currency: must be a currency code"),
        ("\"card\"", "7", "method: must be a string, not a number"),
        ("card", "Card", "method: must be 1 to 32"),
        ("tok_visa", "", "token: must be 1 to 512"),
        ("order_id", "order", "order: there is no such field"),
        ("\"o-1\"", "\"o-1\",\"order_id\":\"o-2\"", "order_id: stands in the body more than once"),
        ("\"tok_visa\"", "\"t\",\"capture\":null", "capture: must be true or false, not null"),
        ("\"tok_visa\"", "\"t\",\"metadata\":[]", "metadata: must be an object"),
        ("\"tok_visa\"", "\"t\",\"metadata\":{\"a\":{}}", "metadata.a: must be a string, not an object"),
        (
            "\"tok_visa\"",
            "\"t\",\"metadata\":{\"a\":\"1\",\"a\":\"1\"}",
            "metadata.a: stands in the body more than once",
        ),
        ("\"tok_visa\"", "\"t\",\"metadata\":{\"a b\":\"1\"}", "metadata.a b: is no key"),
    ] {
        let said = message(&GOOD.replace(find, replace));
        assert!(said.starts_with(says), "{replace}: {said}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    assert!(message("[]").starts_with("the body is an array"));
    for body in ["", "{", "{} {}", "order_id=1", "\u{feff}{}"] {
        assert!(message(body).starts_with("the body is not JSON"), "{body}");
    }
    assert!(parse_charge(b"{\"order_id\":\"\xff\"}").is_err());
}

#[test]
fn card_numbers_are_refused_wherever_they_stand() {
    for (find, replace) in [
        ("o-1", "4242424242424242"),
        ("tok_visa", "4242-4242-4242-4242"),
        ("tok_visa", "4242\\u0034242\\u0034242\\u0034242"),
        ("1234", "4242424242424242"),
        ("order_id", "4242424242424242"),
        ("\"tok_visa\"", "\"t\",\"metadata\":{\"note\":\"4242 4242 4242 4242\"}"),
        ("\"tok_visa\"", "\"t\",\"card\":{\"number\":[\"4242424242424242\"]}"),
        ("}", "4242424242424242"),
    ] {
        let body = GOOD.replace(find, replace);
        assert_eq!(parse_charge(body.as_bytes()), Err(RequestError::CardNumber), "{body}");
    }
}

#[test]
fn a_message_repeats_no_value() {
    let secret = "sk-live-very-secret";
    for body in [
        GOOD.replace("card", &format!("{secret}!")),
        GOOD.replace("EUR", secret),
        GOOD.replace("o-1", &secret.repeat(9)),
        GOOD.replace("1234", &format!("\"{secret}\"")),
        format!("{secret}{GOOD}"),
    ] {
        assert!(!message(&body).contains(secret), "{}", message(&body));
    }
    assert!(!format!("{:?}", parse_charge(GOOD.as_bytes())).contains("tok_visa"));
}

mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::types::property::config(256))]

        #[test]
        fn no_body_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_charge(&body);
        }

        #[test]
        fn a_body_cut_short_or_edited_is_refused_or_still_valid(cut in 0..GOOD.len(), byte in any::<u8>()) {
            let mut body = GOOD.as_bytes().to_vec();
            body[cut] = byte;
            if let Ok(charge) = parse_charge(&body) {
                prop_assert!((1..=MAX_AMOUNT).contains(&charge.money.amount));
                prop_assert!(!card_numbers::contains(&charge.token));
            }
            prop_assert!(parse_charge(&GOOD.as_bytes()[..cut]).is_err());
        }
    }
}
