//! What flags promise, seen from outside.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::json;

use super::*;
use crate::clock::Timestamp;

#[derive(Default)]
struct Caller {
    user: Option<String>,
    claims: HashMap<&'static str, Vec<&'static str>>,
    headers: HashMap<&'static str, &'static str>,
    cookies: HashMap<&'static str, &'static str>,
    ip: Option<IpAddr>,
}

impl Context for Caller {
    fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
    fn claim(&self, name: &str, visit: &mut dyn FnMut(&str)) {
        self.claims.get(name).into_iter().flatten().for_each(|value| visit(value));
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).copied()
    }
    fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).copied()
    }
    fn ip(&self) -> IpAddr {
        self.ip.unwrap_or_else(|| [192, 0, 2, 1].into())
    }
}

fn user(name: impl ToString) -> Caller {
    Caller { user: Some(name.to_string()), ..Caller::default() }
}

fn flag(kind: Kind) -> Flag {
    Flag {
        key: "member-api".into(),
        kind,
        description: None,
        owner: None,
        expires: None,
        sticky_by: StickyBy::User,
        salt: "member-api".into(),
        rules: vec![],
        killed: false,
        file: "flags/member.yaml".into(),
    }
}

fn migration(stage: Stage, percent: u16) -> Flag {
    flag(Kind::Migration { stage, percent })
}

fn switch(on: bool) -> Flag {
    flag(Kind::Switch { on })
}

fn split(variants: &[(&str, u32)]) -> Flag {
    let variants = variants.iter().map(|&(name, weight)| (name.into(), weight)).collect();
    flag(Kind::Split(Split::new(variants).expect("valid split")))
}

fn rule(conditions: &[(&str, &[&str])], serve: usize) -> Rule {
    let when = conditions.iter().map(|(attribute, any_of)| Condition {
        attribute: attribute.parse().expect("valid attribute"),
        any_of: any_of.iter().map(ToString::to_string).collect(),
    });
    Rule { when: when.collect(), serve }
}

/// The variant's name and the reason's word.
fn says<'a>(flag: &'a Flag, caller: &Caller) -> (&'a str, &'static str) {
    let decision = flag.evaluate(caller, false);
    assert_eq!(flag.explain(caller, false).decision, decision, "explain says what evaluate says");
    (flag.variants()[decision.variant].as_str(), decision.reason.as_str())
}

#[test]
fn each_stage_has_its_default() {
    for (stage, expect) in [
        (Stage::Legacy, ("legacy", "STAGE")),
        (Stage::Shadow, ("legacy", "STAGE")),
        (Stage::New, ("new", "STAGE")),
        (Stage::Retired, ("new", "STAGE")),
    ] {
        assert_eq!(says(&migration(stage, 5000), &user("ann")), expect, "{stage}");
    }
}

#[test]
fn a_switch_says_its_state() {
    assert_eq!(says(&switch(false), &user("ann")), ("off", "DEFAULT"));
    assert_eq!(says(&switch(true), &Caller::default()), ("on", "DEFAULT"));
}

#[test]
fn a_kill_wins_over_rules_percentage_and_stage() {
    for stage in Stage::ALL {
        let mut flag = migration(stage, WHOLE);
        flag.rules = vec![rule(&[], 1)];
        flag.killed = true;
        assert_eq!(says(&flag, &user("ann")), ("legacy", "KILLED"), "{stage}");
    }
    let mut killed = split(&[("plain", 0), ("bold", 1)]);
    killed.killed = true;
    assert_eq!(says(&killed, &user("ann")), ("plain", "KILLED"));
    let mut killed = switch(true);
    killed.killed = true;
    assert_eq!(says(&killed, &user("ann")), ("off", "KILLED"));
}

#[test]
fn the_first_matching_rule_wins_over_percentage_and_stage() {
    let mut flag = migration(Stage::Legacy, 0);
    flag.rules = vec![
        rule(&[("claim.role", &["staff", "tester"]), ("header.x-beta", &["1"])], 1),
        rule(&[("claim.role", &["tester"])], 0),
        rule(&[("cookie.beta", &["yes"])], 1),
    ];
    let mut caller = user("ann");
    assert_eq!(says(&flag, &caller), ("legacy", "STAGE"));
    caller.claims.insert("role", vec!["buyer", "tester"]);
    caller.cookies.insert("beta", "yes");
    assert_eq!(says(&flag, &caller), ("legacy", "RULE"), "all conditions of a rule must hold");
    caller.headers.insert("x-beta", "1");
    assert_eq!(says(&flag, &caller), ("new", "RULE"), "any element of an array claim, any value of a list");
    caller.headers.insert("x-beta", "10");
    assert_eq!(says(&flag, &caller), ("legacy", "RULE"), "values are compared whole");
}

#[test]
fn without_a_subject_nobody_is_in_the_percentage() {
    let mut canary = migration(Stage::Canary, WHOLE);
    assert_eq!(says(&canary, &Caller::default()), ("legacy", "STAGE"));
    assert_eq!(says(&canary, &user("")), ("legacy", "STAGE"), "an empty subject is none");
    assert_eq!(says(&split(&[("plain", 0), ("bold", 1)]), &Caller::default()), ("plain", "DEFAULT"));
    for sticky_by in ["claim:tenant", "header:x-tenant", "cookie:tenant"] {
        canary.sticky_by = sticky_by.parse().expect("valid");
        assert_eq!(says(&canary, &user("ann")), ("legacy", "STAGE"), "{sticky_by}");
    }
}

/// A split so fine that its variant is the subject's bucket out of 512.
fn bucket_flag(sticky_by: &str) -> Flag {
    let variants = (0..512).map(|n: u32| (n.to_string().into(), 1)).collect();
    let kind = Kind::Split(Split::new(variants).expect("valid split"));
    Flag { sticky_by: sticky_by.parse().expect("valid subject"), ..flag(kind) }
}

#[test]
fn a_percentage_sticks_to_what_the_flag_says() {
    let mut caller = user("ann");
    caller.claims.insert("tenant", vec!["t7", "other"]);
    caller.headers.insert("x-tenant", "t8");
    caller.cookies.insert("tenant", "t9");
    for (sticky_by, subject) in
        [("user", "ann"), ("claim:tenant", "t7"), ("header:x-tenant", "t8"), ("cookie:tenant", "t9")]
    {
        let variant = bucket_flag(sticky_by).evaluate(&caller, false).variant;
        assert_eq!(variant as u32, bucket("member-api", subject, 512), "{sticky_by}");
    }
}

#[test]
fn an_address_counts_the_same_however_it_arrives() {
    for (written, text) in
        [("203.0.113.9", "203.0.113.9"), ("::ffff:203.0.113.9", "203.0.113.9"), ("2001:DB8:0::1", "2001:db8::1")]
    {
        let caller = Caller { ip: Some(written.parse().expect("address")), ..Caller::default() };
        let variant = bucket_flag("ip").evaluate(&caller, false).variant;
        assert_eq!(variant as u32, bucket("member-api", text, 512), "{written}");
    }
}

#[test]
fn the_edges_of_the_percentage_are_exact() {
    for n in 0..2000 {
        assert_eq!(says(&migration(Stage::Canary, 0), &user(n)), ("legacy", "PERCENTAGE"));
        assert_eq!(says(&migration(Stage::Canary, WHOLE), &user(n)), ("new", "PERCENTAGE"));
    }
    let bucket = bucket("member-api", "ann", 10_000) as u16;
    assert_eq!(says(&migration(Stage::Canary, bucket), &user("ann")), ("legacy", "PERCENTAGE"));
    assert_eq!(says(&migration(Stage::Canary, bucket + 1), &user("ann")), ("new", "PERCENTAGE"));
}

#[test]
fn stale_flags_say_the_same_and_say_that_they_are_stale() {
    let mut flag = migration(Stage::Canary, 5000);
    for n in 0..100 {
        let (fresh, stale) = (flag.evaluate(&user(n), false), flag.evaluate(&user(n), true));
        assert_eq!((stale.variant, stale.reason), (fresh.variant, Reason::Stale));
    }
    flag.killed = true;
    assert_eq!(flag.evaluate(&user(1), true), Decision { variant: 0, reason: Reason::Stale });
    assert!(flag.explain(&user(1), true).words.contains("last good copy"));
}

#[test]
fn the_share_is_what_the_percentage_says() {
    for percent in [1000u16, 2500, 9000] {
        let flag = migration(Stage::Canary, percent);
        let new = (0..10_000).filter(|n| flag.evaluate(&user(n), false).variant == 1).count();
        assert!(new.abs_diff(usize::from(percent)) < 150, "{new} of 10000 at {percent}");
    }
}

#[test]
fn a_split_shares_by_weight() {
    let flag = split(&[("a", 1), ("b", 2), ("c", 7)]);
    let mut counts = [0usize; 3];
    (0..10_000).for_each(|n| counts[flag.evaluate(&user(n), false).variant] += 1);
    for (count, expect) in counts.into_iter().zip([1000, 2000, 7000]) {
        assert!(count.abs_diff(expect) < 150, "{counts:?}");
    }
}

#[test]
fn two_flags_choose_different_people() {
    let one = migration(Stage::Canary, 5000);
    let other = Flag { salt: "item-api".into(), ..one.clone() };
    let both =
        (0..10_000).filter(|n| [&one, &other].iter().all(|flag| flag.evaluate(&user(n), false).variant == 1)).count();
    assert!(both.abs_diff(2500) < 150, "independent halves share a quarter, not {both}");
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn raising_the_percentage_never_takes_anyone_back(name in ".{1,20}", low in 0..=WHOLE, high in 0..=WHOLE) {
            let (low, high) = (low.min(high), low.max(high));
            let before = migration(Stage::Canary, low).evaluate(&user(&name), false).variant;
            let after = migration(Stage::Canary, high).evaluate(&user(&name), false).variant;
            prop_assert!(before <= after, "{name} was new at {low} and is not at {high}");
        }

        #[test]
        fn the_same_subject_always_gets_the_same(name in ".{1,20}", weights in proptest::collection::vec(0u32..1000, 1..6)) {
            prop_assume!(weights.iter().sum::<u32>() > 0);
            let flag = flag(Kind::Split(
                Split::new(weights.iter().enumerate().map(|(n, &weight)| (format!("v{n}").into(), weight)).collect()).expect("valid"),
            ));
            let first = flag.evaluate(&user(&name), false);
            prop_assert!(weights[first.variant] > 0, "a variant without weight got a subject");
            prop_assert_eq!(first, flag.evaluate(&user(&name), false));
        }
    }
}

#[test]
fn explanations_carry_the_numbers() {
    let mut flag = migration(Stage::Canary, 1050);
    let bucket_of_ann = bucket("member-api", "ann", 10_000);
    assert_eq!(
        flag.explain(&user("ann"), false).words,
        format!("stage canary at 10.5 % by user: bucket {bucket_of_ann} of 10000 is not below 1050")
    );
    assert_eq!(
        flag.explain(&Caller::default(), false).words,
        "stage canary at 10.5 % by user, which this request lacks, so it is not in the percentage"
    );
    flag.rules = vec![rule(&[("claim.role", &["staff", "root"]), ("header.x-beta", &["1"])], 1)];
    assert!(flag.explain(&user("ann"), false).words.starts_with("no rule matches (of 1); stage canary"));
    let mut caller = user("ann");
    caller.claims.insert("role", vec!["staff"]);
    caller.headers.insert("x-beta", "1");
    assert_eq!(
        flag.explain(&caller, false).words,
        r#"rule 1 of 1 matches: claim.role is "staff" or "root" and header.x-beta is "1""#
    );
    let words = split(&[("none", 0), ("bold", 50)]).explain(&user("ann"), false).words;
    assert!(words.ends_with("of 50 is in 0–49, this variant's share"), "{words}");
}

#[test]
fn the_json_view_is_the_definition() {
    let mut flag = migration(Stage::Canary, 1250);
    flag.owner = Some("member-team".into());
    flag.rules = vec![rule(&[("claim.role", &["staff"])], 1)];
    assert_eq!(
        flag.to_json(),
        json!({"kind": "migration", "owner": "member-team", "stage": "canary", "percent": 12.5, "sticky_by": "user",
               "rules": [{"when": {"claim.role": ["staff"]}, "serve": "new"}], "killed": false})
    );
    flag.salt = "other".into();
    assert_eq!(flag.to_json()["salt"], json!("other"));
    let split = split(&[("plain", 50), ("bold", 25)]).to_json();
    assert_eq!(split["variants"].to_string(), r#"{"plain":50,"bold":25}"#, "weights keep their order");
    let definition = switch(true).to_json();
    assert_eq!(definition, json!({"kind": "switch", "state": "on", "rules": [], "killed": false}));
}

#[test]
fn json_writes_every_percentage_as_people_do() {
    for percent in 0..=WHOLE {
        let number = migration(Stage::Canary, percent).to_json()["percent"].to_string();
        assert_eq!(parse_percent(&number), Ok(percent));
    }
}

#[test]
fn a_flag_is_in_debt_after_its_day_and_when_its_migration_is_finished() {
    let mut flag = migration(Stage::New, 0);
    flag.owner = Some("member-team".into());
    flag.expires = Some("2027-03-31".into());
    let last_moment = Timestamp::parse("2027-03-31T23:59:59.999Z").expect("moment");
    assert_eq!(flag.debts(last_moment), []);
    let after = Timestamp(last_moment.0 + 1);
    let words: Vec<_> = flag.debts(after).iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [r#"flag "member-api" expired on 2027-03-31 (ask member-team); remove it, or give it a later day"#]
    );
    flag.kind = Kind::Migration { stage: Stage::Retired, percent: 0 };
    flag.expires = None;
    assert!(matches!(flag.debts(after)[..], [Debt::Finished { .. }]));
}
