//! Edits keep everything but what they are asked to change.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const FILE: &str = "\
# Flags of the member team.
member-api:   # the API
  kind: migration # of the monolith
  # raise slowly
  stage: canary      # careful
  percent: 10
  rules: # who goes first
    - when: {claim.role: [staff]} # us
      serve: new
  killed: false   # 3 a.m.

# Reviews may go away.
reviews-offline: {kind: switch, state: off} # flow
";

fn changed(text: &str, flag: &str, changes: Value) -> Result<String, EditError> {
    edit(text, flag, changes.as_object().expect("an object"))
}

/// Checks an edit of [`FILE`] as a list of replaced pieces of text.
fn check(flag: &str, changes: Value, replaced: &[(&str, &str)]) {
    let mut expected = FILE.to_owned();
    for (old, new) in replaced {
        assert_eq!(expected.matches(old).count(), 1, "{old}");
        expected = expected.replace(old, new);
    }
    assert_eq!(changed(FILE, flag, changes).expect("edited"), expected);
}

#[test]
fn a_value_changes_and_its_comment_stays() {
    check("member-api", json!({"killed": true}), &[("killed: false ", "killed: true ")]);
    check("member-api", json!({"stage": "new", "percent": 12.5}), &[("canary ", "new "), ("10", "12.5")]);
    check("reviews-offline", json!({"state": "on"}), &[("state: off", "state: \"on\"")]);
}

#[test]
fn a_new_key_comes_after_the_others() {
    check("reviews-offline", json!({"owner": "shop"}), &[("off}", "off, owner: shop}")]);
    check("member-api", json!({"owner": "team a"}), &[("# 3 a.m.\n", "# 3 a.m.\n  owner: \"team a\"\n")]);
}

#[test]
fn a_removed_key_takes_its_line() {
    check("member-api", json!({"percent": null}), &[("  percent: 10\n", "")]);
    check("member-api", json!({"salt": null}), &[]);
}

#[test]
fn a_value_that_is_there_already_keeps_its_spelling() {
    check("member-api", json!({"rules": [{"when": {"claim.role": ["staff"]}, "serve": "new"}], "percent": 10}), &[]);
}

#[test]
fn the_order_of_variants_is_part_of_the_value() {
    let swapped = changed("s: {variants: {plain: 1, bold: 1}}\n", "s", json!({"variants": {"bold": 1, "plain": 1}}));
    assert_eq!(swapped.expect("edited"), "s: {variants: {bold: 1, plain: 1}}\n");
}

#[test]
fn comments_between_variants_stay_when_only_weights_change() {
    let text = "s:\n  variants:\n    # the old one\n    plain: 50 # most\n    'bold': 50\n  # end\n";
    let weights = json!({"variants": {"plain": 60, "bold": 40}});
    let expected = text.replace("plain: 50", "plain: 60").replace("'bold': 50", "'bold': 40");
    assert_eq!(changed(text, "s", weights).expect("edited"), expected);
    let more = changed(text, "s", json!({"variants": {"plain": 60, "bold": 30, "loud": 10}})).expect("edited");
    assert_eq!(more, "s:\n  variants: {plain: 60, bold: 30, loud: 10}\n  # end\n");
}

#[test]
fn rules_are_replaced_as_a_whole() {
    let edited = changed(FILE, "member-api", json!({"rules": [{"when": {"header.x-beta": ["1"]}, "serve": "new"}]}));
    let edited = edited.expect("edited");
    assert!(edited.contains("rules: [{when: {header.x-beta: [\"1\"]}, serve: new}]"), "{edited}");
    assert!(edited.ends_with(FILE.split_once("  killed").expect("there").1), "{edited}");
}

#[test]
fn line_ends_quotes_and_a_missing_last_newline_are_no_obstacle() {
    for (text, expected) in [
        (
            "a:\r\n  kind: switch\r\n  state: off # c\r\nb: {}\r\n",
            "a:\r\n  kind: switch\r\n  state: \"on\" # c\r\nb: {}\r\n",
        ),
        ("\"a\":\n  'state': 'off'\n", "\"a\":\n  'state': \"on\"\n"),
        ("a: {state: off}", "a: {state: \"on\"}"),
        ("---\na:\n    state: off\n...\n", "---\na:\n    state: \"on\"\n...\n"),
        ("\u{feff}a: {state: off}\n", "\u{feff}a: {state: \"on\"}\n"),
    ] {
        assert_eq!(changed(text, "a", json!({"state": "on"})).expect(text), expected);
    }
}

#[test]
fn what_a_program_should_not_edit_is_left_to_people() {
    for text in
        ["a: &x {state: off}\nb: *x\n", "a: {state: off}\n---\nb: {}\n", "a: {}\na: {}\n", "- a\n", "b: {}\n", ""]
    {
        let flag = if text.contains("*x") { "b" } else { "a" };
        assert!(changed(text, flag, json!({"state": "on"})).is_err(), "{text:?}");
        assert!(!holds(text, flag) || text.contains("---"), "{text:?}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0u32..100_000).prop_map(Value::from),
        "[ -~äü\n\t\u{85}\u{2028}]{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "off", "null", "~", "1e3", "0x1", "- a", "a: b", "# c", "!!str x", "&a", "*a", "%", "@"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z.]{1,6}", inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(96))]

        /// Whatever is put in, either nothing is written, or the other flag's lines and all outer comments stay.
        #[test]
        fn no_value_can_break_out_of_its_place(value in values(), key in prop::sample::select(vec!["stage", "rules", "owner"])) {
            let changes: Map<String, Value> = [(key.to_owned(), value.clone())].into_iter().collect();
            let edited = edit(FILE, "member-api", &changes).expect("every value can be written");
            let (head, tail) = ("# Flags of the member team.\nmember-api:   # the API\n", "# Reviews may go away.\nreviews-offline: {kind: switch, state: off} # flow\n");
            prop_assert!(edited.starts_with(head) && edited.ends_with(tail), "{}", edited);
            let back = edit(&edited, "member-api", &changes).expect("again");
            prop_assert_eq!(back, edited, "writing the same again changes nothing");
        }
    }
}
