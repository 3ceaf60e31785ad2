//! The ledger: the durable record of payments and attempts.
//!
//! Whatever an implementation stores it in, these hold: a write is durable when its future is ready
//! with `Ok`; records of one write are saved together or not at all; a key of a client names one
//! payment; a payment has at most one attempt that is not released. The last two are unique indexes,
//! so that two gateways on one ledger can't break them. Raw bodies, tokens and metadata are never in it.

mod embedded;
#[cfg(test)]
pub(super) mod in_memory;
mod schema;
mod statements;
mod stored;
mod writer;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use super::id::PaymentId;
use super::idempotency::Digest;
use super::money::Money;
use super::record::{Intent, PaymentState, Record};
use crate::clock::Timestamp;
use crate::types::ProviderName;

pub use embedded::{EmbeddedLedger, OpenError};
pub use stored::{StoredAttempt, StoredPayment};

/// What every method of a [`Ledger`] returns.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// The durable record of payments and attempts.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The secret that all keys are made with; created with the ledger.
    fn secret(&self) -> [u8; 32];

    /// Saves a new payment with its first records, unless its key is taken.
    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted>;

    /// Saves records of a payment that exists.
    fn save(&self, save: Save) -> LedgerFuture<'_, ()>;

    /// The payment that a key names.
    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<StoredPayment>>;

    /// The payment of this name.
    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>>;

    /// The journal of a payment, oldest entry first.
    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>>;

    /// Payments, newest first.
    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>>;

    /// How many payments are pending.
    fn count_pending(&self) -> LedgerFuture<'_, u64>;

    /// Marks attempts with an intent and no outcome as unknown where nobody can be at work on them
    /// any more: the lease is over. How many.
    fn recover(&self, now: Timestamp) -> LedgerFuture<'_, u64>;
}

/// Why the ledger did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The write breaks a rule of the ledger: somebody else was first, or a settled state would change.
    #[error("the ledger refused the write: {0}")]
    Conflict(String),
    /// It can't be written or read at the moment.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
}

/// A payment to accept.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// Its name.
    pub id: PaymentId,
    /// Whose it is.
    pub client: Digest,
    /// The client's key.
    pub key: Digest,
    /// What the client asked for.
    pub fingerprint: Digest,
    /// The client's own name for the order.
    pub order_id: String,
    /// How much.
    pub money: Money,
    /// Payment method.
    pub method: String,
    /// Its first attempt.
    pub intent: Intent,
    /// When.
    pub now: Timestamp,
    /// Until when the accepting gateway is at work on it.
    pub lease_until: Timestamp,
}

/// What became of [`Ledger::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    New,
    /// Its key names this payment already; nothing was saved.
    Existing(Box<StoredPayment>),
}

/// Records of a payment that exists.
#[derive(Debug, Clone)]
pub struct Save {
    /// Which payment.
    pub id: PaymentId,
    /// What happened, in order.
    pub records: Vec<Record>,
    /// When.
    pub now: Timestamp,
    /// Until when somebody is at work on it; `None` when the work is done.
    pub lease_until: Option<Timestamp>,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// When it was saved.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub record: Record,
}

/// Which payments to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<PaymentState>,
    /// Only with an attempt at this provider.
    pub provider: Option<ProviderName>,
    /// Only with this order id.
    pub order_id: Option<String>,
    /// Only older than this payment: where the page before ended.
    pub before: Option<PaymentId>,
    /// At most so many; 1 to 1,000, 100 unless set.
    pub limit: Option<u32>,
}
