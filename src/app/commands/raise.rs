//! Which changes of a flag send more traffic to something new: those are asked about first.
//!
//! Pure. When in doubt the answer is yes: a needless question costs a key, a missing one may cost an evening.

use serde_json::{Map, Value};

use crate::admin::FLAG_SURROUNDINGS;

/// Keys that say who and what for, and move nobody.
const WORDS: &[&str] = &["description", "owner", "expires"];

/// Keys that [`exposure`] weighs, and the kill.
const WEIGHED: &[&str] = &["stage", "percent", "state", "killed"];

/// What would rise or move if `before` became `after` (definitions as JSON), a phrase each; empty if nothing can.
pub(super) fn raised(before: &Value, after: &Value) -> Vec<String> {
    if after["killed"] == true || before == after {
        return Vec::new();
    }
    let mut phrases = Vec::new();
    if before["killed"] == true {
        phrases.push("the kill is taken back".to_owned());
    }
    let differ = |key: &&str| before[*key] != after[*key];
    if exposure(after) > exposure(before) {
        let weighed = ["stage", "percent", "state"].into_iter().filter(differ);
        phrases.extend(weighed.map(|key| phrase(key, before, after)));
    }
    let others = keys(before, after).filter(|key| !WORDS.contains(key) && !WEIGHED.contains(key)).filter(differ);
    phrases.extend(others.map(|key| phrase(key, before, after)));
    phrases
}

/// A definition with changes made to it; null removes.
pub(super) fn changed(before: &Value, changes: &Map<String, Value>) -> Value {
    let mut after = before.as_object().cloned().unwrap_or_default();
    for (key, value) in changes {
        if value.is_null() {
            after.shift_remove(key);
        } else {
            after.insert(key.clone(), value.clone());
        }
    }
    Value::Object(after)
}

/// The definition within a flag's document: the rest describes its surroundings.
pub(super) fn definition(document: &Value) -> Value {
    let members = document.as_object().cloned().unwrap_or_default();
    Value::Object(members.into_iter().filter(|(name, _)| !FLAG_SURROUNDINGS.contains(&name.as_str())).collect())
}

/// Every difference of two definitions, e.g. `percent 10 → 25`.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<String> {
    keys(before, after).filter(|key| before[*key] != after[*key]).map(|key| phrase(key, before, after)).collect()
}

/// How much of the traffic the new side gets to see, in an order that only ever compares.
fn exposure(definition: &Value) -> u32 {
    const EVERYTHING: u32 = 1_000_000;
    match (definition["stage"].as_str(), definition["state"].as_str()) {
        (Some("legacy"), _) | (None, Some("off")) => 0,
        // Copies of all requests, but no client sees an answer.
        (Some("shadow"), _) => 1,
        (Some("canary"), _) => 2 + hundredths(&definition["percent"]),
        (Some("new"), _) | (None, Some("on")) => EVERYTHING,
        // The same traffic, and no way back.
        (Some("retired"), _) => EVERYTHING + 1,
        // A split has neither; its weights are compared as they are.
        (None, None) => 0,
        // A word that this version does not know: as much as can be.
        _ => u32::MAX,
    }
}

fn hundredths(percent: &Value) -> u32 {
    let hundredths = (percent.as_f64().unwrap_or(0.0) * 100.0).round().clamp(0.0, 10_000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=10,000")]
    {
        hundredths as u32
    }
}

fn keys<'a>(before: &'a Value, after: &'a Value) -> impl Iterator<Item = &'a str> {
    let names = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    names(before).chain(names(after).filter(|key| before.get(*key).is_none()))
}

fn phrase(key: &str, before: &Value, after: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{key} {} → {}", shown(&before[key]), shown(&after[key]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canary(percent: f64) -> Value {
        json!({"kind": "migration", "stage": "canary", "percent": percent, "rules": [], "killed": false})
    }

    fn asks(before: &Value, changes: &Value) -> bool {
        !raised(before, &changed(before, changes.as_object().expect("an object"))).is_empty()
    }

    #[test]
    fn more_to_the_new_side_is_asked_about() {
        assert_eq!(raised(&canary(10.0), &canary(12.5)), ["percent 10.0 → 12.5"]);
        assert!(asks(&canary(10.0), &json!({"stage": "new"})));
        assert!(asks(&canary(100.0), &json!({"stage": "retired"})));
        let legacy = json!({"kind": "migration", "stage": "legacy", "percent": 50});
        for stage in ["shadow", "canary", "surprise"] {
            assert!(asks(&legacy, &json!({"stage": stage})), "{stage}");
        }
        assert!(asks(&json!({"kind": "switch", "state": "off"}), &json!({"state": "on"})));
    }

    #[test]
    fn less_to_the_new_side_is_done_at_once() {
        assert!(!asks(&canary(10.0), &json!({"percent": 9.99})));
        assert!(!asks(&canary(10.0), &json!({"stage": "shadow"})));
        assert!(!asks(&json!({"stage": "new"}), &json!({"stage": "canary", "percent": 50})));
        assert!(!asks(&canary(10.0), &json!({"killed": true, "percent": 100})));
        assert!(!asks(&json!({"state": "on"}), &json!({"state": "off"})));
        assert!(!asks(&json!({"stage": "legacy"}), &json!({"percent": 50})));
    }

    #[test]
    fn words_move_nobody() {
        assert!(!asks(&canary(10.0), &json!({"owner": "team", "expires": null, "description": "x"})));
    }

    #[test]
    fn whatever_may_move_somebody_is_asked_about() {
        assert!(asks(&canary(10.0), &json!({"rules": [{"when": {"claim.role": ["staff"]}, "serve": "new"}]})));
        assert!(asks(&canary(10.0), &json!({"sticky_by": "ip"})));
        assert!(asks(&canary(10.0), &json!({"salt": "other"})));
        assert!(asks(&json!({"variants": {"a": 1, "b": 1}}), &json!({"variants": {"a": 1, "b": 2}})));
    }

    #[test]
    fn taking_a_kill_back_is_asked_about() {
        let killed = changed(&canary(10.0), json!({"killed": true}).as_object().expect("an object"));
        assert!(asks(&killed, &json!({"killed": false})));
        assert!(asks(&killed, &json!({"killed": null})));
        assert!(!asks(&killed, &json!({"percent": 100})), "killed all the same");
    }

    #[test]
    fn differences_name_every_key() {
        let after = json!({"kind": "migration", "stage": "new", "rules": [], "killed": false, "owner": "me"});
        assert_eq!(
            differences(&canary(10.0), &after),
            ["stage canary → new", "percent 10.0 → unset", "owner unset → me"]
        );
    }
}
