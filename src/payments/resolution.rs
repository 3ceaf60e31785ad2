//! What to do about one attempt or refund that is not settled, as a pure decision: look, wait, take it
//! back, make sure of that, or hand it to a person.
//!
//! [`Resolution::next`] is total over every state of the payment and everything that was heard. Its
//! rules: "not found" and "still open" prove nothing before the provider's `quiesce` time has passed
//! since the attempt; what was taken back is released only once a look agrees; and a capture that is
//! found after a void was sent counts only when that void can't be under way any more. What is released
//! is looked at again for a while: a provider may break its promise.

mod attempt;
mod refund;

use std::time::Duration;

use super::ledger::StoredPayment;
use super::record::{Operation, Record};
use super::terms::Terms;
use super::verdict::Verdict;
use crate::clock::Timestamp;
use attempt::{Case, Task};

/// When a released attempt, or a refund that counts as not processed, is looked at again, counted from that moment.
pub(super) const WATCH: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(6 * 60 * 60),
];
/// How long after the last of these moments a provider that does not answer is still asked.
const WATCH_MARGIN: Duration = Duration::from_secs(60 * 60);

/// What is to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// The attempt of this number.
    Attempt(u32),
    /// The refund of this number.
    Refund(u32),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the provider what became of it.
    Look,
    /// Ask the provider by this operation to take it back.
    TakeBack(Operation),
    /// This is certain now.
    Record(Vec<Record>),
    /// Nothing before a while has passed.
    Again(Wait),
    /// Nothing at all for now.
    Rest,
}

/// How long to let an attempt alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as the back-off says.
    BackOff,
    /// Until then.
    Until(Timestamp),
}

/// One item, and what was heard about it in this piece of work.
#[derive(Debug, Clone)]
pub(super) struct Resolution {
    pub(super) item: Item,
    /// What the latest look found; none since the provider was last asked to take it back.
    looked: Option<Verdict>,
    /// What the latest look of all found.
    found: Option<Verdict>,
    /// What the provider said to being asked to take it back.
    took_back: Option<Verdict>,
}

impl Resolution {
    pub(super) fn new(item: Item) -> Self {
        Self { item, looked: None, found: None, took_back: None }
    }

    /// A look found this.
    pub(super) fn looked(&mut self, verdict: Verdict) {
        self.found = Some(verdict.clone());
        self.looked = Some(verdict);
    }

    /// The provider said this to being asked to take it back.
    pub(super) fn took_back(&mut self, verdict: Verdict) {
        self.looked = None;
        self.took_back = Some(verdict);
    }

    /// What the latest look found.
    pub(super) fn found(&self) -> Option<&Verdict> {
        self.found.as_ref()
    }

    /// Says what to do next.
    pub(super) fn next(&self, payment: &StoredPayment, terms: &Terms, now: Timestamp) -> Step {
        match self.item {
            Item::Refund(number) => refund::next(self.looked.as_ref(), payment, number, terms, now),
            Item::Attempt(number) => match payment.attempts.iter().find(|attempt| attempt.number == number) {
                Some(attempt) => self.next_of(Case { payment, attempt, terms, now }),
                None => Step::Rest,
            },
        }
    }

    fn next_of(&self, case: Case<'_>) -> Step {
        let Some(task) = case.task() else { return Step::Rest };
        match (task, &self.looked, &self.took_back) {
            (Task::Interrupted, ..) => case.interrupted(),
            (Task::FindOut, None, None) if !case.can_find_out() => {
                case.hand_over("its outcome is unknown and the provider is not to be asked")
            }
            (Task::Watch, None, None) if !case.terms.looks => Step::Rest,
            (_, None, None) if !case.terms.is_known => case.again(task, Wait::BackOff),
            // Also before taking back: it may be captured, and an earlier void may have worked.
            (_, None, None) if case.terms.looks => Step::Look,
            (Task::Await, None, None) => case.expire(),
            (_, None, None) => case.take_back(task),
            (_, None, Some(said)) => case.after_taking_back(task, said),
            (_, Some(found), said) => case.judge(task, found, said.as_ref()),
        }
    }
}

/// When the worker is to see this item if nothing else is known about it; `None`: never.
pub(super) fn due(item: Item, payment: &StoredPayment, terms: &Terms, now: Timestamp) -> Option<Wait> {
    let attempt = match item {
        Item::Refund(number) => return refund::due(payment, number, terms, now),
        Item::Attempt(number) => payment.attempts.iter().find(|attempt| attempt.number == number)?,
    };
    let case = Case { payment, attempt, terms, now };
    match case.task()? {
        Task::Await => Some(Wait::Until(case.expires())),
        // One that is not in the settings may be there again by the next moment.
        Task::Watch if !terms.looks && terms.is_known => None,
        Task::Watch => next_watch(case.ended(), now),
        Task::CleanUp if now >= case.bound() => None,
        Task::Interrupted | Task::FindOut | Task::GiveUp | Task::CleanUp | Task::LateCapture => Some(Wait::BackOff),
    }
}

/// The next moment at which what ended then is looked at again.
fn next_watch(ended: Timestamp, now: Timestamp) -> Option<Wait> {
    let moments = WATCH.iter().map(|after| ended.plus(*after));
    moments.filter(|moment| *moment > now).min().map(Wait::Until)
}

/// Whether what ended then may still be looked at.
fn is_watched(ended: Timestamp, now: Timestamp) -> bool {
    now <= ended.plus(WATCH[WATCH.len() - 1]).plus(WATCH_MARGIN)
}

#[cfg(test)]
mod tests;
