//! Simulated lives of the distributor, by the thousand, in virtual time: does anybody pay twice?
//!
//! Each run draws a [`Schedule`](schedule::Schedule) from a seed, plays it on an in-memory ledger
//! against simulated providers, and is judged by the providers' books ([`judge`]). A run that fails is
//! made smaller until nothing more can be left out, and printed as a story. `make soak` plays any number.

mod dead_for_an_hour;
mod dialects;
mod every_write;
mod judge;
mod network;
mod postman;
mod schedule;
mod shopper;
mod story;
mod world;

use std::collections::BTreeSet;

use schedule::{Climate, Schedule};
use world::{Outcome, Switches, run};

/// Schedules of each test function; there are several so that cores share them.
const RUNS: u64 = 1_700;
/// Runs spent on making a failing schedule smaller.
const SHRINKING: usize = 400;

/// Records that the schedules must lead to, or they would prove little.
const REACHED: &[&str] = &[
    "outcome not_processed confirm",
    "resolved voided",
    "resolved succeeded",
    "resolved not_processed",
    "void_outcome unknown",
    "refund_resolved succeeded",
    "refund_resolved not_processed",
];

/// Plays schedules of a climate: those of `part`, or as `FIGWAY_SOAK` and `FIGWAY_SEED` say.
fn play(climate: Climate, part: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, runs) = match (number("FIGWAY_SEED"), number("FIGWAY_SOAK")) {
        (Some(seed), _) => (seed, 1),
        (None, Some(runs)) => (fastrand::u64(..) >> 16, runs),
        (None, None) => (part << 32, RUNS),
    };
    for seed in first..first + runs {
        let schedule = Schedule::draw(seed, climate);
        let outcome = run(&schedule, Switches::default());
        if !outcome.wrong.is_empty() {
            panic!("{}", report(&schedule, climate, outcome));
        }
    }
}

/// The failure as a story: the smallest schedule found that fails too.
fn report(schedule: &Schedule, climate: Climate, outcome: Outcome) -> String {
    let first = outcome.wrong.join("\n  ");
    let (smallest, outcome) = shrink(schedule.clone(), outcome, Switches::default());
    format!(
        "\nFIGWAY_SEED={} ({climate:?})\n  {first}\n\nThe smallest schedule found that fails:\n{smallest:#?}\n\n\
         What happens in it:\n{}\n  {}\n",
        schedule.seed,
        outcome.story,
        outcome.wrong.join("\n  "),
    )
}

fn shrink(mut schedule: Schedule, mut outcome: Outcome, switches: Switches) -> (Schedule, Outcome) {
    let mut left = SHRINKING;
    'smaller: loop {
        for simpler in schedule.simpler() {
            if left == 0 {
                break 'smaller;
            }
            left -= 1;
            let tried = run(&simpler, switches);
            if !tried.wrong.is_empty() {
                (schedule, outcome) = (simpler, tried);
                continue 'smaller;
            }
        }
        break;
    }
    (schedule, outcome)
}

#[test]
fn the_judge_finds_a_double_charge_when_an_unknown_outcome_is_tried_elsewhere() {
    let switches = Switches { fail_over_on_unknown: true };
    let found = (0..2_000).find(|seed| {
        let wrong = run(&Schedule::draw(*seed, Climate::Stormy), switches).wrong;
        wrong.iter().any(|wrong| wrong.contains("is charged 2 times"))
    });
    assert!(found.is_some(), "a gateway that charges twice was not noticed");
}

#[test]
fn the_schedules_lead_to_every_turn_that_a_payment_can_take() {
    let mut missing: BTreeSet<&str> = REACHED.iter().copied().collect();
    for seed in 0..600 {
        let records = run(&Schedule::draw(seed, Climate::Deadly), Switches::default()).records;
        missing.retain(|record| !records.contains(*record));
        if missing.is_empty() {
            return;
        }
    }
    panic!("no schedule leads to {missing:?}");
}

macro_rules! played {
    ($($name:ident: $climate:ident $part:literal,)*) => {
        $(#[test]
        fn $name() {
            play(Climate::$climate, $part);
        })*
    };
}

played! {
    nobody_pays_twice_in_storms_1: Stormy 1,
    nobody_pays_twice_in_storms_2: Stormy 2,
    nobody_pays_twice_when_gateways_die_1: Deadly 3,
    nobody_pays_twice_when_gateways_die_2: Deadly 4,
    nobody_pays_twice_when_gateways_die_3: Deadly 5,
    what_arrives_past_all_promises_is_given_back: Late 6,
}
