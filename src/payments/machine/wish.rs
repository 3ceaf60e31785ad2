//! What a run's goal makes of the payment as it stands.

use super::{Ask, Goal, Plan, Run};
use crate::payments::ledger::StoredAttempt;
use crate::payments::record::{AttemptState, Operation, Record, RefundIntent, VoidReason};
use crate::payments::resolution::Item;

/// The next thing to be done.
pub(super) enum Wish {
    Plan(Plan),
    Record(Record),
    Ask(Ask),
    Settle(Item),
    Close,
}

impl Run {
    /// What is to be done next; once it is done, the payment stands otherwise.
    pub(super) fn wish(&self) -> Wish {
        use AttemptState as A;
        let open = match &self.goal {
            Goal::Resolve => return self.items().find(|item| !self.is_seen(*item)).map_or(Wish::Close, Wish::Settle),
            Goal::Refund(intent) => return self.wish_of_refund(intent),
            Goal::Pay | Goal::Confirm | Goal::Cancel => self.payment.live_attempt(),
        };
        let Some(attempt) = open else {
            let next = self.left > 0 && !self.payment.given_up && self.goal != Goal::Cancel;
            return if next { Wish::Plan(Plan::Attempt(self.next_number())) } else { Wish::Close };
        };
        let (number, item) = (attempt.number, Item::Attempt(attempt.number));
        match attempt.state {
            A::Intent | A::Unknown | A::Resolving if !self.is_seen(item) => Wish::Settle(item),
            A::Prepared if self.is_to_be_confirmed(attempt) => Wish::Plan(Plan::Confirm(number)),
            A::Prepared if !self.has_begun && self.goal == Goal::Cancel => {
                Wish::Record(Record::VoidIntent { attempt: number, reason: VoidReason::Cancelled })
            }
            _ => Wish::Close,
        }
    }

    fn wish_of_refund(&self, intent: &RefundIntent) -> Wish {
        let item = Item::Refund(intent.refund);
        match self.payment.refunds.iter().find(|refund| refund.number == intent.refund).map(|refund| refund.state) {
            None if !self.has_begun => Wish::Record(Record::RefundIntent(intent.clone())),
            Some(AttemptState::Intent) => Wish::Ask(Ask::Refund(intent.refund)),
            Some(AttemptState::Unknown) if !self.is_seen(item) => Wish::Settle(item),
            _ => Wish::Close,
        }
    }

    fn is_to_be_confirmed(&self, attempt: &StoredAttempt) -> bool {
        match self.goal {
            // What is prepared elsewhere after a failed confirmation waits for the customer again.
            Goal::Confirm => !self.has_begun,
            Goal::Pay => {
                self.payment.capture
                    && attempt.operation == Operation::Prepare
                    && self.directory.terms(&attempt.provider).confirms_itself
            }
            Goal::Cancel | Goal::Refund(_) | Goal::Resolve => false,
        }
    }
}
