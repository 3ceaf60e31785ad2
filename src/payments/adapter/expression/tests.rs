use minijinja::value::Value;
use proptest::prelude::*;

use super::*;
use crate::types::property::config;

fn variables() -> Value {
    Value::from_pairs([
        ("status", Value::from(200)),
        ("body", Value::from_pairs([("paid", Value::from("false")), ("status", Value::from("done"))])),
        ("headers", Value::from_pairs([("retry-after", "3")])),
        ("amount", Value::from(1234)),
    ])
}

fn holds(source: &str) -> Result<bool, String> {
    let expression = Expression::compile(source, &Scope::answer())?;
    expression.holds(&variables()).map_err(|failed| failed.to_string())
}

#[test]
fn conditions_compare_what_is_there() {
    for source in [
        "status == 200 and body.status == 'done'",
        "status in [200, 201]",
        "body.other is not defined",
        "headers['retry-after'] == '3'",
        "status == 404 or body is mapping",
        "status != 404 and not body.status in ('a', 'b')",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
    for source in ["status == '200'", "body.status == 'Done'", "status >= 300", "body.other | default('') == 'x'"] {
        assert_eq!(holds(source), Ok(false), "{source}");
    }
}

#[test]
fn what_is_not_there_or_no_truth_value_fails() {
    for source in
        ["body.error.code == 'x'", "body.other", "body.other != 'x'", "body.paid", "status", "body.status / 2 == 1"]
    {
        let message = holds(source).expect_err(source);
        assert!(!message.contains("done"), "{message} quotes the answer");
    }
    assert_eq!(holds("status == 404 and body.error.code == 'x'"), Ok(false), "the second half is not looked at");
}

#[test]
fn mistakes_are_found_when_it_is_compiled() {
    for (source, part) in [
        ("", "is empty"),
        ("status ==", "is no expression"),
        ("statsu == 200", "no variable \"statsu\""),
        ("credentials.api_key == 'x'", "no variable \"credentials\""),
        ("body | tojson == 'x'", "no filter \"tojson\""),
        ("range(9)", "nothing to call"),
    ] {
        let message = holds(source).expect_err(source);
        assert!(message.contains(part), "{source}: {message}");
    }
    assert!(holds(&"(".repeat(3000)).is_err());
    assert!(holds(&format!("status == 200 and {}", "x".repeat(5000))).is_err());
}

#[test]
fn a_value_that_can_be_no_amount_is_told_from_one_that_is_not_there() {
    let body = [("low", Value::from(-1.5)), ("huge", Value::from(10_i128.pow(30))), ("none", Value::from(()))];
    let variables = Value::from_pairs([("body", Value::from_pairs(body)), ("amount", Value::from(150))]);
    let is_impossible = |source: &str| {
        let expression = Expression::compile(source, &Scope::answer()).expect(source);
        assert!(expression.value(&variables).is_err(), "{source}");
        expression.is_impossible(&variables)
    };
    for source in ["body.low | minor('EUR')", "body.huge | minor('KRW')", "body | minor('EUR')", "body.low | int"] {
        assert!(is_impossible(source), "{source}");
    }
    for source in ["body.none | minor('EUR')", "body.gone | minor('EUR')", "body.gone.low | minor('EUR')", "body.gone"]
    {
        assert!(!is_impossible(source), "{source}");
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn property_no_source_is_too_strange_to_be_judged(source in "[ -~]{0,60}|[a-z.|()'{}\\[\\]\"=<> ]{0,60}") {
        if let Ok(expression) = Expression::compile(&source, &Scope::answer()) {
            let _ = expression.holds(&variables());
        }
    }
}
