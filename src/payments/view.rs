//! Payments as operators see them: the admin API and the command line print this.

use serde::Serialize;

use super::ledger::{JournalEntry, StoredAttempt, StoredPayment, StoredRefund};
use super::record::{AttemptState, PaymentState};
use crate::clock::Timestamp;

/// A payment, ready for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// Its name.
    pub id: String,
    /// The client's own name for the order.
    pub order_id: String,
    /// Where it stands.
    pub status: PaymentState,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// For people, e.g. `12.34 EUR`.
    pub money: String,
    /// Payment method.
    pub method: String,
    /// Whether it is captured at once, or confirmed by the client.
    pub capture: bool,
    /// What was certainly given back, in minor units.
    pub refunded: u64,
    /// Whether a person has to settle something about it.
    pub manual: bool,
    /// Who settled it or holds it.
    pub provider: Option<String>,
    /// When it was accepted (RFC 3339).
    pub created_at: String,
    /// When anything about it last changed (RFC 3339).
    pub updated_at: String,
    /// When the worker sees to it next (RFC 3339).
    pub due_at: Option<String>,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptView>,
    /// Its refunds, in order.
    pub refunds: Vec<RefundView>,
    /// Every durable step, oldest first; only where one payment is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Vec<serde_json::Value>>,
}

/// An attempt, ready for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Number, from 1.
    pub number: u32,
    /// Who was asked.
    pub provider: String,
    /// The latest thing that the provider was asked to do: charge, prepare or confirm.
    pub operation: &'static str,
    /// Where it stands.
    pub status: &'static str,
    /// Our name for it towards the provider.
    pub order_reference: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why it was declined.
    pub decline_code: Option<String>,
    /// Why it was not processed, or is not known.
    pub reason: Option<String>,
    /// When its intent was saved (RFC 3339).
    pub started_at: String,
    /// When its latest outcome was saved (RFC 3339).
    pub ended_at: Option<String>,
    /// Why it is being taken back, if it is.
    pub voiding: Option<&'static str>,
    /// `resolving`, `voided` or `manual`, if it was captured after its release.
    pub late_capture: Option<&'static str>,
}

/// A refund, ready for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundView {
    /// Number, from 1.
    pub number: u32,
    /// Where it stands.
    pub status: &'static str,
    /// In minor units.
    pub amount: u64,
    /// Our name for it towards the provider.
    pub reference: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why it was refused, or is not known.
    pub reason: Option<String>,
    /// When its intent was saved (RFC 3339).
    pub started_at: String,
    /// When its latest outcome was saved (RFC 3339).
    pub ended_at: Option<String>,
}

impl PaymentView {
    /// A payment without its journal.
    #[must_use]
    pub fn new(payment: &StoredPayment) -> Self {
        Self {
            id: payment.id.as_str().into(),
            order_id: payment.order_id.clone(),
            status: payment.state,
            amount: payment.money.amount,
            currency: payment.money.currency.code().into(),
            money: payment.money.to_string(),
            method: payment.method.clone(),
            capture: payment.capture,
            refunded: payment.refunded(),
            manual: payment.needs_a_person(),
            provider: payment.deciding_attempt().map(|attempt| attempt.provider.as_str().into()),
            created_at: payment.created.rfc3339(),
            updated_at: payment.updated.rfc3339(),
            due_at: payment.due.map(Timestamp::rfc3339),
            attempts: payment.attempts.iter().map(AttemptView::new).collect(),
            refunds: payment.refunds.iter().map(RefundView::new).collect(),
            journal: None,
        }
    }

    /// The same with its journal.
    #[must_use]
    pub fn with_journal(mut self, journal: &[JournalEntry]) -> Self {
        self.journal = Some(journal.iter().map(journal_line).collect());
        self
    }
}

impl AttemptView {
    fn new(attempt: &StoredAttempt) -> Self {
        Self {
            number: attempt.number,
            provider: attempt.provider.as_str().into(),
            operation: attempt.operation.as_str(),
            status: attempt.state.as_str(),
            order_reference: attempt.order_reference.clone(),
            provider_ref: attempt.provider_ref.clone(),
            decline_code: attempt.decline_code.clone(),
            reason: attempt.reason.clone(),
            started_at: attempt.started.rfc3339(),
            ended_at: attempt.ended.map(Timestamp::rfc3339),
            voiding: attempt.voiding.map(|reason| reason.as_str()),
            late_capture: attempt.late_capture.map(AttemptState::as_str),
        }
    }
}

impl RefundView {
    fn new(refund: &StoredRefund) -> Self {
        Self {
            number: refund.number,
            status: refund.state.as_str(),
            amount: refund.amount,
            reference: refund.reference.clone(),
            provider_ref: refund.provider_ref.clone(),
            reason: refund.reason.clone(),
            started_at: refund.started.rfc3339(),
            ended_at: refund.ended.map(Timestamp::rfc3339),
        }
    }
}

fn journal_line(entry: &JournalEntry) -> serde_json::Value {
    let mut line = serde_json::Map::new();
    line.insert("at".into(), entry.at.rfc3339().into());
    if let Ok(serde_json::Value::Object(record)) = serde_json::to_value(&entry.record) {
        line.extend(record);
    }
    line.into()
}
