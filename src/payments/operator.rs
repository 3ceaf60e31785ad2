//! What people may ask of the payments and decide about them. A decision is a record like any other,
//! under the name of whoever made it.

use std::time::Duration;

use tokio::time::Instant;

use super::distributor::Distributor;
use super::id::PaymentId;
use super::ledger::{Claimed, Filter, Lease, LedgerError, Save, StoredAttempt, StoredPayment, StoredRefund};
use super::record::{AttemptState, Record};
use super::view::PaymentView;

/// How long a decision may take to be saved.
const LEASE: Duration = Duration::from_secs(30);
/// How long a person waits for whoever is at work on the payment; a look mostly takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a person found out about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it is about; the only thing that is open, unless named.
    pub target: Option<Target>,
    /// `succeeded`, `declined`, `not_processed` or `voided`.
    pub state: AttemptState,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why, for whoever reads the journal.
    pub reason: String,
    /// Who decided.
    pub by: String,
}

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The attempt of this number.
    Attempt(u32),
    /// The refund of this number.
    Refund(u32),
}

/// Why a decision was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// There is no such payment.
    #[error("there is no payment {0:?}")]
    Missing(String),
    /// Somebody is at work on it.
    #[error("the payment is being worked on at the moment; try again in a few seconds")]
    Busy,
    /// It does not fit the payment as it stands.
    #[error("{0}")]
    Unfit(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Distributor {
    /// Payments for operators, newest first.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub async fn list(&self, filter: Filter) -> Result<Vec<PaymentView>, LedgerError> {
        Ok(self.ledger.list(filter).await?.iter().map(PaymentView::new).collect())
    }

    /// One payment with its journal, for operators; `None` if there is none of this name.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub async fn get(&self, id: &str) -> Result<Option<PaymentView>, LedgerError> {
        let Some(id) = PaymentId::parse(id) else { return Ok(None) };
        match self.ledger.payment(id.clone()).await? {
            Some(payment) => Ok(Some(PaymentView::new(&payment).with_journal(&self.ledger.journal(id).await?))),
            None => Ok(None),
        }
    }

    /// Settles what the distributor can't, as a person decided.
    ///
    /// # Errors
    /// [`DecisionError`] says why it was not taken; nothing has changed then.
    pub async fn resolve(&self, id: &str, decision: &Decision) -> Result<PaymentView, DecisionError> {
        let missing = || DecisionError::Missing(id.into());
        let id = PaymentId::parse(id).ok_or_else(missing)?;
        let lease = Lease { holder: Self::holder(), until: self.clock.now().plus(PATIENCE + LEASE) };
        let mut payment = match self.claim_until(id.clone(), lease, Instant::now() + PATIENCE).await? {
            Claimed::Yes(payment) => payment,
            Claimed::Held(_) => return Err(DecisionError::Busy),
            Claimed::Missing => return Err(missing()),
        };
        let now = self.clock.now();
        let fits = record(&payment, decision)
            .and_then(|record| payment.apply(&record, now).map(|()| record).map_err(DecisionError::Unfit));
        let record = match fits {
            Ok(record) => record,
            Err(error) => {
                self.release(&payment, lease.holder).await;
                return Err(error);
            }
        };
        let (provider_ref, by, reason) = (&decision.provider_ref, &decision.by, &decision.reason);
        tracing::warn!(payment = %id, state = decision.state.as_str(), provider_ref, by, reason,
            "A person decided about a payment");
        // Due at once: the worker sees what is left to do.
        let (holder, records, due) = (lease.holder, vec![record], Some(now));
        let (id, due_before) = (id.clone(), payment.due);
        let save =
            Save { id: id.clone(), holder, records, key: None, now, lease_until: None, due, due_before, looks: 0 };
        self.ledger.save(save).await?;
        self.wake.notify_one();
        Ok(PaymentView::new(&payment).with_journal(&self.ledger.journal(id).await?))
    }
}

fn record(payment: &StoredPayment, decision: &Decision) -> Result<Record, DecisionError> {
    let unfit = |why: String| Err(DecisionError::Unfit(why));
    let (by, reason) = (decision.by.clone(), decision.reason.clone());
    let target = match decision.target {
        Some(target) => target,
        None => only_open(payment)?,
    };
    match target {
        Target::Refund(number) => {
            let Some(refund) = payment.refunds.iter().find(|refund| refund.number == number) else {
                return unfit(format!("{} has no refund {number}", payment.id));
            };
            if decision.state == AttemptState::Voided || !is_open_refund(refund) {
                let (is, wanted) = (refund.state.as_str(), decision.state.as_str());
                return unfit(format!("refund {number} is {is}, so it can't be resolved as {wanted}"));
            }
            Ok(Record::RefundResolved { refund: number, state: decision.state, by, reason })
        }
        Target::Attempt(number) => {
            let Some(attempt) = payment.attempts.iter().find(|attempt| attempt.number == number) else {
                return unfit(format!("{} has no attempt {number}", payment.id));
            };
            if has_late_capture(attempt) && attempt.state.is_released() {
                if decision.state != AttemptState::Voided {
                    return unfit(format!("attempt {number} was captured late; it can only be resolved as voided"));
                }
                return Ok(Record::LateCaptureEnded { attempt: number, state: AttemptState::Voided, by, reason });
            }
            if !is_open_attempt(attempt) {
                return unfit(format!("attempt {number} is {}, so nothing about it is open", attempt.state.as_str()));
            }
            let provider_ref = decision.provider_ref.clone();
            if decision.state == AttemptState::Succeeded && provider_ref.is_none() && attempt.provider_ref.is_none() {
                return unfit("name the charge at the provider (provider_ref): refunds need it".into());
            }
            let code = (decision.state == AttemptState::Declined).then(|| "declined".to_owned());
            Ok(Record::Resolved { attempt: number, state: decision.state, provider_ref, code, by, reason })
        }
    }
}

/// What must be meant where nothing is named.
fn only_open(payment: &StoredPayment) -> Result<Target, DecisionError> {
    let attempts = payment.attempts.iter().filter(|attempt| is_open_attempt(attempt) || has_late_capture(attempt));
    let refunds = payment.refunds.iter().filter(|refund| is_open_refund(refund));
    let attempts = attempts.map(|attempt| Target::Attempt(attempt.number));
    let open: Vec<_> = attempts.chain(refunds.map(|refund| Target::Refund(refund.number))).collect();
    match open[..] {
        [target] => Ok(target),
        [] => {
            Err(DecisionError::Unfit(format!("nothing about {} is open; it is {}", payment.id, payment.state.as_str())))
        }
        _ => Err(DecisionError::Unfit(format!(
            "more than one thing about {} is open; name the attempt or refund",
            payment.id
        ))),
    }
}

fn is_open_attempt(attempt: &StoredAttempt) -> bool {
    matches!(attempt.state, AttemptState::Unknown | AttemptState::Resolving | AttemptState::Manual)
}

fn has_late_capture(attempt: &StoredAttempt) -> bool {
    matches!(attempt.late_capture, Some(AttemptState::Resolving | AttemptState::Manual))
}

fn is_open_refund(refund: &StoredRefund) -> bool {
    matches!(refund.state, AttemptState::Unknown | AttemptState::Manual)
}

#[cfg(test)]
mod tests;
