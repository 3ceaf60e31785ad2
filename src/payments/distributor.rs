//! The distributor: owns ledger, transport and health, and keeps them going.
//!
//! It outlives reloads and is shared by all cores. A payment that has begun runs in a task of its
//! own, so that a client who hangs up stops nothing ([`super::charge`]). A housekeeper marks
//! attempts whose gateway is gone and tells the observer how things stand.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::health::Health;
use super::id::PaymentId;
use super::idempotency::Keyring;
use super::ledger::{EmbeddedLedger, Filter, Ledger, LedgerError, OpenError, Save};
use super::observer::Observer;
use super::transport::{HttpTransport, Transport};
use super::view::PaymentView;
use crate::clock::Timestamp;
use crate::resilience::BreakerState;
use crate::types::ProviderName;

/// How often the housekeeper looks.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Waits between tries to save what a failing ledger did not take; the last one repeats.
const SAVE_AGAIN: [u64; 6] = [100, 200, 500, 1_000, 2_000, 5_000];

/// The distributor; outlives reloads and is shared by all cores.
#[derive(Debug)]
pub struct Distributor {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) keyring: Keyring,
    pub(super) health: Arc<Health>,
    pub(super) observer: Arc<dyn Observer>,
    /// Tasks that may not be cut short.
    running: watch::Sender<usize>,
}

impl Distributor {
    /// Opens the embedded ledger in this file, made if it is missing, and marks what an earlier
    /// process left unfinished. Call it on the runtime that is to carry the payments.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the ledger and how to mend it.
    pub async fn open(ledger: &Path, observer: Arc<dyn Observer>) -> Result<Arc<Self>, OpenError> {
        let path = ledger.to_path_buf();
        let opened = tokio::task::spawn_blocking(move || EmbeddedLedger::open(&path, Timestamp::now())).await;
        let ledger = opened.map_err(|error| OpenError::Database(error.to_string()))??;
        Ok(Self::start(Arc::new(ledger), Arc::new(HttpTransport::default()), observer))
    }

    /// Starts with a ledger and a transport of the caller's.
    pub fn start(ledger: Arc<dyn Ledger>, transport: Arc<dyn Transport>, observer: Arc<dyn Observer>) -> Arc<Self> {
        let keyring = Keyring::new(&ledger.secret());
        let (running, _) = watch::channel(0);
        let health = Arc::new(Health::default());
        let distributor = Arc::new(Self { ledger, transport, keyring, health, observer, running });
        tokio::spawn(keep_house(Arc::downgrade(&distributor)));
        distributor
    }

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

    /// The breaker of every provider that was ever asked, by name.
    #[must_use]
    pub fn breakers(&self) -> Vec<(ProviderName, BreakerState)> {
        self.health.states()
    }

    /// Ready when no payment is under way any more; call it before the process ends.
    pub async fn drained(&self) {
        // The sender lives as long as `self`, so waiting can't fail.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Counts a task that may not be cut short, until the guard is dropped.
    pub(super) fn running(self: &Arc<Self>) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(Arc::clone(self))
    }

    /// Saves in the background what a failing ledger did not take, until it does.
    pub(super) fn save_later(self: &Arc<Self>, save: Save) {
        let running = self.running();
        tokio::spawn(async move {
            for wait in SAVE_AGAIN.into_iter().chain(std::iter::repeat(SAVE_AGAIN[SAVE_AGAIN.len() - 1])) {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                match running.0.ledger.save(save.clone()).await {
                    Ok(()) => return,
                    Err(LedgerError::Conflict(detail)) => {
                        tracing::error!(payment = %save.id, detail, "An outcome can't be saved: the ledger knows better");
                        return;
                    }
                    Err(LedgerError::Unavailable(_)) => {}
                }
            }
        });
    }

    async fn housekeeping(&self) {
        match self.ledger.recover(Timestamp::now()).await {
            Ok(0) | Err(_) => {}
            Ok(payments) => {
                tracing::warn!(payments, "Payments were interrupted; their outcome is unknown until resolved");
            }
        }
        if let Ok(pending) = self.ledger.count_pending().await {
            self.observer.pending(pending);
        }
        for (provider, state) in self.health.changes() {
            tracing::warn!(provider = %provider, state = state.as_str(), "A payment provider's breaker changed");
            self.observer.breaker_changed(&provider, state);
        }
    }
}

/// Counts as one running task as long as it lives.
#[derive(Debug)]
pub(super) struct Running(Arc<Distributor>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}

async fn keep_house(distributor: Weak<Distributor>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(distributor) = distributor.upgrade() else { return };
        distributor.housekeeping().await;
    }
}
