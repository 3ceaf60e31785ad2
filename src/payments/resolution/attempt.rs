//! What the state of one attempt, and what was heard about it, make of it.

use super::{Step, WATCH, WATCH_MARGIN, Wait};
use crate::clock::Timestamp;
use crate::payments::ledger::{StoredAttempt, StoredPayment};
use crate::payments::record::{AttemptState, Operation, Record, VoidReason};
use crate::payments::settings::OnUnknown;
use crate::payments::terms::Terms;
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// Why an attempt is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Whoever called the provider is gone.
    Interrupted,
    /// Its outcome is unknown.
    FindOut,
    /// It is prepared and waits for its confirmation.
    Await,
    /// It was prepared, and is to be given up.
    GiveUp,
    /// It is released; something that it left behind is to be taken away.
    CleanUp,
    /// It is released; a capture after that would be an alarm.
    Watch,
    /// That has happened.
    LateCapture,
}

/// Everything that a decision about an attempt depends on.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) payment: &'a StoredPayment,
    pub(super) attempt: &'a StoredAttempt,
    pub(super) terms: &'a Terms,
    pub(super) now: Timestamp,
}

impl Case<'_> {
    pub(super) fn task(&self) -> Option<Task> {
        use AttemptState as A;
        match self.attempt.late_capture {
            Some(A::Resolving) => return Some(Task::LateCapture),
            // A person has it.
            Some(A::Manual) => return None,
            _ => {}
        }
        match self.attempt.state {
            A::Intent => Some(Task::Interrupted),
            A::Prepared => Some(Task::Await),
            A::Unknown | A::Resolving => match self.attempt.voiding {
                Some(VoidReason::Cancelled | VoidReason::Expired) => Some(Task::GiveUp),
                Some(VoidReason::Unresolved | VoidReason::LateCapture) | None => Some(Task::FindOut),
            },
            A::NotProcessed | A::Voided | A::SoftDeclined if self.attempt.voiding.is_some() => Some(Task::CleanUp),
            A::Voided | A::NotProcessed | A::SoftDeclined => self.is_watched().then_some(Task::Watch),
            A::Planned | A::Succeeded | A::Declined | A::Manual => None,
        }
    }

    /// Of a failed confirmation it is not known whether it was the first of its attempt: one before it may have been
    /// lost, found undone, and be under way all the same.
    fn is_watched(&self) -> bool {
        let may_surprise = self.attempt.state == AttemptState::Voided || self.attempt.operation == Operation::Confirm;
        may_surprise && super::is_watched(self.ended(), self.now)
    }

    /// When its latest outcome was saved: from here on its times count.
    pub(super) fn ended(&self) -> Timestamp {
        self.attempt.ended.unwrap_or(self.attempt.started)
    }

    fn is_quiet(&self) -> bool {
        self.now >= self.quiet_from()
    }

    fn quiet_from(&self) -> Timestamp {
        self.ended().plus(self.terms.quiesce)
    }

    pub(super) fn bound(&self) -> Timestamp {
        self.ended().plus(self.terms.resolve_for)
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.ended().plus(self.terms.prepared_for)
    }

    pub(super) fn can_find_out(&self) -> bool {
        !self.terms.is_known || (self.terms.looks && self.terms.on_unknown == OnUnknown::Resolve)
    }

    pub(super) fn interrupted(&self) -> Step {
        let operation = self.attempt.operation;
        let verdict = if operation == Operation::Prepare && self.terms.prepare_is_harmless {
            Verdict::NotProcessed { proof: Proof::Harmless }
        } else {
            Verdict::Unknown { doubt: Doubt::Interrupted }
        };
        Step::Record(vec![Record::Outcome { attempt: self.attempt.number, operation, verdict }])
    }

    /// How the provider is asked to take it back, given what was found of it.
    fn way_back(&self, task: Task, found: Option<&Verdict>) -> Option<Operation> {
        match task {
            Task::GiveUp => self.terms.cancel,
            Task::LateCapture => self.terms.void,
            _ if self.attempt.operation == Operation::Charge => self.terms.void,
            Task::CleanUp => self.terms.cancel,
            _ if matches!(found, Some(Verdict::Prepared { .. })) => self.terms.cancel,
            _ => self.terms.void.or(self.terms.cancel),
        }
    }

    pub(super) fn take_back(&self, task: Task) -> Step {
        match self.way_back(task, None) {
            Some(operation) => Step::TakeBack(operation),
            None if task == Task::GiveUp && self.terms.prepare_is_harmless => {
                self.resolved(AttemptState::Voided, "void", "what is prepared charges nobody unless it is confirmed")
            }
            None => self.end(task, "the provider has no way to take it back"),
        }
    }

    pub(super) fn after_taking_back(&self, task: Task, said: &Verdict) -> Step {
        match said {
            Verdict::NotProcessed { .. } | Verdict::Unknown { .. } | Verdict::Prepared { .. } => {
                self.again(task, Wait::BackOff)
            }
            _ if self.terms.looks => Step::Look,
            Verdict::Declined { .. } => self.end(task, "the provider refuses to take it back"),
            Verdict::Voided | Verdict::NotFound | Verdict::Succeeded { .. } => {
                self.taken_back(task, "void", "the provider says that it is taken back")
            }
        }
    }

    pub(super) fn judge(&self, task: Task, found: &Verdict, said: Option<&Verdict>) -> Step {
        match found {
            Verdict::Succeeded { provider_ref, .. } => self.captured(task, provider_ref, said.is_some()),
            Verdict::Unknown { .. } => self.again(task, Wait::BackOff),
            Verdict::Prepared { provider_ref, .. } => self.still_open(task, found, provider_ref.as_deref(), said),
            Verdict::NotFound => self.not_found(task, found, said),
            Verdict::Voided => self.over(task, AttemptState::Voided, None, "the provider says that it is voided"),
            Verdict::Declined { code, soft, .. } => {
                let state = if *soft { AttemptState::SoftDeclined } else { AttemptState::Declined };
                self.over(task, state, Some(code), "the provider says that it was declined")
            }
            Verdict::NotProcessed { .. } => {
                self.over(task, AttemptState::NotProcessed, None, "the provider says that nothing was processed")
            }
        }
    }

    /// It is captured, as far as the provider knows by now.
    fn captured(&self, task: Task, provider_ref: &str, was_taken_back: bool) -> Step {
        let number = self.attempt.number;
        match task {
            Task::CleanUp | Task::Watch => {
                Step::Record(vec![Record::LateCapture { attempt: number, provider_ref: provider_ref.into() }])
            }
            Task::LateCapture if !was_taken_back => self.take_back(task),
            Task::LateCapture => self.again(task, Wait::BackOff),
            Task::FindOut | Task::GiveUp | Task::Await | Task::Interrupted => {
                // A void that may be under way, or that the look does not know of yet, would undo what is told now.
                let sure_from = self.payment.updated.plus(self.terms.quiesce);
                if self.attempt.voiding.is_some() && self.now < sure_from {
                    return self.again(task, Wait::Until(sure_from));
                }
                Step::Record(vec![Record::Resolved {
                    attempt: number,
                    state: AttemptState::Succeeded,
                    provider_ref: Some(provider_ref.into()),
                    code: None,
                    by: "lookup".into(),
                    reason: "the provider says that it is captured".into(),
                }])
            }
        }
    }

    /// It is authorised or prepared and not captured.
    fn still_open(&self, task: Task, found: &Verdict, reference: Option<&str>, said: Option<&Verdict>) -> Step {
        let attempt = self.attempt;
        match task {
            Task::Await => self.expire(),
            Task::Watch => Step::Record(self.begin_void(found)),
            Task::FindOut if attempt.voiding.is_none() && attempt.operation == Operation::Prepare => {
                Step::Record(vec![self.outcome(found)])
            }
            Task::FindOut if !self.is_quiet() => self.again(task, Wait::Until(self.quiet_from())),
            // The confirmation was not carried out: the client may confirm once more. A payment that the
            // gateway confirms by itself is nothing that its client could go on with.
            Task::FindOut
                if attempt.voiding.is_none()
                    && attempt.operation == Operation::Confirm
                    && !(self.payment.capture && self.terms.confirms_itself) =>
            {
                let mut verdict = found.clone();
                if let Verdict::Prepared { provider_ref, next_action } = &mut verdict {
                    *provider_ref = reference.map(str::to_owned);
                    if next_action.is_empty() {
                        next_action.clone_from(&attempt.next_action);
                    }
                }
                Step::Record(vec![self.outcome(&verdict)])
            }
            _ => self.void(task, found, said),
        }
    }

    fn not_found(&self, task: Task, found: &Verdict, said: Option<&Verdict>) -> Step {
        match (task, said) {
            (Task::Watch, _) => Step::Rest,
            (Task::Await, _) => self.expire(),
            (Task::FindOut, _) if !self.is_quiet() => self.again(task, Wait::Until(self.quiet_from())),
            (_, Some(Verdict::Voided | Verdict::NotFound | Verdict::Succeeded { .. })) => {
                self.taken_back(task, "void", "it was taken back, and the provider knows nothing of it")
            }
            _ => self.void(task, found, said),
        }
    }

    /// Takes back what the latest look found, once in a piece of work.
    fn void(&self, task: Task, found: &Verdict, said: Option<&Verdict>) -> Step {
        match self.way_back(task, Some(found)) {
            Some(operation) if said.is_none() => match self.attempt.voiding {
                Some(_) => Step::TakeBack(operation),
                None => Step::Record(self.begin_void(found)),
            },
            None if task == Task::LateCapture => self.end(task, "the provider has no way to take it back"),
            Some(_) | None => self.again(task, Wait::BackOff),
        }
    }

    fn begin_void(&self, found: &Verdict) -> Vec<Record> {
        let attempt = self.attempt.number;
        vec![
            Record::Found { attempt, verdict: found.clone() },
            Record::VoidIntent { attempt, reason: VoidReason::Unresolved },
        ]
    }

    /// It waited for its confirmation, perhaps too long.
    pub(super) fn expire(&self) -> Step {
        if self.now < self.expires() {
            return Step::Rest;
        }
        let attempt = self.attempt.number;
        Step::Record(vec![Record::VoidIntent { attempt, reason: VoidReason::Expired }])
    }

    /// Nothing can be charged by it any more.
    fn over(&self, task: Task, state: AttemptState, code: Option<&str>, why: &str) -> Step {
        match task {
            Task::Watch => Step::Rest,
            Task::CleanUp | Task::LateCapture => self.taken_back(task, "lookup", why),
            Task::FindOut | Task::GiveUp | Task::Await | Task::Interrupted => {
                Step::Record(vec![self.resolution(state, code, "lookup", why)])
            }
        }
    }

    fn taken_back(&self, task: Task, by: &str, why: &str) -> Step {
        let attempt = self.attempt.number;
        match task {
            Task::LateCapture => Step::Record(vec![Record::LateCaptureEnded {
                attempt,
                state: AttemptState::Voided,
                by: by.into(),
                reason: why.into(),
            }]),
            // Its state stays; only what it left behind is gone.
            Task::CleanUp => self.resolved(self.attempt.state, by, why),
            _ => self.resolved(AttemptState::Voided, by, why),
        }
    }

    /// Not now; and no more at all once the bound is reached.
    pub(super) fn again(&self, task: Task, wait: Wait) -> Step {
        match task {
            Task::Watch | Task::Await => {
                if task == Task::Await && self.now >= self.expires() {
                    return self.expire();
                }
                Step::Again(wait)
            }
            Task::LateCapture if self.now < self.late_bound() => Step::Again(wait),
            _ if self.now < self.bound() => Step::Again(wait),
            _ => self.end(task, "it could not be settled within its time"),
        }
    }

    /// A late capture is found within the time of watching, and has as long again.
    fn late_bound(&self) -> Timestamp {
        self.bound().plus(WATCH[WATCH.len() - 1]).plus(WATCH_MARGIN)
    }

    /// What the distributor can't do any further.
    fn end(&self, task: Task, why: &str) -> Step {
        match task {
            Task::Watch | Task::CleanUp => Step::Rest,
            Task::LateCapture => Step::Record(vec![Record::LateCaptureEnded {
                attempt: self.attempt.number,
                state: AttemptState::Manual,
                by: "void".into(),
                reason: why.into(),
            }]),
            _ => self.hand_over(why),
        }
    }

    pub(super) fn hand_over(&self, why: &str) -> Step {
        self.resolved(AttemptState::Manual, "lookup", why)
    }

    fn resolved(&self, state: AttemptState, by: &str, why: &str) -> Step {
        Step::Record(vec![self.resolution(state, None, by, why)])
    }

    fn resolution(&self, state: AttemptState, code: Option<&str>, by: &str, why: &str) -> Record {
        Record::Resolved {
            attempt: self.attempt.number,
            state,
            provider_ref: None,
            code: code.map(str::to_owned),
            by: by.into(),
            reason: why.into(),
        }
    }

    fn outcome(&self, found: &Verdict) -> Record {
        let (attempt, operation) = (self.attempt.number, self.attempt.operation);
        Record::Outcome { attempt, operation, verdict: found.clone() }
    }
}
