//! What each record does to a payment.
//!
//! [`StoredPayment::apply`] is the only place that knows. Every ledger loads a payment, applies, and
//! writes back what changed, in one transaction; so all of them keep the same rules, and the unique
//! indexes are there to catch what this file gets wrong. It is total: any record on any payment
//! either fits, or is refused and changes nothing.

use std::collections::BTreeMap;

use super::stored::{StoredAttempt, StoredPayment, StoredRefund};
use crate::clock::Timestamp;
use crate::payments::record::{AttemptState, Intent, Operation, PaymentState, Record, RefundIntent, VoidReason};
use crate::payments::verdict::Verdict;

/// A record does not fit what is stored; the text says how.
pub(in crate::payments) type Misfit = String;

impl StoredPayment {
    /// Does what a record says.
    ///
    /// # Errors
    /// The record makes no sense here; nothing has changed then.
    pub(in crate::payments) fn apply(&mut self, record: &Record, now: Timestamp) -> Result<(), Misfit> {
        match record {
            Record::Accepted { .. } => return Err(format!("{} is accepted already", self.id)),
            Record::Intent(intent) => self.begin(intent, now)?,
            Record::Outcome { attempt, operation, verdict } => {
                self.attempt_mut(*attempt)?.settle(*operation, verdict, now)?;
            }
            Record::Found { attempt, .. } | Record::VoidOutcome { attempt, .. } => {
                self.attempt_mut(*attempt)?.ask()?;
            }
            Record::VoidIntent { attempt, reason } => {
                self.attempt_mut(*attempt)?.begin_void(*reason)?;
                self.given_up |= matches!(reason, VoidReason::Cancelled | VoidReason::Expired);
            }
            Record::Resolved { attempt, state, provider_ref, code, reason, .. } => {
                let stored = self.attempt_mut(*attempt)?;
                stored.resolve(*state, now)?;
                stored.provider_ref = provider_ref.clone().or(stored.provider_ref.take());
                (stored.decline_code, stored.reason) = match state {
                    AttemptState::Succeeded | AttemptState::Prepared => (None, None),
                    AttemptState::Declined | AttemptState::SoftDeclined => (code.clone(), None),
                    _ => (None, Some(reason.clone())),
                };
            }
            Record::LateCapture { attempt, provider_ref } => {
                self.attempt_mut(*attempt)?.captured_late(provider_ref)?;
            }
            Record::LateCaptureEnded { attempt, state, .. } => self.attempt_mut(*attempt)?.end_late_capture(*state)?,
            Record::RefundIntent(intent) => self.begin_refund(intent, now)?,
            Record::RefundOutcome { refund, verdict } => self.refund_mut(*refund)?.settle(verdict, now)?,
            Record::RefundResolved { refund, state, reason, .. } => {
                let stored = self.refund_mut(*refund)?;
                stored.become_state(*state)?;
                stored.ended = Some(now);
                stored.reason = Some(reason.clone());
            }
            Record::LateRefund { refund } => self.refunded_late(*refund, now)?,
        }
        self.state = PaymentState::of(self.attempts.iter().map(|attempt| attempt.state), self.given_up);
        self.updated = now;
        Ok(())
    }

    fn begin(&mut self, intent: &Intent, now: Timestamp) -> Result<(), Misfit> {
        if self.given_up {
            return Err(format!("{} is given up, so nothing more is attempted", self.id));
        }
        if intent.operation == Operation::Confirm {
            return self.attempt_mut(intent.attempt)?.begin_confirm(intent);
        }
        if let Some(live) = self.live_attempt() {
            let state = live.state.as_str();
            return Err(format!("attempt {} of {} is {state}, so no other may begin", live.number, self.id));
        }
        if intent.attempt as usize != self.attempts.len() + 1 {
            return Err(format!("{} has {} attempts, so {} is not next", self.id, self.attempts.len(), intent.attempt));
        }
        self.attempts.push(StoredAttempt::begin(intent, now));
        Ok(())
    }

    fn begin_refund(&mut self, intent: &RefundIntent, now: Timestamp) -> Result<(), Misfit> {
        if self.state != PaymentState::Succeeded {
            return Err(format!("{} is {}, so there is nothing to refund", self.id, self.state.as_str()));
        }
        if let Some(open) = self.open_refund() {
            return Err(format!("refund {} of {} is {}", open.number, self.id, open.state.as_str()));
        }
        if intent.refund as usize != self.refunds.len() + 1 {
            return Err(format!("{} has {} refunds, so {} is not next", self.id, self.refunds.len(), intent.refund));
        }
        let left = self.money.amount.saturating_sub(self.refunded_at_most());
        if intent.amount == 0 || intent.amount > left {
            return Err(format!("{} has {left} left to refund, not {}", self.id, intent.amount));
        }
        self.refunds.push(StoredRefund {
            number: intent.refund,
            amount: intent.amount,
            state: AttemptState::Intent,
            reference: intent.reference.clone(),
            refunded_before: intent.refunded_before,
            provider_ref: None,
            reason: None,
            started: now,
            ended: None,
        });
        Ok(())
    }

    fn refunded_late(&mut self, number: u32, now: Timestamp) -> Result<(), Misfit> {
        let left = self.money.amount.saturating_sub(self.refunded_at_most());
        let refund = self.refund_mut(number)?;
        if refund.state != AttemptState::NotProcessed || refund.amount > left {
            let (state, amount) = (refund.state.as_str(), refund.amount);
            return Err(format!("refund {number} of {amount} is {state} with {left} left, so it can't come late"));
        }
        refund.state = AttemptState::Succeeded;
        refund.ended = Some(now);
        refund.reason = None;
        Ok(())
    }

    fn attempt_mut(&mut self, number: u32) -> Result<&mut StoredAttempt, Misfit> {
        let id = &self.id;
        let found = self.attempts.iter_mut().find(|attempt| attempt.number == number);
        found.ok_or_else(|| format!("{id} has no attempt {number}"))
    }

    fn refund_mut(&mut self, number: u32) -> Result<&mut StoredRefund, Misfit> {
        let id = &self.id;
        let found = self.refunds.iter_mut().find(|refund| refund.number == number);
        found.ok_or_else(|| format!("{id} has no refund {number}"))
    }
}

impl StoredAttempt {
    fn begin(intent: &Intent, now: Timestamp) -> Self {
        Self {
            number: intent.attempt,
            provider: intent.provider.clone(),
            operation: intent.operation,
            state: AttemptState::Intent,
            order_reference: intent.order_reference.clone(),
            lookup: intent.lookup.clone(),
            provider_ref: None,
            decline_code: None,
            reason: None,
            next_action: BTreeMap::new(),
            started: now,
            ended: None,
            voiding: None,
            late_capture: None,
        }
    }

    fn begin_confirm(&mut self, intent: &Intent) -> Result<(), Misfit> {
        self.become_state(AttemptState::Intent)?;
        self.operation = Operation::Confirm;
        self.lookup.clone_from(&intent.lookup);
        self.ended = None;
        Ok(())
    }

    fn become_state(&mut self, next: AttemptState) -> Result<(), Misfit> {
        if !self.state.may_become(next) {
            return Err(self.cannot_become(next));
        }
        self.state = next;
        Ok(())
    }

    fn cannot_become(&self, next: AttemptState) -> Misfit {
        format!("attempt {} is {} and can't become {}", self.number, self.state.as_str(), next.as_str())
    }

    /// Where it stands once the provider is asked about it. What a person holds stays there, what is
    /// settled too: a late capture is looked into without moving the attempt.
    fn asked(&self) -> Result<AttemptState, Misfit> {
        match self.state {
            AttemptState::Unknown | AttemptState::Prepared => Ok(AttemptState::Resolving),
            AttemptState::Intent | AttemptState::Planned => {
                Err(format!("attempt {} has no outcome yet, so it can't be resolved", self.number))
            }
            settled => Ok(settled),
        }
    }

    fn ask(&mut self) -> Result<(), Misfit> {
        self.state = self.asked()?;
        Ok(())
    }

    fn begin_void(&mut self, reason: VoidReason) -> Result<(), Misfit> {
        let asked = self.asked()?;
        if matches!(asked, AttemptState::Succeeded | AttemptState::Declined) {
            return Err(format!("attempt {} is {}, so there is nothing to void", self.number, asked.as_str()));
        }
        self.state = asked;
        self.voiding = Some(reason);
        Ok(())
    }

    /// A released attempt stays as it is; of one that left something behind, that is gone now.
    fn resolve(&mut self, next: AttemptState, now: Timestamp) -> Result<(), Misfit> {
        let cleans_up = self.state.is_released() && self.state == next && self.voiding.is_some();
        if !cleans_up && !self.asked()?.may_become(next) {
            return Err(self.cannot_become(next));
        }
        self.state = next;
        self.voiding = None;
        self.ended = Some(now);
        Ok(())
    }

    fn settle(&mut self, operation: Operation, verdict: &Verdict, now: Timestamp) -> Result<(), Misfit> {
        if self.operation != operation {
            let (number, now_at, told) = (self.number, self.operation.as_str(), operation.as_str());
            return Err(format!("attempt {number} is at {now_at}, so it has no outcome of {told}"));
        }
        self.become_state(AttemptState::of(verdict))?;
        self.ended = Some(now);
        (self.decline_code, self.reason) = (None, None);
        match verdict {
            Verdict::Succeeded { provider_ref, .. } => self.provider_ref = Some(provider_ref.clone()),
            Verdict::Prepared { provider_ref, next_action } => {
                self.provider_ref = provider_ref.clone().or(self.provider_ref.take());
                self.next_action.clone_from(next_action);
            }
            Verdict::Declined { code, provider_ref, .. } => {
                self.provider_ref = provider_ref.clone().or(self.provider_ref.take());
                self.decline_code = Some(code.clone());
            }
            other => self.reason = other.reason().map(str::to_owned),
        }
        Ok(())
    }

    fn captured_late(&mut self, provider_ref: &str) -> Result<(), Misfit> {
        if !self.state.is_released() {
            return Err(format!("attempt {} is not released, so a capture of it is not late", self.number));
        }
        self.late_capture = Some(AttemptState::Resolving);
        self.voiding = Some(VoidReason::LateCapture);
        self.provider_ref = Some(provider_ref.to_owned());
        Ok(())
    }

    fn end_late_capture(&mut self, state: AttemptState) -> Result<(), Misfit> {
        let may = match self.late_capture {
            Some(AttemptState::Resolving) => matches!(state, AttemptState::Voided | AttemptState::Manual),
            Some(AttemptState::Manual) => state == AttemptState::Voided,
            _ => false,
        };
        if !may {
            let now_at = self.late_capture.map_or("none", AttemptState::as_str);
            return Err(format!(
                "the late capture of attempt {} is {now_at}, so it can't be {}",
                self.number,
                state.as_str()
            ));
        }
        self.late_capture = Some(state);
        self.voiding = None;
        Ok(())
    }
}

impl StoredRefund {
    fn become_state(&mut self, next: AttemptState) -> Result<(), Misfit> {
        let settled = matches!(next, AttemptState::Succeeded | AttemptState::Declined | AttemptState::NotProcessed);
        let may = match self.state {
            AttemptState::Intent => settled || next == AttemptState::Unknown,
            AttemptState::Unknown => settled || next == AttemptState::Manual,
            AttemptState::Manual => settled,
            _ => false,
        };
        if !may {
            let (number, from, to) = (self.number, self.state.as_str(), next.as_str());
            return Err(format!("refund {number} is {from} and can't become {to}"));
        }
        self.state = next;
        Ok(())
    }

    fn settle(&mut self, verdict: &Verdict, now: Timestamp) -> Result<(), Misfit> {
        let next = match verdict {
            Verdict::Succeeded { .. } => AttemptState::Succeeded,
            Verdict::Declined { .. } => AttemptState::Declined,
            Verdict::NotProcessed { .. } => AttemptState::NotProcessed,
            Verdict::Prepared { .. } | Verdict::Voided | Verdict::NotFound | Verdict::Unknown { .. } => {
                AttemptState::Unknown
            }
        };
        self.become_state(next)?;
        self.ended = Some(now);
        (self.provider_ref, self.reason) = match verdict {
            Verdict::Succeeded { provider_ref, .. } => (Some(provider_ref.clone()), None),
            Verdict::Declined { code, .. } => (None, Some(code.clone())),
            other => (None, other.reason().map(str::to_owned)),
        };
        Ok(())
    }
}

#[cfg(test)]
pub(in crate::payments::ledger) mod tests;
