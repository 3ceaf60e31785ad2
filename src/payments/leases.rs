//! Who works on a payment, for how long, and what becomes of it when they stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::distributor::Distributor;
use super::id::PaymentId;
use super::ledger::{Claimed, Holder, Lease, LedgerError, Save, StoredPayment};
use super::machine;
use super::record::{AttemptState, Record};
use super::settings::Settings;
use crate::clock::Timestamp;

/// How long after its deadline a gateway may still be at work on a payment.
const MARGIN: Duration = Duration::from_secs(30);
/// What the worker waits for a place at a provider at most.
pub(super) const WAIT_FOR_PLACE: Duration = Duration::from_secs(5);
/// For the worker's saves themselves.
const WORKER_MARGIN: Duration = Duration::from_secs(10);
/// The part of its deadline that a client's request waits for a payment at which a provider is being asked.
const PATIENCE: u32 = 3;
/// How often whoever waits for a payment asks for it.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Waits between tries to save what a failing ledger did not take; the last one repeats.
const SAVE_AGAIN: [u64; 6] = [100, 200, 500, 1_000, 2_000, 5_000];

impl Distributor {
    /// For a client's request that begins now.
    pub(super) fn client_lease(&self, settings: &Settings) -> Lease {
        Lease { holder: Self::holder(), until: self.clock.now().plus(settings.deadline).plus(MARGIN) }
    }

    /// Takes a payment for a request that began then, and waits a while for whoever has it: mostly that is
    /// the worker at a look, of which a client need not know.
    pub(super) async fn claim_for_client(
        &self,
        settings: &Settings,
        id: PaymentId,
        lease: Lease,
        begun: Instant,
    ) -> Result<Claimed, LedgerError> {
        self.claim_until(id, lease, begun + settings.deadline / PATIENCE).await
    }

    /// Takes a payment as soon as nobody has it, until then. A call for money takes as long as it takes:
    /// that is not waited for.
    pub(super) async fn claim_until(
        &self,
        id: PaymentId,
        lease: Lease,
        until: Instant,
    ) -> Result<Claimed, LedgerError> {
        loop {
            match self.ledger.claim(id.clone(), lease, self.clock.now()).await? {
                Claimed::Held(payment) if !is_at_a_call(&payment) && Instant::now() < until => {
                    tokio::time::sleep(ASK_EVERY).await;
                }
                claimed => return Ok(claimed),
            }
        }
    }

    /// For the worker's next calls.
    pub(super) fn worker_lease(&self, settings: &Settings) -> Lease {
        Lease { holder: Self::holder(), until: self.lease_end(settings, None, self.clock.now()) }
    }

    /// Until when work needs the payment if it goes on now: for its calls until the next save, each with its
    /// wait for a place. A client's never needs more than it has.
    pub(super) fn lease_end(&self, settings: &Settings, until: Option<Instant>, now: Timestamp) -> Timestamp {
        if until.is_some() {
            return now;
        }
        let timeouts = settings.providers.iter().map(|provider| provider.timeouts.connect + provider.timeouts.response);
        let call = timeouts.max().unwrap_or_default() + WAIT_FOR_PLACE;
        now.plus(call * machine::CALLS_BETWEEN_SAVES).plus(WORKER_MARGIN)
    }

    /// Gives a payment back on which nothing was done.
    pub(super) async fn release(&self, payment: &StoredPayment, holder: Holder) {
        let now = self.clock.now();
        let due = if is_at_a_call(payment) { Some(now) } else { payment.due };
        let (id, due_before, looks) = (payment.id.clone(), payment.due, payment.looks);
        let save = Save { id, holder, records: Vec::new(), key: None, now, lease_until: None, due, due_before, looks };
        // If it can't be given back, its lease runs out by itself.
        if let Err(error) = self.ledger.save(save).await {
            tracing::warn!(payment = %payment.id, %error, "A payment's lease can't be given back");
        }
    }

    /// Saves in the background what a failing ledger did not take, until it does.
    pub(super) fn save_later(self: &Arc<Self>, id: PaymentId, holder: Holder, records: Vec<Record>) {
        let running = self.running();
        tokio::spawn(async move {
            let distributor = &running.0;
            let waits = SAVE_AGAIN.into_iter().chain(std::iter::repeat(SAVE_AGAIN[SAVE_AGAIN.len() - 1]));
            for wait in waits {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                match distributor.save_facts(&id, holder, &records).await {
                    Err(LedgerError::Conflict(detail)) => {
                        tracing::error!(payment = %id, detail, "An outcome can't be saved: the ledger knows better");
                        return;
                    }
                    Ok(true) => return,
                    Ok(false) | Err(LedgerError::Unavailable(_)) => {}
                }
            }
        });
    }

    /// `false`: somebody else has the payment at the moment.
    async fn save_facts(&self, id: &PaymentId, holder: Holder, records: &[Record]) -> Result<bool, LedgerError> {
        let now = self.clock.now();
        // Due at once: the worker finds out what is left to do.
        let save = |holder, records| {
            let (id, due) = (id.clone(), Some(now));
            Save { id, holder, records, key: None, now, lease_until: None, due, due_before: None, looks: 0 }
        };
        match self.ledger.save(save(holder, records.to_vec())).await {
            Err(LedgerError::Conflict(_)) => {}
            saved => return saved.map(|()| true),
        }
        // The lease ran out meanwhile. What is known here may still be more than what is known there.
        let lease = Lease { holder: Self::holder(), until: now.plus(MARGIN) };
        match self.ledger.claim(id.clone(), lease, now).await? {
            Claimed::Yes(mut payment) => {
                let fits = records.iter().all(|record| payment.apply(record, now).is_ok());
                let records = if fits { records.to_vec() } else { Vec::new() };
                self.ledger.save(save(lease.holder, records)).await?;
                if !fits {
                    return Err(LedgerError::Conflict("it was settled otherwise".into()));
                }
                Ok(true)
            }
            Claimed::Held(_) => Ok(false),
            Claimed::Missing => Err(LedgerError::Conflict("there is no such payment".into())),
        }
    }
}

/// Whether somebody calls a provider for a client, or was interrupted at that.
pub(super) fn is_at_a_call(payment: &StoredPayment) -> bool {
    let attempts = payment.attempts.iter().map(|attempt| attempt.state);
    let mut states = attempts.chain(payment.refunds.iter().map(|refund| refund.state));
    states.any(|state| state == AttemptState::Intent)
}
