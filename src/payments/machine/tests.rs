use proptest::prelude::*;

use super::*;
use crate::payments::verdict::{Doubt, Proof};

fn succeeded() -> Verdict {
    Verdict::Succeeded { provider_ref: "ch_1".into() }
}

fn declined(soft: bool) -> Verdict {
    Verdict::Declined { code: "no_funds".into(), provider_ref: None, soft }
}

fn not_processed() -> Verdict {
    Verdict::NotProcessed { proof: Proof::Connect }
}

fn unknown() -> Verdict {
    Verdict::Unknown { doubt: Doubt::Timeout }
}

/// Runs a payment with a ledger that works; each call comes to the next verdict.
fn run(attempts: Vec<AttemptState>, tries: u32, verdicts: &[Verdict]) -> (u32, Answer) {
    let (mut run, mut effect) = Run::begin(attempts, tries);
    let mut verdicts = verdicts.iter();
    let mut calls = 0;
    loop {
        let event = match effect {
            Effect::Choose => Event::Chosen,
            Effect::Save { .. } => Event::Saved,
            Effect::Call(_) => {
                calls += 1;
                Event::Ended(verdicts.next().cloned().expect("one more verdict"))
            }
            Effect::Answer(answer) => return (calls, answer),
        };
        effect = run.step(event).expect("an effect");
    }
}

#[test]
fn a_charge_that_settles_is_not_repeated() {
    assert_eq!(run(vec![], 2, &[succeeded()]), (1, Answer::Settled(PaymentState::Succeeded)));
    assert_eq!(run(vec![], 2, &[declined(false)]), (1, Answer::Settled(PaymentState::Declined)));
}

#[test]
fn an_unknown_outcome_is_never_tried_elsewhere() {
    assert_eq!(run(vec![], 5, &[unknown()]), (1, Answer::Settled(PaymentState::Pending)));
}

#[test]
fn what_was_not_processed_is_tried_elsewhere_up_to_the_limit() {
    assert_eq!(run(vec![], 2, &[not_processed(), succeeded()]), (2, Answer::Settled(PaymentState::Succeeded)));
    let (calls, answer) = run(vec![], 2, &[not_processed(), not_processed()]);
    assert_eq!((calls, answer), (2, Answer::Settled(PaymentState::NotProcessed)));
}

#[test]
fn a_listed_soft_decline_may_be_tried_elsewhere() {
    assert_eq!(run(vec![], 2, &[declined(true), succeeded()]), (2, Answer::Settled(PaymentState::Succeeded)));
    assert_eq!(run(vec![], 1, &[declined(true)]), (1, Answer::Settled(PaymentState::Declined)));
}

#[test]
fn a_later_run_goes_on_only_where_all_is_released() {
    let (calls, answer) = run(vec![AttemptState::NotProcessed], 2, &[succeeded()]);
    assert_eq!((calls, answer), (1, Answer::Settled(PaymentState::Succeeded)));
    for (earlier, state) in [
        (AttemptState::Intent, PaymentState::Pending),
        (AttemptState::Unknown, PaymentState::Pending),
        (AttemptState::Manual, PaymentState::Pending),
        (AttemptState::Succeeded, PaymentState::Succeeded),
        (AttemptState::Declined, PaymentState::Declined),
    ] {
        assert_eq!(run(vec![earlier], 2, &[]), (0, Answer::Settled(state)), "{earlier:?}");
    }
}

#[test]
fn an_intent_is_saved_together_with_the_outcome_before_it() {
    let (mut run, _) = Run::begin(vec![], 2);
    run.step(Event::Chosen);
    assert_eq!(run.step(Event::Saved), Some(Effect::Call(1)));
    assert_eq!(run.step(Event::Ended(not_processed())), Some(Effect::Choose));
    let Some(Effect::Save { outcomes, intent, state }) = run.step(Event::Chosen) else { panic!("a save") };
    assert_eq!((outcomes.len(), intent, state), (1, Some(2), PaymentState::Pending));
}

#[test]
fn nothing_is_called_when_the_intent_cannot_be_saved() {
    let (mut run, _) = Run::begin(vec![], 2);
    run.step(Event::Chosen);
    assert_eq!(run.step(Event::NotSaved), Some(Effect::Answer(Answer::NothingAttempted)));
    assert_eq!(run.step(Event::Saved), None);
}

#[test]
fn an_outcome_that_cannot_be_saved_is_handed_on() {
    let (mut run, _) = Run::begin(vec![], 2);
    run.step(Event::Chosen);
    run.step(Event::Saved);
    run.step(Event::Ended(succeeded()));
    let Some(Effect::Answer(Answer::Unsaved(records))) = run.step(Event::NotSaved) else { panic!("unsaved") };
    assert_eq!(records, [Record::Outcome { attempt: 1, operation: Operation::Charge, verdict: succeeded() }]);
}

#[test]
fn no_provider_means_no_attempt() {
    let (mut run, effect) = Run::begin(vec![], 2);
    assert_eq!(effect, Effect::Choose);
    let answer = Effect::Answer(Answer::Settled(PaymentState::NotProcessed));
    assert_eq!(run.step(Event::NoneAvailable), Some(answer));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Chosen),
        1 => Just(Event::NoneAvailable),
        3 => Just(Event::Saved),
        1 => Just(Event::NotSaved),
        1 => Just(Event::Ended(succeeded())),
        1 => any::<bool>().prop_map(|soft| Event::Ended(declined(soft))),
        2 => Just(Event::Ended(not_processed())),
        1 => Just(Event::Ended(unknown())),
    ]
}

mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::types::property::config(500))]

        /// The judge keeps its own books, by the effects alone.
        #[test]
        fn for_any_order_of_events_the_release_rule_holds(
            earlier in proptest::collection::vec(proptest::sample::select(AttemptState::ALL), 0..3),
            tries in 0_u32..4,
            events in proptest::collection::vec(any_event(), 0..40),
        ) {
            let blocked = earlier.iter().any(|state| !state.is_released());
            let (mut run, mut effect) = {
                let (run, effect) = Run::begin(earlier, tries);
                (run, Some(effect))
            };
            let (mut calls, mut saved_intent, mut out, mut may_have_charged, mut answers) = (0, None, false, blocked, 0);
            let mut saving = None;
            for event in events.into_iter().map(Some).chain([None]) {
                match effect.take() {
                    Some(Effect::Save { intent, .. }) => saving = intent,
                    Some(Effect::Call(attempt)) => {
                        prop_assert!(!may_have_charged, "called although an earlier attempt is not released");
                        prop_assert!(!out, "two calls at once");
                        prop_assert_eq!(saved_intent, Some(attempt), "called before its intent was durable");
                        calls += 1;
                        out = true;
                    }
                    Some(Effect::Answer(_)) => {
                        prop_assert!(!out, "answered with a call under way");
                        answers += 1;
                    }
                    Some(Effect::Choose) | None => {}
                }
                let Some(event) = event else { break };
                if event == Event::Saved && let Some(intent) = saving {
                    saved_intent = Some(intent);
                }
                if out && let Event::Ended(verdict) = &event {
                    out = false;
                    may_have_charged |= !AttemptState::of(verdict).is_released();
                }
                if matches!(event, Event::Saved | Event::NotSaved) {
                    saving = None;
                }
                effect = run.step(event);
            }
            prop_assert!(calls <= tries && answers <= 1);
        }
    }
}
