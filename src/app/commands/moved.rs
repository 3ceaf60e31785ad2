//! How much traffic a change of a flag would move: what the gateway counted over the last minute, dealt out anew.
//!
//! Pure, and an estimate: rules and requests without a subject are not looked at, so every number is "about".

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::output::cell;

/// What a change from the flag's document to this definition would move, in a phrase.
pub(super) fn moved(document: &Value, after: &Value) -> String {
    let Some(rates) = document["requests_per_second"].as_object() else {
        return "how many requests it decides about is not known yet".into();
    };
    let rate_of = |variant: &str| rates.get(variant).and_then(Value::as_f64).unwrap_or_default();
    let total: f64 = rates.values().filter_map(Value::as_f64).sum();
    if total <= 0.0 {
        return "no request asked it within the last minute".into();
    }
    let was_killed = document["killed"] == true;
    let rising = shares(after).into_iter().filter_map(|(variant, share)| {
        let (now, then) = (if was_killed { 0.0 } else { rate_of(&variant) }, total * share);
        let place = backends(document, &variant).unwrap_or(variant);
        (then > now).then(|| format!("about {} requests/s to {place}, now {}", number(then), number(now)))
    });
    let rising: Vec<String> = rising.collect();
    if rising.is_empty() {
        return format!("it decides about {} requests/s", number(total));
    }
    rising.join("; ")
}

/// The share of each variant that can be raised, of those whom no rule catches.
fn shares(definition: &Value) -> Vec<(String, f64)> {
    let new = |share: f64| vec![("new".to_owned(), share)];
    match (definition["stage"].as_str(), definition["state"].as_str(), definition["variants"].as_object()) {
        (Some("canary"), ..) => new(definition["percent"].as_f64().unwrap_or_default() / 100.0),
        (Some("new" | "retired"), ..) => new(1.0),
        (Some(_), ..) => new(0.0),
        (None, Some(state), _) => vec![("on".to_owned(), if state == "on" { 1.0 } else { 0.0 })],
        (None, None, Some(variants)) => {
            let weight = |weight: &Value| weight.as_f64().unwrap_or_default();
            let total: f64 = variants.values().map(weight).sum();
            variants.iter().map(|(name, own)| (name.clone(), weight(own) / total.max(1.0))).collect()
        }
        (None, None, None) => Vec::new(),
    }
}

/// The backends that serve a variant, over all routes.
fn backends(document: &Value, variant: &str) -> Option<String> {
    let routes = document["routes"].as_array().into_iter().flatten();
    let names: BTreeSet<&str> = routes.filter_map(|route| route["backends"][variant].as_str()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(" and ");
    (!names.is_empty()).then_some(names)
}

/// Two digits of small numbers, whole large ones with their thousands apart.
fn number(value: f64) -> String {
    if value < 10.0 {
        return cell(&Value::from((value * 10.0).round() / 10.0)).trim_end_matches(".0").to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn member_api(rates: Value) -> Value {
        let backends = json!({"legacy": "monolith", "new": "member"});
        let routes = json!([{"name": "a", "backends": backends}, {"name": "b", "backends": backends}]);
        json!({"stage": "canary", "percent": 10, "requests_per_second": rates, "routes": routes})
    }

    #[test]
    fn a_raise_says_how_much_goes_where() {
        let document = member_api(json!({"legacy": 9000.0, "new": 1000.0}));
        let after = |percent: f64| json!({"stage": "canary", "percent": percent});
        assert_eq!(moved(&document, &after(42.0)), "about 4,200 requests/s to member, now 1,000");
        assert_eq!(moved(&document, &json!({"stage": "new"})), "about 10,000 requests/s to member, now 1,000");
        let quiet = member_api(json!({"legacy": 1.25, "new": 0.0}));
        assert_eq!(moved(&quiet, &after(50.0)), "about 0.6 requests/s to member, now 0");
    }

    /// The last minute may still have counted the time before the kill.
    #[test]
    fn what_comes_back_with_a_kill_that_is_taken_back_is_told() {
        let mut document = member_api(json!({"legacy": 60.0, "new": 40.0}));
        document["killed"] = json!(true);
        let after = json!({"stage": "canary", "percent": 10, "killed": false});
        assert_eq!(moved(&document, &after), "about 10 requests/s to member, now 0");
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let after = json!({"stage": "new"});
        assert!(moved(&member_api(Value::Null), &after).contains("not known yet"));
        assert!(moved(&member_api(json!({"legacy": 0.0, "new": 0.0})), &after).contains("no request"));
        let rules_alone = json!({"stage": "canary", "percent": 10, "rules": [{}]});
        let document = member_api(json!({"legacy": 90.0, "new": 10.0}));
        assert_eq!(moved(&document, &rules_alone), "it decides about 100 requests/s");
    }

    #[test]
    fn switches_and_splits_move_traffic_too() {
        let switch = json!({"requests_per_second": {"off": 30.0, "on": 0.0}, "routes": []});
        assert_eq!(moved(&switch, &json!({"state": "on"})), "about 30 requests/s to on, now 0");
        let split = json!({"requests_per_second": {"plain": 50.0, "bold": 50.0}});
        let after = json!({"variants": {"plain": 1, "bold": 3}});
        assert_eq!(moved(&split, &after), "about 75 requests/s to bold, now 50");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.04, "0"), (9.96, "10"), (12.4, "12"), (999.6, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(number(value), text);
        }
    }
}
