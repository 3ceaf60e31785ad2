//! Payments and attempts as the ledger has them, and how records change them.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::money::Money;
use crate::payments::record::{AttemptState, Intent, PaymentState};
use crate::payments::verdict::Verdict;
use crate::types::ProviderName;

/// A payment as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// Its name.
    pub id: PaymentId,
    /// Whose it is.
    pub client: Digest,
    /// What the client asked for.
    pub fingerprint: Digest,
    /// The client's own name for the order.
    pub order_id: String,
    /// How much.
    pub money: Money,
    /// Payment method.
    pub method: String,
    /// Where it stands.
    pub state: PaymentState,
    /// Until when somebody is at work on it, if anybody is.
    pub lease_until: Option<Timestamp>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When anything about it last changed.
    pub updated: Timestamp,
    /// Its attempts, in order.
    pub attempts: Vec<StoredAttempt>,
}

/// An attempt as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredAttempt {
    /// Number, from 1.
    pub number: u32,
    /// Who was asked.
    pub provider: ProviderName,
    /// Where it stands.
    pub state: AttemptState,
    /// Our name for it towards the provider.
    pub order_reference: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why it was declined.
    pub decline_code: Option<String>,
    /// Why it was not processed, or is not known.
    pub reason: Option<String>,
    /// When its intent was saved.
    pub started: Timestamp,
    /// When its latest outcome was saved.
    pub ended: Option<Timestamp>,
}

impl StoredPayment {
    /// Whether a gateway is at work on it now.
    #[must_use]
    pub fn is_running(&self, now: Timestamp) -> bool {
        let under_way = self.attempts.iter().any(|attempt| attempt.state == AttemptState::Intent);
        under_way && self.lease_until.is_some_and(|until| until > now)
    }

    /// The attempt that settled the payment or holds it, if there is one.
    #[must_use]
    pub fn deciding_attempt(&self) -> Option<&StoredAttempt> {
        match self.state {
            PaymentState::NotProcessed => None,
            PaymentState::Succeeded => self.attempts.iter().find(|attempt| attempt.state == AttemptState::Succeeded),
            PaymentState::Pending => {
                self.attempts.iter().rev().find(|attempt| !attempt.state.is_released()).or(self.attempts.last())
            }
            PaymentState::Declined => {
                let declined = |attempt: &&StoredAttempt| attempt.decline_code.is_some();
                self.attempts.iter().rev().find(declined)
            }
        }
    }

    /// Repeats in memory what was just saved: the payment's state, and the attempt that begins.
    pub(in crate::payments) fn note_saved(
        &mut self,
        intent: Option<Intent>,
        state: PaymentState,
        lease_until: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.state = state;
        self.lease_until = lease_until;
        self.updated = now;
        if let Some(intent) = intent {
            self.attempts.push(StoredAttempt::begin(&intent, now));
        }
    }

    /// The outcome of the last attempt could not be saved: to the client it is as open as to the ledger.
    pub(in crate::payments) fn note_unsaved(&mut self) {
        self.state = PaymentState::Pending;
        if let Some(last) = self.attempts.last_mut() {
            *last = StoredAttempt {
                state: AttemptState::Intent,
                provider_ref: None,
                decline_code: None,
                reason: None,
                ended: None,
                ..last.clone()
            };
        }
    }
}

impl StoredAttempt {
    /// The attempt that an intent begins.
    pub(super) fn begin(intent: &Intent, now: Timestamp) -> Self {
        Self {
            number: intent.attempt,
            provider: intent.provider.clone(),
            state: AttemptState::Intent,
            order_reference: intent.order_reference.clone(),
            provider_ref: None,
            decline_code: None,
            reason: None,
            started: now,
            ended: None,
        }
    }

    /// Takes over what a verdict says.
    pub(in crate::payments) fn settle(&mut self, verdict: &Verdict, now: Timestamp) {
        self.state = AttemptState::of(verdict);
        self.ended = Some(now);
        (self.provider_ref, self.decline_code, self.reason) = match verdict {
            Verdict::Succeeded { provider_ref } => (Some(provider_ref.clone()), None, None),
            Verdict::Declined { code, provider_ref, .. } => (provider_ref.clone(), Some(code.clone()), None),
            Verdict::NotProcessed { proof } => (None, None, Some(proof.as_str().into())),
            Verdict::Unknown { doubt } => (None, None, Some(doubt.as_str().into())),
        };
    }
}
