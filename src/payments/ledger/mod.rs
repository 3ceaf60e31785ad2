//! The ledger: the durable record of payments and attempts.
//!
//! Whatever an implementation stores it in, these hold: a write is durable when its future is ready
//! with `Ok`; records of one write are saved together or not at all; a key of a client names one
//! payment; a payment has at most one attempt that is not released. The last two are unique indexes,
//! so that two gateways on one ledger can't break them. Whoever works on a payment holds its lease;
//! a write of anybody else is refused. Raw bodies, tokens and metadata are never in it.

mod apply;
#[cfg(test)]
mod conformance;
mod embedded;
#[cfg(test)]
pub(super) mod in_memory;
mod known;
mod place;
mod postgres;
mod stored;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use super::id::PaymentId;
use super::idempotency::Digest;
use super::money::Money;
use super::record::{Intent, PaymentState, Record};
use crate::clock::Timestamp;
use crate::types::ProviderName;

pub use embedded::EmbeddedLedger;
pub use place::{LedgerPlace, OpenError};
pub use postgres::{PostgresAddress, PostgresLedger};
pub use stored::{Holder, KeyUse, Lease, StoredAttempt, StoredPayment, StoredRefund};

fn random_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).expect("the system's random source never fails once it is seeded");
    secret
}

/// What every method of a [`Ledger`] returns.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// The durable record of payments and attempts.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The secret that all keys are made with; created with the ledger.
    fn secret(&self) -> [u8; 32];

    /// The ledger's clock when it was opened: never before anything in it, and the same for all
    /// gateways that share it. Times count from here, so a clock that jumps moves no time limit.
    fn opened_at(&self) -> Timestamp;

    /// Saves a new payment with its first records, unless its key is taken.
    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted>;

    /// Saves records of a payment whose lease the caller holds.
    fn save(&self, save: Save) -> LedgerFuture<'_, ()>;

    /// Takes the lease of a payment, unless somebody else has it.
    fn claim(&self, id: PaymentId, lease: Lease, now: Timestamp) -> LedgerFuture<'_, Claimed>;

    /// Takes the leases of payments that the worker is to look at: those that are due and held by
    /// nobody, and those whose holder is gone. The longest overdue first.
    fn claim_due(&self, lease: Lease, now: Timestamp, limit: u32) -> LedgerFuture<'_, Vec<StoredPayment>>;

    /// The payment that a key names, and what for.
    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<(StoredPayment, KeyUse)>>;

    /// The payment of this name.
    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>>;

    /// The payment with an attempt of this provider's name for it.
    fn by_provider_ref(&self, provider: ProviderName, reference: String) -> LedgerFuture<'_, Option<StoredPayment>>;

    /// The journal of a payment, oldest entry first.
    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>>;

    /// Payments, newest first.
    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>>;

    /// How many payments are open, and how.
    fn tally(&self) -> LedgerFuture<'_, Tally>;

    /// Notes an event of a provider; `false` if it was noted before, and nothing has happened then.
    /// In the same write the payment that it is about is due now, if anything about it is open or being
    /// watched; one that somebody holds, as soon as that work is over, unless nothing is open by then.
    fn note_event(
        &self,
        provider: ProviderName,
        event: Digest,
        about: Option<PaymentId>,
        now: Timestamp,
    ) -> LedgerFuture<'_, bool>;

    /// Forgets at most `limit` payments and events, payments first: those that are settled, with nothing due, and
    /// were last changed before this moment, and events noted before it. How many of both.
    fn prune(&self, before: Timestamp, limit: u32) -> LedgerFuture<'_, u64>;
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
    pub key: KeyUse,
    /// The client's own name for the order.
    pub order_id: String,
    /// How much.
    pub money: Money,
    /// Payment method.
    pub method: String,
    /// Whether it is to be charged at once, or confirmed later by the client.
    pub capture: bool,
    /// Its first attempt.
    pub intent: Intent,
    /// When.
    pub now: Timestamp,
    /// Of the accepting gateway.
    pub lease: Lease,
}

impl NewPayment {
    /// The payment as it stands once this is saved, and the records that say so.
    pub(in crate::payments) fn open(&self) -> (StoredPayment, [Record; 2]) {
        let mut payment = StoredPayment {
            id: self.id.clone(),
            client: self.client,
            order_id: self.order_id.clone(),
            money: self.money,
            method: self.method.clone(),
            capture: self.capture,
            given_up: false,
            state: PaymentState::NotProcessed,
            lease: Some(self.lease),
            due: None,
            looks: 0,
            created: self.now,
            updated: self.now,
            attempts: Vec::new(),
            refunds: Vec::new(),
        };
        let accepted = Record::Accepted {
            order_id: self.order_id.clone(),
            amount: self.money.amount,
            currency: self.money.currency.code().into(),
            method: self.method.clone(),
            capture: self.capture,
        };
        let intent = Record::Intent(self.intent.clone());
        payment.apply(&intent, self.now).expect("a payment without attempts takes its first");
        (payment, [accepted, intent])
    }
}

/// What became of [`Ledger::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    New,
    /// Its key names this payment already, for this use; nothing was saved.
    Existing(Box<StoredPayment>, KeyUse),
}

/// What became of [`Ledger::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The lease is the caller's; the payment as it stands. Its work may have been left undone by
    /// an earlier holder: an attempt or refund at `intent` was interrupted.
    Yes(Box<StoredPayment>),
    /// Somebody else is at work on it.
    Held(Box<StoredPayment>),
    /// There is no such payment.
    Missing,
}

/// Records of a payment that exists. The lease ends with the save unless it is prolonged.
#[derive(Debug, Clone)]
pub struct Save {
    /// Which payment.
    pub id: PaymentId,
    /// Who saves: the holder of the lease.
    pub holder: Holder,
    /// What happened, in order; may be empty.
    pub records: Vec<Record>,
    /// A client's key that these records answer.
    pub key: Option<KeyUse>,
    /// When.
    pub now: Timestamp,
    /// Until when the work goes on; `None` when it is done.
    pub lease_until: Option<Timestamp>,
    /// When the worker is to look at it next; `None` if nothing is open.
    pub due: Option<Timestamp>,
    /// What `due` was when the holder read or wrote it last: anything else there is a hint that came since.
    pub due_before: Option<Timestamp>,
    /// Looks since something became open.
    pub looks: u32,
}

impl Save {
    /// The payment as it stands once this is saved.
    ///
    /// # Errors
    /// Somebody else holds the payment, or a record does not fit.
    pub(in crate::payments) fn applied_to(&self, payment: &StoredPayment) -> Result<StoredPayment, LedgerError> {
        // A lease that ran out is still the caller's as long as nobody else took the payment.
        if payment.lease.is_none_or(|lease| lease.holder != self.holder) {
            return Err(LedgerError::Conflict(format!("{} is not held by who saves", self.id)));
        }
        let mut payment = payment.clone();
        for record in &self.records {
            payment.apply(record, self.now).map_err(LedgerError::Conflict)?;
        }
        payment.lease = self.lease_until.map(|until| Lease { holder: self.holder, until });
        let hint = payment.due.filter(|due| Some(*due) != self.due_before);
        payment.due = self.due.map(|due| hint.map_or(due, |hint| hint.min(due)));
        payment.looks = self.looks;
        Ok(payment)
    }
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

/// How many payments are open, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pending ones, those that a person has to settle included.
    pub pending: u64,
    /// Those with an attempt, refund or late capture that a person has to settle.
    pub manual: u64,
    /// Those that wait for the customer or for the client's confirmation.
    pub requires_action: u64,
}

/// Which payments to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<PaymentState>,
    /// Only those that a person has to settle.
    pub manual: bool,
    /// Only with an attempt at this provider.
    pub provider: Option<ProviderName>,
    /// Only with this order id.
    pub order_id: Option<String>,
    /// Only accepted at this moment or later.
    pub from: Option<Timestamp>,
    /// Only accepted before this moment.
    pub to: Option<Timestamp>,
    /// Only older than this payment: where the page before ended.
    pub before: Option<PaymentId>,
    /// At most so many; 1 to 1,000, 100 unless set.
    pub limit: Option<u32>,
}

/// Longest time between a payment's name, which holds the moment of its making, and its acceptance.
const ACCEPTANCE: Duration = Duration::from_secs(3600);

impl Filter {
    /// Which names may pass: from the first text, below the second. Names sort by time, so whoever
    /// asks for a day of a large ledger reads that day alone.
    fn ids(&self) -> (String, String) {
        let earliest = |from: Timestamp| Timestamp(from.0.saturating_sub(ACCEPTANCE.as_millis() as i64));
        let name = |moment| PaymentId::new(moment, [0; 10]).as_str().to_owned();
        let from = self.from.map(|from| name(earliest(from))).unwrap_or_default();
        let ends = [self.to.map(name), self.before.as_ref().map(|before| before.as_str().to_owned())];
        // Later than every name.
        let end = || String::from("~");
        (from, ends.into_iter().flatten().min().unwrap_or_else(end))
    }

    fn at_most(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, 1_000)
    }
}
