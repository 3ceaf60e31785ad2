mod judge;

use std::time::Duration;

use super::*;
use crate::payments::id::PaymentId;
use crate::payments::money::{Currency, Money};
use crate::payments::record::{PaymentState, RefundIntent};
use crate::payments::terms::Terms;
use crate::payments::verdict::Doubt;
use crate::types::ProviderName;

const START: Timestamp = Timestamp(1_795_291_200_000);

fn payment(capture: bool) -> StoredPayment {
    StoredPayment {
        id: PaymentId::new(START, [7; 10]),
        client: [0; 32],
        order_id: "o".into(),
        money: Money { amount: 100, currency: Currency::parse("EUR").expect("listed") },
        method: "card".into(),
        capture,
        given_up: false,
        state: PaymentState::NotProcessed,
        lease: None,
        due: None,
        looks: 0,
        created: START,
        updated: START,
        attempts: Vec::new(),
        refunds: Vec::new(),
    }
}

fn intent(number: u32, operation: Operation, provider: &str) -> Intent {
    Intent {
        attempt: number,
        operation,
        provider: ProviderName::from(provider),
        amount: 100,
        currency: "EUR".into(),
        provider_key: "k".into(),
        order_reference: format!("ref-{number}"),
        lookup: format!("ref-{number}"),
    }
}

fn succeeded() -> Verdict {
    Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: None }
}

fn declined(soft: bool) -> Verdict {
    Verdict::Declined { code: "no_funds".into(), provider_ref: None, soft }
}

fn not_processed() -> Verdict {
    Verdict::NotProcessed { proof: Proof::Stated }
}

fn unknown() -> Verdict {
    Verdict::Unknown { doubt: Doubt::Timeout }
}

fn directory() -> Directory {
    [Terms::sample("alpha"), Terms::sample("beta")].into_iter().collect()
}

/// Runs a payment with a ledger that works and providers that take turns; each call comes to the next verdict.
fn run(payment: StoredPayment, goal: Goal, tries: u32, verdicts: &[Verdict]) -> (Run, usize) {
    let mut run = Run::new(payment, goal, directory(), tries, 0);
    let (mut now, mut calls) = (START, 0);
    let mut effect = run.begin(now);
    loop {
        let event = match effect {
            Effect::Plan(Plan::Attempt(number)) => {
                let operation = if run.payment().capture { Operation::Charge } else { Operation::Prepare };
                Event::Planned(intent(number, operation, if number % 2 == 1 { "alpha" } else { "beta" }))
            }
            Effect::Plan(Plan::Confirm(number)) => Event::Planned(intent(number, Operation::Confirm, "alpha")),
            Effect::Save { .. } => Event::Saved,
            Effect::Call(_) => {
                calls += 1;
                Event::Ended(verdicts.get(calls - 1).cloned().expect("one more verdict"))
            }
            Effect::Wait(moment) => {
                now = moment;
                Event::Woke
            }
            Effect::Answer(answer) => {
                assert_eq!(answer, Answer::Stands);
                return (run, calls);
            }
        };
        effect = run.step(event, now).expect("an effect");
    }
}

fn pay(tries: u32, verdicts: &[Verdict]) -> (usize, PaymentState) {
    let (run, calls) = run(payment(true), Goal::Pay, tries, verdicts);
    assert_eq!(run.payment(), run.durable());
    (calls, run.durable().state)
}

#[test]
fn a_charge_that_settles_is_not_repeated() {
    assert_eq!(pay(2, &[succeeded()]), (1, PaymentState::Succeeded));
    assert_eq!(pay(2, &[declined(false)]), (1, PaymentState::Declined));
}

#[test]
fn what_was_not_processed_is_tried_elsewhere_up_to_the_limit() {
    assert_eq!(pay(2, &[not_processed(), succeeded()]), (2, PaymentState::Succeeded));
    assert_eq!(pay(2, &[not_processed(), not_processed()]), (2, PaymentState::NotProcessed));
    assert_eq!(pay(2, &[declined(true), succeeded()]), (2, PaymentState::Succeeded));
    assert_eq!(pay(1, &[declined(true)]), (1, PaymentState::Declined));
}

#[test]
fn an_unknown_outcome_is_looked_into_and_tried_elsewhere_only_once_it_is_released() {
    assert_eq!(pay(2, &[unknown(), succeeded()]), (2, PaymentState::Succeeded));
    assert_eq!(pay(2, &[unknown(), unknown()]), (2, PaymentState::Pending));
    let missing = Verdict::NotFound;
    let released = [unknown(), missing.clone(), missing.clone(), Verdict::Voided, missing, succeeded()];
    assert_eq!(pay(2, &released), (6, PaymentState::Succeeded));
    assert_eq!(pay(2, &[unknown(), Verdict::Voided, succeeded()]), (3, PaymentState::Succeeded));
}

#[test]
fn nothing_is_called_when_the_intent_cannot_be_saved() {
    let mut run = Run::new(payment(true), Goal::Pay, directory(), 2, 0);
    assert_eq!(run.begin(START), Effect::Plan(Plan::Attempt(1)));
    let planned = run.step(Event::Planned(intent(1, Operation::Charge, "alpha")), START);
    assert!(matches!(planned, Some(Effect::Save { goes_on: true, .. })));
    assert_eq!(run.step(Event::NotSaved, START), Some(Effect::Answer(Answer::NothingAttempted)));
    assert_eq!(run.step(Event::Saved, START), None);
}

#[test]
fn what_was_heard_and_cannot_be_saved_is_handed_on_without_what_was_to_follow() {
    let mut run = Run::new(payment(true), Goal::Pay, directory(), 2, 0);
    run.begin(START);
    run.step(Event::Planned(intent(1, Operation::Charge, "alpha")), START);
    assert_eq!(run.step(Event::Saved, START), Some(Effect::Call(Ask::Attempt(1, Operation::Charge))));
    assert_eq!(run.step(Event::Ended(not_processed()), START), Some(Effect::Plan(Plan::Attempt(2))));
    run.step(Event::Planned(intent(2, Operation::Charge, "beta")), START);
    let Some(Effect::Answer(Answer::Unsaved(records))) = run.step(Event::NotSaved, START) else { panic!("unsaved") };
    let outcome = Record::Outcome { attempt: 1, operation: Operation::Charge, verdict: not_processed() };
    assert_eq!(records, [outcome]);
    assert_eq!(run.durable().state, PaymentState::Pending, "only what is durable is told");
}

#[test]
fn the_worker_prolongs_its_lease_however_many_attempts_it_looks_at() {
    let mut watched = payment(true);
    for number in 1..=9 {
        watched.apply(&Record::Intent(intent(number, Operation::Charge, "alpha")), START).expect("the next");
        let lost = Record::Outcome { attempt: number, operation: Operation::Charge, verdict: unknown() };
        watched.apply(&lost, START).expect("fits");
        let (by, reason) = ("void".into(), "taken back".into());
        let state = AttemptState::Voided;
        let voided = Record::Resolved { attempt: number, state, provider_ref: None, code: None, by, reason };
        watched.apply(&voided, START).expect("fits");
    }
    let mut run = Run::new(watched, Goal::Resolve, directory(), 2, 0);
    let (mut effect, mut calls, mut since_save) = (run.begin(START), 0, 0);
    while !matches!(effect, Effect::Answer(_)) {
        let event = match effect {
            Effect::Call(_) => {
                (calls, since_save) = (calls + 1, since_save + 1);
                assert!(since_save <= CALLS_BETWEEN_SAVES, "the lease lasts for no more");
                Event::Ended(unknown())
            }
            Effect::Save { .. } => {
                since_save = 0;
                Event::Saved
            }
            other => panic!("{other:?}"),
        };
        effect = run.step(event, START).expect("an effect");
    }
    assert_eq!(calls, 9);
}

#[test]
fn a_payment_that_is_given_up_is_not_begun_again() {
    let mut given_up = payment(true);
    given_up.given_up = true;
    let (run, calls) = run(given_up, Goal::Pay, 2, &[]);
    assert_eq!((run.payment().attempts.len(), calls), (0, 0));
}

#[test]
fn failing_over_on_unknown_is_what_the_switch_of_the_negative_control_does() {
    let mut run = Run::new(payment(true), Goal::Pay, directory(), 2, 0).failing_over_on_unknown(true);
    run.begin(START);
    run.step(Event::Planned(intent(1, Operation::Charge, "alpha")), START);
    run.step(Event::Saved, START);
    assert_eq!(run.step(Event::Ended(unknown()), START), Some(Effect::Plan(Plan::Attempt(2))));
}
