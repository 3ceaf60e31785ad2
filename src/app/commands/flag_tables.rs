//! Flags, their history and their changes as people read them.

use serde_json::Value;

use super::raise::{definition, differences};
use crate::app::output::{Table, cell, printable};

/// What a change did, in a line.
pub(super) fn done(key: &str, before: &Value, after: &Value) -> String {
    let differences = differences(&definition(before), &definition(after));
    let what = if differences.is_empty() { "says the same as before".into() } else { differences.join(", ") };
    printable(&format!("{key}: {what} (revision {})\n", cell(&after["revision"])))
}

/// Who was first, from the document of a 412.
pub(super) fn winner(key: &str, document: &Value) -> String {
    let winner = &document["winner"];
    if winner.is_null() {
        return cell(&document["detail"]);
    }
    format!(
        "{} changed {key} first, at {} (revision {}): {}; reason: {}",
        cell(&winner["actor"]),
        cell(&winner["at"]),
        cell(&winner["revision"]),
        differences(&winner["before"], &winner["after"]).join(", "),
        cell(&winner["reason"]),
    )
}

/// All flags.
pub(super) fn list_table(document: &Value) -> String {
    let columns =
        ["FLAG", "KIND", "SAYS", "RULES", "OWNER", "EXPIRES", "LAST EVALUATED", "LAST CHANGED", "BY", "REASON"];
    let mut table = Table::new(&columns);
    for flag in document["flags"].as_array().into_iter().flatten() {
        let last = &flag["last_changed"];
        table.row(vec![
            cell(&flag["key"]),
            cell(&flag["kind"]),
            says(flag),
            flag["rules"].as_array().map_or(0, Vec::len).to_string(),
            cell(&flag["owner"]),
            cell(&flag["expires"]),
            cell(&flag["last_evaluated"]),
            cell(&last["at"]),
            cell(&last["actor"]),
            cell(&last["reason"]),
        ]);
    }
    table.render("There are no flags.")
}

fn says(flag: &Value) -> String {
    match (flag["killed"] == true, flag["stage"].as_str(), &flag["variants"]) {
        (true, ..) => "killed".into(),
        (false, Some("canary"), _) => format!("canary {} %", cell(&flag["percent"])),
        (false, Some(stage), _) => stage.into(),
        (false, None, Value::Object(variants)) => {
            variants.iter().map(|(name, weight)| format!("{name} {weight}")).collect::<Vec<_>>().join(", ")
        }
        (false, None, _) => cell(&flag["state"]),
    }
}

/// A flag's history.
pub(super) fn history_table(document: &Value) -> String {
    let mut table = Table::new(&["REVISION", "AT", "WHO", "CHANGE", "REASON"]);
    for entry in document["entries"].as_array().into_iter().flatten() {
        table.row(vec![
            cell(&entry["revision"]),
            cell(&entry["at"]),
            cell(&entry["actor"]),
            differences(&entry["before"], &entry["after"]).join(", "),
            cell(&entry["reason"]),
        ]);
    }
    table.render("No change of it is recorded.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_winner_of_a_lost_race_is_named_with_what_was_done() {
        let document = json!({"detail": "…", "winner": {
            "actor": "bob", "at": "2026-11-21T20:00:00.000Z", "revision": 14, "reason": "ramp",
            "before": {"percent": 10, "killed": false}, "after": {"percent": 50, "killed": false},
        }});
        assert_eq!(
            winner("member-api", &document),
            "bob changed member-api first, at 2026-11-21T20:00:00.000Z (revision 14): percent 10 → 50; reason: ramp"
        );
        assert_eq!(winner("member-api", &json!({"detail": "changed"})), "changed");
    }

    #[test]
    fn a_list_says_what_each_flag_does() {
        assert_eq!(says(&json!({"stage": "canary", "percent": 12.5, "killed": false})), "canary 12.5 %");
        assert_eq!(says(&json!({"stage": "new", "percent": 12.5, "killed": true})), "killed");
        assert_eq!(says(&json!({"state": "off", "killed": false})), "off");
        assert_eq!(says(&json!({"variants": {"plain": 50, "bold": 50}})), "plain 50, bold 50");
    }

    #[test]
    fn a_change_is_reported_as_its_difference() {
        let before = json!({"key": "x", "percent": 10, "revision": 3, "notes": []});
        let after = json!({"key": "x", "percent": 25, "revision": 4, "notes": ["n"]});
        assert_eq!(done("x", &before, &after), "x: percent 10 → 25 (revision 4)\n");
    }
}
