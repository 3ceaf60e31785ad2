//! What an hour without a provider costs: the share of new payments that is refused or left pending.
//!
//! `make bench-payments` copies the printed line into docs/benchmarks.md.

use std::time::Duration;

use super::schedule::{Errand, Place, Schedule};
use super::world::{Switches, run};
use crate::simulator::Fault;

/// When the outage begins, and how long it lasts.
const FROM: Duration = Duration::from_secs(60);
const LASTS: Duration = Duration::from_secs(3_600);

/// One payment each so often, before, during and after the outage.
const EVERY: Duration = Duration::from_secs(3);

fn hour(fault: Fault) -> Schedule {
    let outages = vec![(FROM, FROM + LASTS, fault)];
    let count = u32::try_from((FROM * 2 + LASTS).as_millis() / EVERY.as_millis()).expect("a few thousand");
    let errands = (0..count).map(|number| Errand { at: EVERY * number, ..Errand::PAYS }).collect();
    Schedule::calm(60, vec![Place { outages, ..Place::calm() }, Place::calm()], errands)
}

fn costs(what: &str, fault: Fault, pending_at_most: usize) {
    let schedule = hour(fault);
    let outcome = run(&schedule, Switches::default());
    assert_eq!(outcome.wrong, [] as [String; 0], "{}", outcome.story);
    let first = |status: u16| outcome.first_answers.iter().filter(|answer| **answer == status).count();
    let all = schedule.errands.len();
    let share = |count: usize| 100.0 * count as f64 / all as f64;
    let (refused, pending) = (first(503), first(202));
    println!(
        "HOUR {what}: {all} payments, {refused} refused ({:.1} %), {pending} pending at first ({:.1} %), none charged twice",
        share(refused),
        share(pending),
    );
    assert_eq!(first(201) + pending + refused, all, "every payment had an answer");
    assert_eq!(refused, 0);
    assert!(pending <= pending_at_most, "{pending} pending");
}

#[test]
fn a_provider_that_refuses_for_an_hour_costs_nothing() {
    costs("refuses connections", Fault::Refused, 0);
}

#[test]
fn a_provider_that_answers_nothing_for_an_hour_costs_a_few_pending_payments() {
    costs("black hole", Fault::BlackHole, 80);
}

#[test]
fn a_provider_that_fails_for_an_hour_costs_a_few_pending_payments() {
    costs("500 to everything", Fault::ErrorBefore(500), 80);
}
