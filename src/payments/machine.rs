//! One run of a payment as a pure state machine: an event in, effects out.
//!
//! `step` is total: every event is legal in every phase, and one that makes no sense there changes
//! nothing. Two rules are built in. A provider is called only after its intent was saved. Another
//! attempt starts only if every earlier one is released. Deliberately not here: who is chosen, how
//! long anything takes, how a provider is spoken to.

use super::record::{AttemptState, Operation, PaymentState, Record};
use super::verdict::Verdict;

/// One request's work on a payment.
#[derive(Debug, Clone)]
pub(super) struct Run {
    attempts: Vec<AttemptState>,
    phase: Phase,
    /// Attempts that this run may still begin.
    left: u32,
    /// Outcomes that are not durable yet.
    unsaved: Vec<Record>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for a provider.
    Choosing,
    /// Waits until the intent of the last attempt is durable.
    Planning,
    /// Waits for the outcome of the last attempt.
    Calling,
    /// Waits until the last outcome is durable.
    Closing,
    /// Nothing more will happen.
    Done,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A provider was found for the next attempt.
    Chosen,
    /// No provider is available, or no time is left.
    NoneAvailable,
    /// What was to be saved is durable.
    Saved,
    /// What was to be saved is not known to be durable.
    NotSaved,
    /// The call of the running attempt came to this.
    Ended(Verdict),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Find a provider for the next attempt.
    Choose,
    /// Make these outcomes and the intent of attempt `intent` durable, all or none.
    Save {
        /// Outcomes of earlier attempts.
        outcomes: Vec<Record>,
        /// The attempt that is to begin, if any.
        intent: Option<u32>,
        /// Where the payment stands then.
        state: PaymentState,
    },
    /// Call the provider of this attempt.
    Call(u32),
    /// Tell the client.
    Answer(Answer),
}

/// What the client hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Where the payment stands; all of it is durable.
    Settled(PaymentState),
    /// The ledger failed before anything was sent in this run.
    NothingAttempted,
    /// The ledger failed after something was sent: pending, and these records are still to be saved.
    Unsaved(Vec<Record>),
}

impl Run {
    /// Begins a run of a payment with these earlier attempts, and at most `tries` new ones.
    #[must_use]
    pub(super) fn begin(attempts: Vec<AttemptState>, tries: u32) -> (Self, Effect) {
        let mut run = Self { attempts, phase: Phase::Choosing, left: tries, unsaved: Vec::new() };
        let effect = run.next();
        (run, effect)
    }

    /// Number of the latest attempt, from 1; 0 if there is none.
    #[must_use]
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }

    /// Takes what happened and says what to do.
    pub(super) fn step(&mut self, event: Event) -> Option<Effect> {
        match (self.phase, event) {
            (Phase::Choosing, Event::Chosen) => Some(self.plan()),
            (Phase::Choosing, Event::NoneAvailable) => Some(self.close()),
            (Phase::Planning, Event::Saved) => {
                self.phase = Phase::Calling;
                self.unsaved.clear();
                self.become_state(AttemptState::Intent);
                Some(Effect::Call(self.attempt()))
            }
            (Phase::Planning, Event::NotSaved) => {
                self.attempts.pop();
                Some(self.give_up())
            }
            (Phase::Calling, Event::Ended(verdict)) => {
                self.become_state(AttemptState::of(&verdict));
                self.unsaved.push(Record::Outcome { attempt: self.attempt(), operation: Operation::Charge, verdict });
                Some(self.next())
            }
            (Phase::Closing, Event::Saved) => {
                self.unsaved.clear();
                self.phase = Phase::Done;
                Some(Effect::Answer(Answer::Settled(self.state())))
            }
            (Phase::Closing, Event::NotSaved) => Some(self.give_up()),
            (
                Phase::Choosing | Phase::Planning | Phase::Calling | Phase::Closing | Phase::Done,
                Event::Chosen | Event::NoneAvailable | Event::Saved | Event::NotSaved | Event::Ended(_),
            ) => None,
        }
    }

    fn state(&self) -> PaymentState {
        PaymentState::of(self.attempts.iter().copied())
    }

    fn become_state(&mut self, next: AttemptState) {
        if let Some(last) = self.attempts.last_mut()
            && last.may_become(next)
        {
            *last = next;
        }
    }

    /// The release rule: only here does an attempt become possible.
    fn next(&mut self) -> Effect {
        let released = self.attempts.iter().all(|attempt| attempt.is_released());
        if released && self.left > 0 {
            self.phase = Phase::Choosing;
            Effect::Choose
        } else {
            self.close()
        }
    }

    fn plan(&mut self) -> Effect {
        self.left -= 1;
        self.attempts.push(AttemptState::Planned);
        self.phase = Phase::Planning;
        Effect::Save { outcomes: self.unsaved.clone(), intent: Some(self.attempt()), state: PaymentState::Pending }
    }

    fn close(&mut self) -> Effect {
        if self.unsaved.is_empty() {
            self.phase = Phase::Done;
            return Effect::Answer(Answer::Settled(self.state()));
        }
        self.phase = Phase::Closing;
        Effect::Save { outcomes: self.unsaved.clone(), intent: None, state: self.state() }
    }

    fn give_up(&mut self) -> Effect {
        self.phase = Phase::Done;
        let unsaved = std::mem::take(&mut self.unsaved);
        Effect::Answer(if unsaved.is_empty() { Answer::NothingAttempted } else { Answer::Unsaved(unsaved) })
    }
}

#[cfg(test)]
mod tests;
