//! What a client asks for, from its side: its key first, then the work, and what it is told.
//!
//! A key that was used is answered from the ledger. Whatever begins holds the payment's lease, runs
//! in a task of its own and to its end, even if nobody waits for the answer. What may happen when is
//! said by [`super::machine`]; [`work`] only does it.

mod calling;
mod choosing;
mod follow_up;
mod saving;
pub(super) mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::distributor::Distributor;
use super::id::PaymentId;
use super::idempotency::Digest;
use super::leases::is_at_a_call;
use super::ledger::{Claimed, KeyUse, LedgerError, StoredPayment};
use super::machine::Goal;
use super::money::Money;
use super::record::{Operation, PaymentState};
use super::request::ChargeRequest;
use super::settings::Settings;
use work::{Customer, Ended, Work};

pub(super) use follow_up::{FollowUp, follow_up};

/// Who asks, with which key.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) client: Digest,
    pub(super) key: Digest,
    /// When: its deadline counts from here.
    pub(super) begun: Instant,
    /// For logs.
    pub(super) request_id: String,
}

/// What the client is told.
#[derive(Debug)]
pub(super) enum Told {
    /// How the payment stands; and the refund of this number, if it was about one.
    Stands { payment: Box<StoredPayment>, refund: Option<u32>, replayed: bool },
    /// The key belongs to a request of other content.
    OtherContent,
    /// The first request with this key, or another one about this payment, is still at work.
    StillRunning,
    /// There is no such payment of this client.
    Missing,
    /// The payment is in a state in which this makes no sense.
    Unfit { payment: Box<StoredPayment>, why: &'static str },
    /// More than is left to give back.
    TooMuch { left: Money },
    /// No provider takes this method in this currency, in these steps.
    NobodyTakesIt,
    /// No provider is available, or those that were tried provably did nothing.
    NoProvider { retry_after: Duration, payment: Option<PaymentId>, why: Option<String> },
    /// The provider gave nothing back.
    NotRefunded,
    /// The payment's provider is not in the settings.
    OwnerGone,
    /// The ledger failed; nothing was attempted.
    LedgerDown,
}

/// Has a payment charged or prepared.
pub(super) async fn charge(
    distributor: &Arc<Distributor>,
    settings: Arc<Settings>,
    asked: Asked,
    request: ChargeRequest,
) -> Told {
    let fingerprint = distributor.keyring.fingerprint(&request);
    let key = KeyUse { key: asked.key, fingerprint, operation: Operation::Charge, refund: None };
    let payment = new_payment(distributor, &asked, &request);
    let customer = Customer { token: Some(request.token), metadata: request.metadata };
    if choosing::nobody_takes(&settings, &payment) {
        // A settings change takes no answer back that was given before.
        return match distributor.ledger.by_key(asked.key).await {
            Ok(Some((existing, used))) => repeat(distributor, settings, asked, customer, key, existing, used).await,
            Ok(None) => Told::NobodyTakesIt,
            Err(error) => ledger_down(distributor, &error),
        };
    }
    let lease = distributor.client_lease(&settings);
    let work = Work::new(distributor, &settings, payment, Goal::Pay, lease).asked_by(&asked, key, customer);
    let mut work = work.new_payment();
    match work.drive().await {
        Ended::Existing(existing, used) => {
            let customer = work.into_customer();
            repeat(distributor, settings, asked, customer, key, *existing, used).await
        }
        // A key that was used before keeps its answer even when nobody takes the payment now.
        Ended::Stands if work.is_unknown_to_ledger() => match distributor.ledger.by_key(asked.key).await {
            Ok(Some((existing, used))) if used.fingerprint != key.fingerprint || is_decided(&existing) => {
                let customer = work.into_customer();
                repeat(distributor, settings, asked, customer, key, existing, used).await
            }
            Ok(existing) => work.no_provider(existing.map(|(existing, _)| existing.id)),
            Err(error) => ledger_down(distributor, &error),
        },
        ended => work.told(ended),
    }
}

/// Whether somebody is calling a provider for a client right now. Looks are no reason to wait: what
/// they find is not more than what the ledger says meanwhile.
fn is_under_way(distributor: &Distributor, payment: &StoredPayment) -> bool {
    is_at_a_call(payment) && payment.is_held(distributor.clock.now())
}

fn is_decided(payment: &StoredPayment) -> bool {
    payment.state != PaymentState::NotProcessed
}

/// Answers a key that names a payment already; goes on with one on which provably nothing happened.
async fn repeat(
    distributor: &Arc<Distributor>,
    settings: Arc<Settings>,
    asked: Asked,
    customer: Customer,
    key: KeyUse,
    existing: StoredPayment,
    used: KeyUse,
) -> Told {
    if used.operation != Operation::Charge || used.fingerprint != key.fingerprint {
        return Told::OtherContent;
    }
    if is_under_way(distributor, &existing) {
        return Told::StillRunning;
    }
    if is_decided(&existing) {
        return Told::Stands { payment: Box::new(existing), refund: None, replayed: true };
    }
    let lease = distributor.client_lease(&settings);
    match distributor.claim_for_client(&settings, existing.id, lease, asked.begun).await {
        Ok(Claimed::Yes(payment)) if is_decided(&payment) => {
            distributor.release(&payment, lease.holder).await;
            Told::Stands { payment, refund: None, replayed: true }
        }
        Ok(Claimed::Yes(payment)) => {
            let work = Work::new(distributor, &settings, *payment, Goal::Pay, lease);
            let mut work = work.asked_by(&asked, key, customer).known_key();
            let ended = work.drive().await;
            work.told(ended)
        }
        Ok(Claimed::Held(_)) => Told::StillRunning,
        Ok(Claimed::Missing) => Told::Missing,
        Err(error) => ledger_down(distributor, &error),
    }
}

fn new_payment(distributor: &Distributor, asked: &Asked, request: &ChargeRequest) -> StoredPayment {
    let mut random = [0; 10];
    super::randomness::fill(&mut random);
    let now = distributor.clock.now();
    StoredPayment {
        id: PaymentId::new(now, random),
        client: asked.client,
        order_id: request.order_id.clone(),
        money: request.money,
        method: request.method.clone(),
        capture: request.capture,
        given_up: false,
        state: PaymentState::NotProcessed,
        lease: None,
        due: None,
        looks: 0,
        created: now,
        updated: now,
        attempts: Vec::new(),
        refunds: Vec::new(),
    }
}

fn ledger_down(distributor: &Distributor, error: &LedgerError) -> Told {
    distributor.observer.ledger_failed();
    tracing::error!(error = %error, "A payment was refused because the ledger failed");
    Told::LedgerDown
}

#[cfg(test)]
mod tests;
