//! Any order of events over any number of runs, with a judge that keeps books of its own: what is
//! durable, what was asked of providers, and what they said. It believes nothing that a run says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::payments::ledger::{Holder, Lease};
use crate::payments::settings::OnUnknown;

/// What the judge knows of one attempt.
#[derive(Debug, Default, Clone)]
struct Known {
    /// It may have been charged, for all that anybody can know.
    is_open: bool,
    /// Since then the provider said that it charges nobody.
    is_proven: bool,
    /// It was taken back at a time when "not found" proves something.
    was_taken_back: bool,
    /// The latest look found it captured.
    is_captured: bool,
}

#[derive(Debug)]
struct Judge {
    durable: StoredPayment,
    known: BTreeMap<u32, Known>,
    calling: Option<Ask>,
    refunded: u64,
}

#[derive(Debug, Clone)]
enum Turn {
    /// Whatever the effect asks for comes about, and the provider says this.
    Answer(Verdict),
    /// The effect's other way: no provider, not saved, no time.
    Deny,
    /// An event that nobody asked for.
    Noise(Verdict),
    /// So many milliseconds pass.
    Pass(u32),
    /// The process dies; another takes over.
    Crash,
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    let prepared = Verdict::Prepared { provider_ref: Some("p".into()), next_action: BTreeMap::new() };
    prop_oneof![
        2 => Just(succeeded()),
        1 => Just(Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: Some(0) }),
        1 => Just(Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: Some(100) }),
        1 => any::<bool>().prop_map(declined),
        2 => Just(not_processed()),
        3 => Just(unknown()),
        1 => Just(Verdict::Unknown { doubt: Doubt::StillOpen }),
        2 => Just(prepared),
        2 => Just(Verdict::Voided),
        4 => Just(Verdict::NotFound),
    ]
}

fn any_turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        20 => any_verdict().prop_map(Turn::Answer),
        2 => Just(Turn::Deny),
        2 => any_verdict().prop_map(Turn::Noise),
        4 => (0_u32..8_000).prop_map(Turn::Pass),
        1 => (0_u32..7_200_000).prop_map(Turn::Pass),
        1 => Just(Turn::Crash),
    ]
}

fn any_terms() -> impl Strategy<Value = Directory> {
    let one = |name: &'static str| {
        (any::<[bool; 7]>()).prop_map(move |[looks, hold, void, cancel, leaves, harmless, itself]| Terms {
            looks,
            on_unknown: if hold || !looks { OnUnknown::Hold } else { OnUnknown::Resolve },
            void: void.then_some(Operation::Void),
            cancel: if cancel { Some(Operation::Cancel) } else { void.then_some(Operation::Void) },
            leaves_prepared: leaves,
            prepare_is_harmless: harmless,
            confirms_itself: itself && harmless,
            ..Terms::sample(name)
        })
    };
    (one("alpha"), one("beta")).prop_map(|(alpha, beta)| [alpha, beta].into_iter().collect())
}

/// What a client may want of the payment as it stands, or else the worker.
fn goal(payment: &StoredPayment, draw: usize) -> Goal {
    let refund = u32::try_from(payment.refunds.len()).expect("few") + 1;
    let left = payment.money.amount - payment.refunded_at_most();
    match (payment.state, draw % 3) {
        (PaymentState::NotProcessed, 0 | 1) => Goal::Pay,
        (PaymentState::NotProcessed, _) if !payment.attempts.is_empty() => Goal::Confirm,
        (PaymentState::RequiresAction, 0) => Goal::Confirm,
        (PaymentState::RequiresAction, 1) => Goal::Cancel,
        (PaymentState::Succeeded, 0) if left > 0 && payment.open_refund().is_none() => Goal::Refund(RefundIntent {
            refund,
            amount: left.min(40),
            provider_key: "k".into(),
            reference: format!("r{refund}"),
            refunded_before: payment.refunded(),
        }),
        _ => Goal::Resolve,
    }
}

impl Judge {
    fn saved(&mut self, records: &[Record], directory: &Directory, now: Timestamp) {
        for record in records {
            self.durable.apply(record, now).expect("a record that fits what is durable");
        }
        for attempt in &self.durable.attempts {
            let known = self.known.entry(attempt.number).or_default();
            let harmless =
                attempt.operation == Operation::Prepare && directory.terms(&attempt.provider).prepare_is_harmless;
            if attempt.state.is_released() && known.is_open {
                assert!(known.is_proven || harmless, "attempt {} is released without proof", attempt.number);
            }
            if attempt.state.is_released() {
                known.is_open = false;
            }
        }
        let captures = self.durable.attempts.iter().filter(|attempt| attempt.state == AttemptState::Succeeded);
        assert!(captures.count() <= 1);
        assert!(self.durable.refunded_at_most() <= self.durable.money.amount);
    }

    fn calls(&mut self, ask: &Ask) {
        assert_eq!(self.calling, None, "two calls at once");
        self.calling = Some(ask.clone());
        match ask {
            Ask::Attempt(number, operation) => {
                for attempt in &self.durable.attempts {
                    if attempt.number == *number {
                        let durable = (attempt.state, attempt.operation);
                        assert_eq!(durable, (AttemptState::Intent, *operation), "called before it was durable");
                    } else {
                        assert!(attempt.state.is_released(), "called although another may have charged");
                        assert!(!self.known[&attempt.number].is_open);
                    }
                }
                *self.known.entry(*number).or_default() = Known { is_open: true, ..Known::default() };
            }
            Ask::TakeBack(number, ..) => {
                let attempt = &self.durable.attempts[*number as usize - 1];
                assert!(attempt.voiding.is_some(), "taken back before that was durable");
                assert_ne!(attempt.state, AttemptState::Succeeded);
            }
            Ask::Refund(number) => {
                let refund = &self.durable.refunds[*number as usize - 1];
                assert_eq!(refund.state, AttemptState::Intent, "refunded before that was durable");
                self.refunded += refund.amount;
            }
            Ask::Look(_) => {}
        }
    }

    fn hears(&mut self, verdict: &Verdict, directory: &Directory, now: Timestamp) {
        let charges_nobody =
            matches!(verdict, Verdict::Declined { .. } | Verdict::NotProcessed { .. } | Verdict::Voided);
        match self.calling.take() {
            Some(Ask::Attempt(number, operation)) => {
                let known = self.known.get_mut(&number).expect("called");
                let provider = &self.durable.attempts[number as usize - 1].provider;
                let harmless = directory.terms(provider).prepare_is_harmless
                    && (operation == Operation::Prepare || matches!(verdict, Verdict::Prepared { .. }));
                let said_so = matches!(verdict, Verdict::Declined { .. } | Verdict::NotProcessed { .. });
                known.is_proven = said_so || harmless;
                known.is_captured = matches!(verdict, Verdict::Succeeded { .. });
            }
            Some(Ask::Look(Item::Attempt(number))) => {
                let attempt = &self.durable.attempts[number as usize - 1];
                let (terms, known) = (directory.terms(&attempt.provider), self.known.entry(number).or_default());
                let gone = known.was_taken_back && *verdict == Verdict::NotFound;
                let is_quiet = attempt.ended.is_some_and(|ended| now >= ended.plus(terms.quiesce));
                let harmless = terms.prepare_is_harmless && is_quiet && matches!(verdict, Verdict::Prepared { .. });
                known.is_proven = charges_nobody || gone || harmless;
                known.is_captured = matches!(verdict, Verdict::Succeeded { .. });
            }
            Some(Ask::TakeBack(number, ..)) => {
                let attempt = &self.durable.attempts[number as usize - 1];
                let (terms, known) = (directory.terms(&attempt.provider), self.known.entry(number).or_default());
                let said_so = matches!(verdict, Verdict::Voided | Verdict::NotFound | Verdict::Succeeded { .. });
                let was_prepared = matches!(attempt.voiding, Some(VoidReason::Cancelled | VoidReason::Expired));
                let is_quiet = now >= attempt.ended.expect("it ended").plus(terms.quiesce);
                known.was_taken_back = said_so && (is_quiet || was_prepared);
                known.is_captured = false;
                // Who can't be looked at is believed.
                known.is_proven = said_so && !terms.looks;
            }
            Some(Ask::Refund(_) | Ask::Look(Item::Refund(_))) | None => {}
        }
    }

    fn answers(&self, answer: &Answer, run: &Run) {
        assert_eq!(self.calling, None, "answered with a call under way");
        if *answer == Answer::NothingAttempted {
            return;
        }
        let told = run.durable();
        assert_eq!(gist(told), gist(&self.durable), "told what is not durable");
        let failed =
            matches!(told.state, PaymentState::NotProcessed | PaymentState::Declined | PaymentState::Cancelled);
        for attempt in &told.attempts {
            let known = &self.known[&attempt.number];
            assert!(!failed || !known.is_open || known.is_proven, "told as failed while it may be charged");
            // A late capture is told as an alarm, never to the client.
            let told_of = attempt.state.is_released() || attempt.state == AttemptState::Declined;
            assert!(!failed || !known.is_captured || told_of, "told as failed while captured");
        }
    }
}

/// All but the times, which are those of the saves.
fn gist(payment: &StoredPayment) -> (PaymentState, Vec<AttemptState>) {
    let attempts = payment.attempts.iter().map(|attempt| attempt.state);
    (payment.state, attempts.chain(payment.refunds.iter().map(|refund| refund.state)).collect())
}

fn answer_to(effect: &Effect, run: &Run, directory: &Directory, said: &Verdict) -> Event {
    match effect {
        Effect::Plan(Plan::Attempt(number)) => {
            let provider = if number % 2 == 1 { "alpha" } else { "beta" };
            let itself = directory.terms(&provider.into()).confirms_itself;
            let charges = run.payment().capture && *run.goal() == Goal::Pay && !itself;
            Event::Planned(intent(*number, if charges { Operation::Charge } else { Operation::Prepare }, provider))
        }
        Effect::Plan(Plan::Confirm(number)) => {
            let provider = run.payment().attempts[*number as usize - 1].provider.clone();
            Event::Planned(intent(*number, Operation::Confirm, provider.as_str()))
        }
        Effect::Save { .. } => Event::Saved,
        Effect::Call(_) => Event::Ended(said.clone()),
        Effect::Wait(_) => Event::Woke,
        Effect::Answer(_) => Event::TimeUp,
    }
}

fn denial_of(effect: &Effect) -> Event {
    match effect {
        Effect::Plan(_) => Event::NoneAvailable,
        Effect::Save { .. } => Event::NotSaved,
        Effect::Call(_) => Event::Ended(unknown()),
        Effect::Wait(_) | Effect::Answer(_) => Event::TimeUp,
    }
}

/// Plays all turns; panics if the judge finds anything.
fn play(directory: &Directory, capture: bool, reckless: bool, turns: &[Turn]) -> Judge {
    let mut judge = Judge { durable: payment(capture), known: BTreeMap::new(), calling: None, refunded: 0 };
    let mut now = START;
    let mut turns = turns.iter().enumerate();
    'runs: loop {
        judge.calling = None;
        if judge.durable.lease.is_none() && !judge.durable.attempts.is_empty() {
            judge.durable.lease = Some(Lease { holder: Holder(1), until: Timestamp(i64::MAX) });
        }
        let wanted = goal(&judge.durable, turns.len());
        let run = Run::new(judge.durable.clone(), wanted, directory.clone(), 2, 0);
        let mut run = run.failing_over_on_unknown(reckless);
        let mut effect = run.begin(now);
        if let Effect::Call(ask) = &effect {
            judge.calls(ask);
        }
        loop {
            if let Effect::Answer(answer) = &effect {
                judge.answers(answer, &run);
                now = now.plus(Duration::from_secs(1));
                if turns.next().is_none() {
                    return judge;
                }
                continue 'runs;
            }
            let Some((_, turn)) = turns.next() else { return judge };
            let event = match turn {
                Turn::Crash => continue 'runs,
                // Times count from the saves; that those take time is no matter here.
                Turn::Pass(_) if matches!(effect, Effect::Save { .. }) => continue,
                Turn::Pass(millis) => {
                    now = now.plus(Duration::from_millis(u64::from(*millis)));
                    continue;
                }
                Turn::Noise(said) => {
                    let noise =
                        if matches!(effect, Effect::Call(_)) { Event::Saved } else { Event::Ended(said.clone()) };
                    assert_eq!(run.step(noise, now), None, "an event that nobody asked for does nothing");
                    continue;
                }
                Turn::Answer(said) => answer_to(&effect, &run, directory, said),
                Turn::Deny => denial_of(&effect),
            };
            if let (Effect::Save { records, .. }, Event::Saved) = (&effect, &event) {
                judge.saved(records, directory, now);
            }
            if let Effect::Wait(moment) = &effect {
                now = now.max(*moment);
            }
            if let Event::Ended(said) = &event {
                judge.hears(said, directory, now);
            }
            effect = run.step(event, now).expect("an answer to an effect has an effect");
            if let Effect::Call(ask) = &effect {
                judge.calls(ask);
            }
        }
    }
}

#[test]
#[should_panic(expected = "attempt 1 is released without proof")]
fn the_judge_notices_a_failover_on_unknown() {
    let turns = vec![Turn::Answer(unknown()); 8];
    play(&directory(), true, true, &turns);
}

proptest! {
    #![proptest_config(crate::types::property::config(300))]

    #[test]
    fn property_in_any_order_of_events_nobody_is_charged_twice_or_told_what_is_not_so(
        directory in any_terms(),
        capture in any::<bool>(),
        turns in proptest::collection::vec(any_turn(), 0..120),
    ) {
        let judge = play(&directory, capture, false, &turns);
        prop_assert!(judge.durable.attempts.len() < 120);
    }
}
