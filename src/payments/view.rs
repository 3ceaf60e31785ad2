//! Payments as operators see them: the admin API and the command line print this.

use serde::Serialize;

use super::ledger::{JournalEntry, StoredAttempt, StoredPayment};
use super::record::PaymentState;
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
    /// Who settled it or holds it.
    pub provider: Option<String>,
    /// When it was accepted (RFC 3339).
    pub created_at: String,
    /// When anything about it last changed (RFC 3339).
    pub updated_at: String,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptView>,
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
            provider: payment.deciding_attempt().map(|attempt| attempt.provider.as_str().into()),
            created_at: payment.created.rfc3339(),
            updated_at: payment.updated.rfc3339(),
            attempts: payment.attempts.iter().map(AttemptView::new).collect(),
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
            status: attempt.state.as_str(),
            order_reference: attempt.order_reference.clone(),
            provider_ref: attempt.provider_ref.clone(),
            decline_code: attempt.decline_code.clone(),
            reason: attempt.reason.clone(),
            started_at: attempt.started.rfc3339(),
            ended_at: attempt.ended.map(Timestamp::rfc3339),
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
