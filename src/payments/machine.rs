//! One run on a payment as a pure state machine: an event in, one effect out.
//!
//! A run is what one holder of the payment's lease does: a client's charge, confirmation,
//! cancellation or refund, or the worker's round. `step` is total: every event is legal in every
//! phase, and one that makes no sense there changes nothing. Built in are: everything known is durable
//! before anything is called; another attempt starts only if every earlier one is released, because
//! [`StoredPayment::apply`] takes its intent only then; the client hears nothing that is not durable.
//! What to do about an unknown outcome stands in [`super::resolution`]. Deliberately not here: who is
//! chosen, how a provider is spoken to, keys and answers of clients.

mod agenda;
mod vocabulary;
mod wish;

use super::ledger::StoredPayment;
use super::record::{AttemptState, Intent, Operation, Record, VoidReason};
use super::resolution::{Item, Resolution, Step};
use super::terms::Directory;
use super::verdict::{Proof, Verdict};
use crate::clock::Timestamp;
use agenda::{LONGEST_WAIT, says_something};
use wish::Wish;

pub(super) use vocabulary::{Answer, Ask, Effect, Event, Goal, Plan};

/// Calls that the worker makes between two saves at most: its lease lasts for so many, and a save prolongs it.
pub(super) const CALLS_BETWEEN_SAVES: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Planning(Plan),
    Saving(After),
    Calling(Ask),
    Waiting,
    Done,
}

/// What follows a save.
#[derive(Debug, Clone, PartialEq, Eq)]
enum After {
    Call(Ask),
    Wait(Timestamp),
    Answer,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Run {
    payment: StoredPayment,
    /// As it stood at the latest save.
    durable: StoredPayment,
    directory: Directory,
    goal: Goal,
    phase: Phase,
    /// Attempts that this run may still begin.
    left: u32,
    /// Records that are not durable yet.
    unsaved: Vec<Record>,
    /// Whether the lease is this run's; a new payment has none before its first save.
    is_held: bool,
    /// Calls since the latest save.
    calls: u32,
    /// Whether a provider may have been asked for something.
    has_sent: bool,
    /// The goal's own step was begun; it is never begun twice in one run.
    has_begun: bool,
    current: Option<Resolution>,
    /// What was seen to, and when it is due again if that is known.
    seen: Vec<(Item, Option<Timestamp>)>,
    /// A provider does not say: the client is not kept waiting for it.
    is_silent: bool,
    looks: u32,
    random: u64,
    #[cfg(test)]
    fails_over_on_unknown: bool,
}

impl Run {
    /// A run on a payment whose lease is the caller's, or on a new one that nobody knows of.
    #[must_use]
    pub(super) fn new(payment: StoredPayment, goal: Goal, directory: Directory, tries: u32, random: u64) -> Self {
        Self {
            durable: payment.clone(),
            is_held: payment.lease.is_some(),
            looks: payment.looks,
            payment,
            directory,
            goal,
            phase: Phase::Done,
            left: tries,
            unsaved: Vec::new(),
            calls: 0,
            has_sent: false,
            has_begun: false,
            current: None,
            seen: Vec::new(),
            is_silent: false,
            random,
            #[cfg(test)]
            fails_over_on_unknown: false,
        }
    }

    /// Breaks the release rule, so that tests can show that they would notice.
    #[cfg(test)]
    pub(super) fn failing_over_on_unknown(mut self, yes: bool) -> Self {
        self.fails_over_on_unknown = yes;
        self
    }

    /// The first effect.
    pub(super) fn begin(&mut self, now: Timestamp) -> Effect {
        self.decide(now)
    }

    /// The payment with everything that is known, durable or not.
    #[must_use]
    pub(super) fn payment(&self) -> &StoredPayment {
        &self.payment
    }

    /// The payment as it stood at the latest save: all that may be told.
    #[must_use]
    pub(super) fn durable(&self) -> &StoredPayment {
        &self.durable
    }

    /// What the run is for.
    #[must_use]
    pub(super) fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Takes what happened and says what to do.
    pub(super) fn step(&mut self, event: Event, now: Timestamp) -> Option<Effect> {
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        match (phase, event) {
            (Phase::Planning(plan), Event::Planned(intent)) => Some(self.planned(plan, intent, now)),
            (Phase::Planning(_), Event::NoneAvailable) => Some(self.close(now)),
            (Phase::Saving(after), Event::Saved) => Some(self.saved(after)),
            (Phase::Saving(_), Event::NotSaved) => Some(self.give_up()),
            (Phase::Saving(_), Event::Lost) => Some(Effect::Answer(Answer::Lost { sent: self.has_sent })),
            (Phase::Calling(ask), Event::Ended(verdict)) => {
                self.learn(ask, verdict, now);
                Some(self.decide(now))
            }
            (Phase::Waiting, Event::Woke) => {
                self.seen.clear();
                Some(self.decide(now))
            }
            (Phase::Waiting, Event::TimeUp) => Some(self.close(now)),
            (phase, _) => {
                self.phase = phase;
                None
            }
        }
    }

    fn decide(&mut self, now: Timestamp) -> Effect {
        loop {
            if let Some(resolution) = self.current.take() {
                if let Some(effect) = self.resolve(resolution, now) {
                    return effect;
                }
                continue;
            }
            match self.wish() {
                Wish::Plan(plan) => {
                    self.phase = Phase::Planning(plan);
                    return Effect::Plan(plan);
                }
                Wish::Record(record) => {
                    self.has_begun = true;
                    if !self.note(record, now) {
                        return self.close(now);
                    }
                }
                Wish::Ask(ask) => return self.ask(ask, now),
                Wish::Settle(item) => self.current = Some(Resolution::new(item)),
                Wish::Close => return self.close(now),
            }
        }
    }

    fn resolve(&mut self, resolution: Resolution, now: Timestamp) -> Option<Effect> {
        let item = resolution.item;
        let terms = self.owner(item).map(|owner| self.directory.terms(&owner));
        let step = terms.map_or(Step::Rest, |terms| resolution.next(&self.payment, &terms, now));
        match step {
            Step::Look => {
                self.current = Some(resolution);
                Some(self.ask(Ask::Look(item), now))
            }
            Step::TakeBack(operation) => {
                let Item::Attempt(number) = item else { return None };
                self.announce_void(number, now);
                let ask = Ask::TakeBack(number, operation, resolution.found().cloned());
                self.current = Some(resolution);
                Some(self.ask(ask, now))
            }
            Step::Record(records) => {
                if records.into_iter().all(|record| self.note(record, now)) {
                    self.current = Some(resolution);
                } else {
                    self.seen.push((item, Some(now.plus(LONGEST_WAIT))));
                }
                None
            }
            Step::Again(wait) => {
                let at = self.moment(wait, now);
                self.looks = self.looks.saturating_add(1);
                self.seen.push((item, Some(at)));
                (self.goal != Goal::Resolve).then(|| if self.is_silent { self.close(now) } else { self.wait(at, now) })
            }
            Step::Rest => {
                self.seen.push((item, None));
                None
            }
        }
    }

    fn planned(&mut self, plan: Plan, intent: Intent, now: Timestamp) -> Effect {
        let (number, operation) = (intent.attempt, intent.operation);
        let fits = match plan {
            Plan::Attempt(wanted) => wanted == number && operation != Operation::Confirm,
            Plan::Confirm(wanted) => wanted == number && operation == Operation::Confirm,
        };
        if !fits || !self.note(Record::Intent(intent), now) {
            return self.close(now);
        }
        self.has_begun = true;
        if matches!(plan, Plan::Attempt(_)) {
            self.left -= 1;
        }
        self.ask(Ask::Attempt(number, operation), now)
    }

    /// A repeated void has a record of its own: how long it may be under way counts from there.
    fn announce_void(&mut self, attempt: u32, now: Timestamp) {
        let voiding = self.payment.attempts.iter().find(|stored| stored.number == attempt).and_then(|it| it.voiding);
        if let (true, Some(reason)) = (self.unsaved.is_empty(), voiding) {
            self.note(Record::VoidIntent { attempt, reason }, now);
        }
    }

    /// The rule of durability: nothing is called before everything known is saved.
    fn ask(&mut self, ask: Ask, now: Timestamp) -> Effect {
        let is_long = self.goal == Goal::Resolve && self.calls >= CALLS_BETWEEN_SAVES;
        if self.unsaved.is_empty() && !is_long { self.call(ask) } else { self.save(After::Call(ask), now) }
    }

    fn call(&mut self, ask: Ask) -> Effect {
        self.calls += 1;
        self.has_sent |= !matches!(ask, Ask::Look(_));
        self.phase = Phase::Calling(ask.clone());
        Effect::Call(ask)
    }

    fn wait(&mut self, at: Timestamp, now: Timestamp) -> Effect {
        if !self.unsaved.is_empty() {
            return self.save(After::Wait(at), now);
        }
        self.phase = Phase::Waiting;
        Effect::Wait(at)
    }

    fn close(&mut self, now: Timestamp) -> Effect {
        if !self.is_held && self.unsaved.is_empty() {
            return Effect::Answer(Answer::Stands);
        }
        self.save(After::Answer, now)
    }

    fn save(&mut self, after: After, now: Timestamp) -> Effect {
        let goes_on = after != After::Answer;
        self.phase = Phase::Saving(after);
        Effect::Save { records: self.unsaved.clone(), goes_on, due: self.due(now), looks: self.looks }
    }

    fn saved(&mut self, after: After) -> Effect {
        self.unsaved.clear();
        self.calls = 0;
        self.is_held = true;
        self.durable = self.payment.clone();
        match after {
            After::Call(ask) => self.call(ask),
            After::Wait(at) => {
                self.phase = Phase::Waiting;
                Effect::Wait(at)
            }
            After::Answer => Effect::Answer(Answer::Stands),
        }
    }

    /// What was not begun for want of a ledger is nothing to be saved later.
    fn give_up(&mut self) -> Effect {
        let mut facts = std::mem::take(&mut self.unsaved);
        facts.retain(|record| !matches!(record, Record::Intent(_) | Record::RefundIntent(_)));
        Effect::Answer(if self.has_sent { Answer::Unsaved(facts) } else { Answer::NothingAttempted })
    }

    fn learn(&mut self, ask: Ask, verdict: Verdict, now: Timestamp) {
        match ask {
            Ask::Attempt(attempt, operation) => self.attempt_ended(attempt, operation, verdict, now),
            Ask::Refund(refund) => drop(self.note(Record::RefundOutcome { refund, verdict }, now)),
            Ask::Look(_) => {
                self.is_silent = matches!(verdict, Verdict::Unknown { doubt } if !says_something(doubt));
                if let Some(resolution) = &mut self.current {
                    resolution.looked(verdict);
                }
            }
            Ask::TakeBack(attempt, ..) => {
                self.is_silent = matches!(verdict, Verdict::Unknown { .. } | Verdict::NotProcessed { .. });
                if let Some(resolution) = &mut self.current {
                    resolution.took_back(verdict.clone());
                }
                self.note(Record::VoidOutcome { attempt, verdict }, now);
            }
        }
    }

    fn attempt_ended(&mut self, attempt: u32, operation: Operation, verdict: Verdict, now: Timestamp) {
        let provider = self.payment.live_attempt().map(|live| live.provider.clone());
        let terms = provider.map(|provider| self.directory.terms(&provider));
        let is_unknown = AttemptState::of(&verdict) == AttemptState::Unknown;
        let is_harmless = operation == Operation::Prepare && terms.as_ref().is_some_and(|it| it.prepare_is_harmless);
        let verdict = if is_unknown && is_harmless {
            Verdict::NotProcessed { proof: Proof::Harmless }
        } else if is_unknown && self.is_reckless() {
            Verdict::NotProcessed { proof: Proof::Stated }
        } else {
            verdict
        };
        let is_released = AttemptState::of(&verdict).is_released();
        self.note(Record::Outcome { attempt, operation, verdict }, now);
        let leaves_something = terms.is_some_and(|terms| terms.leaves_prepared && terms.cancel.is_some());
        if operation == Operation::Confirm && is_released && leaves_something {
            self.note(Record::VoidIntent { attempt, reason: VoidReason::Unresolved }, now);
        }
    }

    #[cfg(test)]
    fn is_reckless(&self) -> bool {
        self.fails_over_on_unknown
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests may break the rule")]
    fn is_reckless(&self) -> bool {
        false
    }

    /// Applies a record; `false` if it does not fit.
    fn note(&mut self, record: Record, now: Timestamp) -> bool {
        if let Err(misfit) = self.payment.apply(&record, now) {
            tracing::error!(payment = %self.payment.id, misfit, "A payment is not where its run believes it to be");
            return false;
        }
        if matches!(record, Record::Outcome { .. } | Record::RefundOutcome { .. } | Record::LateCapture { .. }) {
            self.looks = 0;
        }
        self.unsaved.push(record);
        true
    }
}

#[cfg(test)]
mod tests;
