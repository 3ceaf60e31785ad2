//! Flag files: every kind of flag, and every kind of mistake in one.

use super::super::flags::Broken;
use super::super::report::Report;
use super::Setup;
use crate::flags::{Attribute, Flag, Kind, Stage, StickyBy};
use crate::snapshot::Diagnostic;

fn read(file: &str, text: &str) -> Result<Vec<Flag>, Vec<Diagnostic>> {
    let mut report = Report::default();
    let found = super::super::flags::read(&file.into(), text, &mut Broken::default(), &mut report);
    if report.has_errors() {
        return Err(report.finish());
    }
    Ok(found.iter().map(|found| Flag::clone(&found.flag)).collect())
}

fn flags(text: &str) -> Vec<Flag> {
    read("flags/a.yaml", text).unwrap_or_else(|found| panic!("{found:#?}"))
}

/// Expects exactly these errors, as they are printed after the file's name.
fn check(text: &str, expected: &[&str]) {
    let found = read("f", text).err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("f:{expected}")), "{found}\ndoes not begin with f:{expected}");
    }
}

#[test]
fn every_kind_of_flag_is_read() {
    let flags = flags(
        "member-api:
  kind: migration
  description: Member lookups leave the monolith
  owner: member-team
  expires: 2027-03-31
  stage: canary
  percent: 12.5
  sticky_by: header:X-Tenant
  salt: s
  rules:
    - {when: {claim.role: [staff, 7, true], header.X-Beta: on}, serve: new}
  killed: true
lamp: {kind: switch, state: off}
button: {kind: split, variants: {plain: 50, bold: 0}, sticky_by: ip}
",
    );
    let [member, lamp, button] = flags.as_slice() else { panic!("three flags") };
    assert_eq!(member.kind, Kind::Migration { stage: Stage::Canary, percent: 1_250 });
    assert_eq!((member.salt.as_str(), member.killed, member.file.as_str()), ("s", true, "flags/a.yaml"));
    assert_eq!(member.sticky_by, StickyBy::Header("x-tenant".into()));
    assert_eq!((member.expires.as_deref(), member.owner.as_deref()), (Some("2027-03-31"), Some("member-team")));
    let rule = &member.rules[0];
    assert_eq!((rule.serve, rule.when[0].any_of.as_slice()), (1, ["staff", "7", "true"].map(String::from).as_slice()));
    assert_eq!(rule.when[1].attribute, Attribute::Header("x-beta".into()));
    assert_eq!(rule.when[1].any_of, ["on"]);
    assert_eq!(
        (&lamp.kind, lamp.salt.as_str(), &lamp.sticky_by),
        (&Kind::Switch { on: false }, "lamp", &StickyBy::User)
    );
    let Kind::Split(split) = &button.kind else { panic!("a split") };
    assert_eq!(split.weights(), [50, 0]);
}

#[test]
fn a_flag_shown_as_json_is_read_back_the_same() {
    let text = "a: {kind: migration, stage: canary, percent: 0.07, rules: [{when: {cookie.c: x}, serve: legacy}]}
b: {kind: switch, state: on, killed: true}
c: {kind: split, variants: {x: 1, y: 2}, sticky_by: \"claim:team\", salt: z}
";
    for flag in flags(text) {
        let again = format!("{}: {}", flag.key, flag.to_json());
        assert_eq!(flags(&again), [flag], "{again}");
    }
}

#[test]
fn an_empty_file_holds_no_flags() {
    for text in ["", "# nothing yet\n", "---\n", "{}\n"] {
        assert_eq!(flags(text), [], "{text:?}");
    }
}

#[test]
fn kinds_and_what_they_need_are_checked() {
    check("a: {}\n", &["1:4: a: key \"kind\" is missing: write one of migration, switch, split"]);
    check(
        "a: {kind: swich}\n",
        &["1:11: a.kind: \"swich\" is not one of migration, switch, split; did you mean \"switch\"?"],
    );
    check("a: {kind: migration}\n", &["1:4: a: key \"stage\" is missing"]);
    check("a: {kind: switch}\n", &["1:4: a: key \"state\" is missing"]);
    check("a: {kind: split}\n", &["1:4: a: key \"variants\" is missing"]);
    check(
        "a: {kind: switch, state: off, percent: 5}\n",
        &["1:31: a.percent: \"percent\" does not belong to this kind"],
    );
    check("a: {kind: switch, state: off, persent: 5}\n", &["1:31: a.persent: unknown key \"persent\""]);
    check("a: {kind: switch, state: false}\n", &["1:26: a.state: \"false\" is not one of off, on"]);
    check("a: 1\n", &["1:4: a: \"…\" is a single value"]);
    check("- a\n", &["1:1: \"[…]\" is a list; write a mapping"]);
    check(
        "A_b: {kind: switch, state: off}\n",
        &["1:1: A_b: \"A_b\" is not a key; use 1 to 64 lower-case letters, digits and dashes, such as \"a-b\""],
    );
}

#[test]
fn values_of_flags_are_checked() {
    let migration = |rest: &str| format!("a: {{kind: migration, stage: canary, {rest}}}\n");
    check(
        "a: {kind: migration, stage: shadow}\n",
        &["1:29: a.stage: \"shadow\" is not in this version; write one of legacy, canary, new, retired"],
    );
    check(&migration("percent: 0.125"), &["1:46: a.percent: \"0.125\" is not a percentage"]);
    check(&migration("percent: 101"), &["1:46: a.percent: \"101\" is not a percentage"]);
    check(&migration("percent: ten"), &["1:46: a.percent: \"ten\" is not a number"]);
    check(&migration("expires: 2027-02-30"), &["1:46: a.expires: \"2027-02-30\" is not a day"]);
    check(&migration("sticky_by: users"), &["1:48: a.sticky_by: \"users\" is nothing to stick to"]);
    check(&migration("killed: off"), &["1:45: a.killed: \"off\" is neither true nor false"]);
    check(&migration("salt: ''"), &["1:43: a.salt: \"\" is empty"]);
    check("a: {kind: split, variants: [x, y]}\n", &["1:28: a.variants: \"[…]\" is a list"]);
    check("a: {kind: split, variants: {}}\n", &["1:28: a.variants: \"{}\" is too short"]);
    check("a: {kind: split, variants: {x: 0}}\n", &["1:28: a.variants: all weights are 0"]);
    check(
        "a: {kind: split, variants: {x: -1, y z: 1.5}}\n",
        &[
            "1:32: a.variants.x: \"-1\" is out of range",
            "1:36: a.variants[\"y z\"]: \"y z\" is not a variant's name",
            "1:41: a.variants[\"y z\"]: \"1.5\" is not a whole decimal number",
        ],
    );
}

#[test]
fn rules_are_checked() {
    let rules = |rules: &str| format!("a: {{kind: switch, state: off, rules: [{rules}]}}\n");
    check(&rules("{when: {}, serve: on}"), &["1:46: a.rules[0].when: \"{}\" is too short; write at least 1 value"]);
    check(
        &rules("{when: {role: x}, serve: on}"),
        &["1:47: a.rules[0].when.role: \"role\" is nothing that a rule can read"],
    );
    check(&rules("{when: {claim.a: []}, serve: on}"), &["1:56: a.rules[0].when[\"claim.a\"]: \"[]\" is too short"]);
    check(&rules("{when: {claim.a: ~}, serve: on}"), &["1:56: a.rules[0].when[\"claim.a\"]: \"~\" is no value"]);
    check(
        &rules("{when: {claim.a: {b: c}}, serve: on}"),
        &["1:56: a.rules[0].when[\"claim.a\"]: \"{…}\" is a mapping"],
    );
    check(
        &rules("{when: {claim.a: b}, serve: new}"),
        &["1:67: a.rules[0].serve: \"new\" is no variant of this flag; it has off, on"],
    );
    check(&rules("{serve: on}"), &["1:39: a.rules[0]: key \"when\" is missing"]);
}

#[test]
fn variables_are_not_replaced_in_flag_files() {
    assert_eq!(
        flags("a: {kind: switch, state: off, description: \"${HOME}\"}\n")[0].description.as_deref(),
        Some("${HOME}")
    );
}

#[test]
fn flag_keys_are_unique_over_all_files() {
    let flag = "a: {kind: switch, state: off}\n";
    let setup = Setup::new("flags: {dir: ../flags}\n").file("flags/1.yaml", flag).file("flags/2.yaml", flag);
    setup.errors(&[("1:1 a", "flags/1.yaml:1 already")]);
    let files: Vec<_> = setup.load().diagnostics.iter().map(|one| one.file.clone()).collect();
    assert!(files.last().is_some_and(|file| file.ends_with("flags/2.yaml") && !file.contains("..")), "{files:?}");
}

#[test]
fn only_visible_yaml_files_are_flag_files() {
    let setup = Setup::new("flags: {dir: ../flags}\n");
    let bad = "]";
    let setup = setup
        .file("flags/.hidden.yaml", bad)
        .file("flags/a.yaml~", bad)
        .file("flags/README.md", bad)
        .file("flags/sub/a.yaml", bad);
    setup.errors(&[]);
    let setup = setup.file("flags/b.yml", bad);
    setup.errors(&[]);
    setup.warnings(&[("1:14 flags.dir", "b.yml\" is not read: flag files end in .yaml")]);
    assert_eq!(setup.load().flags_dir, Some(setup.path().join("config/../flags")));
}

#[test]
fn a_missing_flags_folder_is_an_error_and_an_empty_one_is_not() {
    let setup = Setup::new("flags: {dir: ../flags}\n");
    setup.errors(&[("1:14 flags.dir", "the flags folder \"../flags\" can't be read")]);
    std::fs::create_dir(setup.path().join("flags")).expect("folder");
    setup.errors(&[]);
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn no_flag_file_makes_the_reader_panic(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("kind: "), Just("switch"), Just("split"), Just("migration"), Just("a"), Just("\n  "), Just("\n"), Just(": "),
                    Just("variants: "), Just("{"), Just("}"), Just("["), Just("]"), Just(", "), Just("percent: "), Just("1"), Just("-"),
                    Just("rules: "), Just("when: "), Just("serve: "), Just("stage: "), Just("canary"), Just("state: "), Just("off"), Just("~"),
                ],
                0..40,
            )
        ) {
            if let Err(found) = read("f", &words.concat()) {
                prop_assert!(!found.is_empty());
                for one in found {
                    prop_assert!(one.line > 0 && one.column > 0, "{one}");
                }
            }
        }
    }
}
