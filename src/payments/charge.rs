//! A charge from the client's side: its key first, then the work, and what the client is told.
//!
//! A key that names a payment already is answered from the ledger; only a payment on which provably
//! nothing happened is gone on with.

mod work;

use std::sync::Arc;
use std::time::Duration;

use super::choose;
use super::distributor::{Distributor, Running};
use super::id::PaymentId;
use super::idempotency::Digest;
use super::ledger::{LedgerError, StoredPayment};
use super::record::PaymentState;
use super::request::ChargeRequest;
use super::settings::Settings;
use crate::clock::Timestamp;
use work::{Ended, Origin, Work};

/// A charge that a client asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) client: Digest,
    pub(super) key: Digest,
    pub(super) request: ChargeRequest,
    /// For logs.
    pub(super) request_id: String,
}

/// What the client is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Settled or pending.
    Stands { payment: StoredPayment, replayed: bool },
    /// The key belongs to a charge of other content.
    OtherContent,
    /// The first request with this key is still at work.
    StillRunning,
    /// No provider takes this method in this currency.
    NobodyTakesIt,
    /// No provider is available, or those that were tried provably did nothing.
    NoProvider { retry_after: Duration, payment: Option<PaymentId> },
    /// The ledger failed; nothing was attempted.
    LedgerDown,
}

/// Charges once. Runs to its end even if nobody waits for the answer.
pub(super) async fn charge(distributor: &Arc<Distributor>, settings: Arc<Settings>, asked: Asked) -> Told {
    let running = distributor.running();
    let mut random = [0; 10];
    aws_lc_rs::rand::fill(&mut random).expect("the system's random source never fails once it is seeded");
    let now = Timestamp::now();
    let fresh = PaymentId::new(now, random);
    let money = asked.request.money;
    if choose::rank(&settings.providers, &fresh, money.currency, &asked.request.method).is_empty() {
        // A settings change takes no answer back that was given before.
        return match distributor.ledger.by_key(asked.key).await {
            Ok(Some(existing)) => repeat(distributor, settings, asked, existing, running).await,
            Ok(None) => Told::NobodyTakesIt,
            Err(error) => ledger_down(distributor, &error),
        };
    }
    let fingerprint = distributor.keyring.fingerprint(&asked.request);
    let payment = StoredPayment {
        id: fresh,
        client: asked.client,
        fingerprint,
        order_id: asked.request.order_id.clone(),
        money,
        method: asked.request.method.clone(),
        state: PaymentState::NotProcessed,
        lease_until: None,
        created: now,
        updated: now,
        attempts: Vec::new(),
    };
    let work = Work::new(distributor, settings, asked, payment, Origin::New, running);
    match work.run().await {
        Ended::Told(told) => told,
        Ended::Existing(existing, work) => {
            let Work { settings, asked, running, .. } = *work;
            repeat(distributor, settings, asked, *existing, running).await
        }
    }
}

/// Answers a key that names a payment already; goes on with one on which provably nothing happened.
async fn repeat(
    distributor: &Arc<Distributor>,
    settings: Arc<Settings>,
    asked: Asked,
    existing: StoredPayment,
    running: Running,
) -> Told {
    if existing.fingerprint != distributor.keyring.fingerprint(&asked.request) {
        return Told::OtherContent;
    }
    if existing.is_running(Timestamp::now()) {
        return Told::StillRunning;
    }
    if existing.state != PaymentState::NotProcessed {
        return Told::Stands { payment: existing, replayed: true };
    }
    match Work::new(distributor, settings, asked, existing, Origin::Stored, running).run().await {
        Ended::Told(told) => told,
        // Only a new payment can meet an existing one.
        Ended::Existing(..) => Told::StillRunning,
    }
}

fn ledger_down(distributor: &Distributor, error: &LedgerError) -> Told {
    distributor.observer.ledger_failed();
    tracing::error!(error = %error, "A payment was refused because the ledger failed");
    Told::LedgerDown
}

#[cfg(test)]
mod tests;
