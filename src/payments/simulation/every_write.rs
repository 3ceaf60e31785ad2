//! A gateway that dies before and after every one of its ledger writes, in each kind of payment.

use std::collections::BTreeMap;
use std::time::Duration;

use super::schedule::{Crash, Ending, Errand, Place, Schedule};
use super::world::{Switches, run};
use crate::payments::ledger::in_memory::Side;
use crate::simulator::Fault;

fn schedule(errand: Errand, script: &[(usize, Fault)]) -> Schedule {
    let script: BTreeMap<usize, Fault> = script.iter().copied().collect();
    let remembers_voids = !script.values().any(|fault| matches!(fault, Fault::LateCapture(_)));
    let place = Place { remembers_voids, script, ..Place::calm() };
    // Both alike: the draw must not decide what is tested.
    Schedule::calm(1, vec![place.clone(), place], vec![errand])
}

/// Plays the schedule with one death at each side of each write that it makes, and with a second
/// death at the first writes after that.
fn dies_at_every_write(schedule: &Schedule, expects: &str) {
    let calm = run(schedule, Switches::default());
    assert_eq!(calm.wrong, [] as [String; 0], "{}", calm.story);
    assert!(calm.records.iter().any(|record| record == expects), "{expects} not among {:?}", calm.records);
    for write in 1..=calm.writes {
        for side in [Side::Before, Side::After] {
            for again in [None, Some(1), Some(2)] {
                let crash = |write, side| Crash { gateway: 0, write, side, down_for: Duration::from_secs(2) };
                let mut deadly = schedule.clone();
                deadly.crashes =
                    [crash(write, side)].into_iter().chain(again.map(|write| crash(write, side))).collect();
                let outcome = run(&deadly, Switches::default());
                let (wrong, story) = (outcome.wrong, outcome.story);
                assert!(wrong.is_empty(), "dies {side:?} write {write}, then {again:?}:\n{story}\n{wrong:#?}");
            }
        }
    }
}

#[test]
fn a_charge_survives_a_death_at_every_write() {
    dies_at_every_write(&schedule(Errand::PAYS, &[]), "outcome succeeded charge");
    dies_at_every_write(&schedule(Errand { declined: true, ..Errand::PAYS }, &[]), "outcome declined charge");
}

#[test]
fn a_charge_whose_answer_is_lost_survives_a_death_at_every_write() {
    dies_at_every_write(&schedule(Errand::PAYS, &[(0, Fault::AnswerLost)]), "resolved succeeded");
}

#[test]
fn a_charge_that_was_never_made_survives_a_death_at_every_write() {
    let schedule = schedule(Errand::PAYS, &[(0, Fault::HangUp), (2, Fault::AnswerLost)]);
    dies_at_every_write(&schedule, "resolved voided");
}

#[test]
fn a_payment_in_two_steps_survives_a_death_at_every_write() {
    let two_steps = Errand { capture: false, ..Errand::PAYS };
    dies_at_every_write(&schedule(two_steps.clone(), &[(1, Fault::AnswerLost)]), "resolved succeeded");
    dies_at_every_write(&schedule(two_steps.clone(), &[(1, Fault::HangUp)]), "outcome unknown confirm");
    let cancelled = Errand { ending: Ending::Cancelled, ..two_steps };
    dies_at_every_write(&schedule(cancelled, &[(1, Fault::Shrugs)]), "resolved voided");
}

#[test]
fn refunds_survive_a_death_at_every_write() {
    let refunded = Errand { refunds: vec![Some(400), None], ..Errand::PAYS };
    dies_at_every_write(&schedule(refunded.clone(), &[]), "refund_outcome succeeded");
    dies_at_every_write(&schedule(refunded, &[(1, Fault::AnswerLost)]), "refund_resolved succeeded");
}

#[test]
fn a_late_capture_survives_a_death_at_every_write() {
    let late = Fault::LateCapture(Duration::from_secs(20));
    dies_at_every_write(&schedule(Errand::PAYS, &[(0, late)]), "late_capture_ended voided");
}

#[test]
fn a_late_refund_survives_a_death_at_every_write() {
    let refunded = Errand { refunds: vec![Some(400)], ..Errand::PAYS };
    let late = Fault::Late(Duration::from_secs(20));
    dies_at_every_write(&schedule(refunded, &[(1, late)]), "late_refund ");
}
