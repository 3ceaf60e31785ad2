//! Payments, attempts and refunds as the ledger has them, and what follows from how they stand.
//!
//! Records change them in [`super::apply`] alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::money::Money;
use crate::payments::record::{AttemptState, Operation, PaymentState, VoidReason};
use crate::types::ProviderName;

/// Who is at work on a payment: drawn at random for each piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub i64);

/// Somebody is at work on a payment; writes of anybody else are refused until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub holder: Holder,
    /// Until when. Whoever comes later finds the work left undone.
    pub until: Timestamp,
}

/// A payment as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// Its name.
    pub id: PaymentId,
    /// Whose it is.
    pub client: Digest,
    /// The client's own name for the order.
    pub order_id: String,
    /// How much.
    pub money: Money,
    /// Payment method.
    pub method: String,
    /// Whether it is to be charged at once, or confirmed later by the client.
    pub capture: bool,
    /// Given up by its client, or never confirmed in time: no further attempt begins.
    pub given_up: bool,
    /// Where it stands.
    pub state: PaymentState,
    /// Who is at work on it, if anybody is.
    pub lease: Option<Lease>,
    /// When the worker is to look at it next; `None` if nothing about it is open.
    pub due: Option<Timestamp>,
    /// Looks since something became open: the back-off's memory.
    pub looks: u32,
    /// When it was accepted.
    pub created: Timestamp,
    /// When anything about it last changed.
    pub updated: Timestamp,
    /// Its attempts, in order.
    pub attempts: Vec<StoredAttempt>,
    /// Its refunds, in order.
    pub refunds: Vec<StoredRefund>,
}

/// A payment as it was loaded to be changed.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) payment: StoredPayment,
    /// The last entry of its journal; the next one's number is higher.
    pub(super) last_entry: i64,
}

/// An attempt as the ledger has it. The names of its fields are columns in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAttempt {
    /// Number, from 1.
    pub number: u32,
    /// Who was asked.
    pub provider: ProviderName,
    /// The latest operation that it was asked for: charge, prepare or confirm.
    pub operation: Operation,
    /// Where it stands.
    pub state: AttemptState,
    /// Our name for it towards the provider.
    pub order_reference: String,
    /// What to ask the provider for; see [`Intent::lookup`](crate::payments::record::Intent::lookup).
    pub lookup: String,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why it was declined.
    pub decline_code: Option<String>,
    /// Why it was not processed, or is not known.
    pub reason: Option<String>,
    /// What the customer's device needs, of a prepared one.
    pub next_action: BTreeMap<String, String>,
    /// When its first intent was saved.
    pub started: Timestamp,
    /// When its latest outcome was saved: the provider may be at work on it for its `quiesce` time more.
    pub ended: Option<Timestamp>,
    /// A void of it was begun and is not known to have worked.
    pub voiding: Option<VoidReason>,
    /// It was captured after it had been released: `resolving` until that is `voided` or `manual`.
    pub late_capture: Option<AttemptState>,
}

/// A refund as the ledger has it. The names of its fields are columns in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefund {
    /// Number, from 1.
    pub number: u32,
    /// In minor units.
    pub amount: u64,
    /// `intent`, `succeeded`, `declined`, `not_processed`, `unknown` or `manual`.
    pub state: AttemptState,
    /// Our name for it towards the provider.
    pub reference: String,
    /// What was given back before it, in minor units.
    pub refunded_before: u64,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
    /// Why it was refused, or is not known.
    pub reason: Option<String>,
    /// When its intent was saved.
    pub started: Timestamp,
    /// When its latest outcome was saved.
    pub ended: Option<Timestamp>,
}

/// What a client's key was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The key.
    pub key: Digest,
    /// What was asked for with it.
    pub fingerprint: Digest,
    /// `charge` for a new payment, else `confirm`, `cancel` or `refund`.
    pub operation: Operation,
    /// Which refund it began, if it was one.
    pub refund: Option<u32>,
}

impl StoredPayment {
    /// Whether somebody is at work on it now.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.until > now)
    }

    /// Whether somebody else is at work on it now.
    #[must_use]
    pub fn is_held_from(&self, holder: Holder, now: Timestamp) -> bool {
        self.is_held(now) && self.lease.is_some_and(|lease| lease.holder != holder)
    }

    /// The attempt that is not released, if there is one; it blocks every further one.
    #[must_use]
    pub fn live_attempt(&self) -> Option<&StoredAttempt> {
        self.attempts.iter().find(|attempt| !attempt.state.is_released())
    }

    /// The refund whose outcome is open, if there is one; it blocks every further one.
    #[must_use]
    pub fn open_refund(&self) -> Option<&StoredRefund> {
        self.refunds.iter().find(|refund| refund.state.is_open() || refund.state == AttemptState::Manual)
    }

    /// What was given back, in minor units; open refunds included, since they may have happened.
    #[must_use]
    pub fn refunded_at_most(&self) -> u64 {
        let counts =
            |refund: &&StoredRefund| !matches!(refund.state, AttemptState::Declined | AttemptState::NotProcessed);
        self.refunds.iter().filter(counts).map(|refund| refund.amount).sum()
    }

    /// Whether a person has to settle something about it.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        let manual = AttemptState::Manual;
        self.attempts.iter().any(|attempt| attempt.state == manual || attempt.late_capture == Some(manual))
            || self.refunds.iter().any(|refund| refund.state == manual)
    }

    /// Whether nothing about it is open, so that it may be forgotten once it is old.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let open = matches!(self.state, PaymentState::Pending | PaymentState::RequiresAction);
        let late = |attempt: &StoredAttempt| attempt.late_capture == Some(AttemptState::Resolving);
        !open && !self.needs_a_person() && self.open_refund().is_none() && !self.attempts.iter().any(late)
    }

    /// What was certainly given back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> u64 {
        let done = self.refunds.iter().filter(|refund| refund.state == AttemptState::Succeeded);
        done.map(|refund| refund.amount).sum()
    }

    /// The attempt that settled the payment or holds it, if there is one.
    #[must_use]
    pub fn deciding_attempt(&self) -> Option<&StoredAttempt> {
        match self.state {
            PaymentState::NotProcessed => None,
            PaymentState::Cancelled => self.attempts.last(),
            PaymentState::Succeeded => self.attempts.iter().find(|attempt| attempt.state == AttemptState::Succeeded),
            PaymentState::Pending | PaymentState::RequiresAction => self.live_attempt().or(self.attempts.last()),
            PaymentState::Declined => {
                let declined = |attempt: &&StoredAttempt| attempt.decline_code.is_some();
                self.attempts.iter().rev().find(declined)
            }
        }
    }
}
