//! The distributor: owns ledger, transport, clock and health, and keeps them going.
//!
//! It outlives reloads and is shared by all cores. A payment that has begun runs in a task of its
//! own, so that a client who hangs up stops nothing ([`super::run`]). The worker settles what is open
//! ([`super::resolver`]), and a housekeeper tells the observer how things stand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::clock::PaymentClock;
use super::health::Health;
use super::idempotency::Keyring;
use super::ledger::{Holder, Ledger};
use super::observer::Observer;
use super::randomness;
use super::resolver;
use super::retention;
use super::settings::Settings;
use super::slots::Slots;
use super::transport::Transport;

/// How often the housekeeper looks.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The distributor; outlives reloads and is shared by all cores.
#[derive(Debug)]
pub struct Distributor {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) keyring: Keyring,
    pub(super) clock: PaymentClock,
    pub(super) health: Arc<Health>,
    pub(super) slots: Slots,
    pub(super) observer: Arc<dyn Observer>,
    /// What the worker goes by; requests bring their own.
    settings: Mutex<Option<Arc<Settings>>>,
    /// Wakes the worker before its time.
    pub(super) wake: Arc<Notify>,
    is_ending: AtomicBool,
    /// Tasks that may not be cut short.
    running: watch::Sender<usize>,
    #[cfg(test)]
    fails_over_on_unknown: AtomicBool,
}

impl Distributor {
    /// Starts with this ledger and transport, on the runtime that is to carry the payments;
    /// [`Self::configure`] comes after it.
    pub fn start(ledger: Arc<dyn Ledger>, transport: Arc<dyn Transport>, observer: Arc<dyn Observer>) -> Arc<Self> {
        let distributor = Arc::new(Self {
            keyring: Keyring::new(&ledger.secret()),
            clock: PaymentClock::starting_at(ledger.opened_at()),
            ledger,
            transport,
            health: Arc::default(),
            slots: Slots::default(),
            observer,
            settings: Mutex::default(),
            wake: Arc::default(),
            is_ending: AtomicBool::new(false),
            running: watch::channel(0).0,
            #[cfg(test)]
            fails_over_on_unknown: AtomicBool::new(false),
        });
        tokio::spawn(keep_house(Arc::downgrade(&distributor)));
        tokio::spawn(retention::run(Arc::downgrade(&distributor)));
        tokio::spawn(resolver::run(Arc::downgrade(&distributor), Arc::clone(&distributor.wake)));
        distributor
    }

    /// Gives the worker the settings that hold from now on; until the first, it settles nothing.
    pub fn configure(&self, settings: Arc<Settings>) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
        self.wake.notify_one();
    }

    pub(super) fn settings(&self) -> Option<Arc<Settings>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the worker and waits until no payment is under way any more; for the end of the process.
    pub async fn drain(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.drained().await;
    }

    /// Ready when no payment is under way.
    pub async fn drained(&self) {
        // The sender lives as long as `self`, so waiting can't fail.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Counts a task that may not be cut short, until the guard is dropped.
    pub(super) fn running(self: &Arc<Self>) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(Arc::clone(self))
    }

    /// A name for one piece of work, that nobody else draws.
    pub(super) fn holder() -> Holder {
        let mut random = [0; 8];
        randomness::fill(&mut random);
        Holder(i64::from_be_bytes(random))
    }

    /// Breaks the release rule from now on, so that a test can show that it would notice.
    #[cfg(test)]
    pub(crate) fn fail_over_on_unknown(&self) {
        self.fails_over_on_unknown.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn fails_over_on_unknown(&self) -> bool {
        self.fails_over_on_unknown.load(Ordering::Relaxed)
    }

    async fn housekeeping(&self) {
        if let Ok(tally) = self.ledger.tally().await {
            self.observer.tally(&tally);
        }
        for (provider, state) in self.health.changes() {
            tracing::warn!(provider = %provider, state = state.as_str(), "A payment provider's breaker changed");
            self.observer.breaker_changed(&provider, state);
        }
        for (provider, factor) in self.health.demotions() {
            tracing::warn!(provider = %provider, factor, "A payment provider's weight is multiplied by this from now on");
            self.observer.weight_factor_changed(&provider, factor);
        }
    }
}

/// Counts as one running task as long as it lives.
#[derive(Debug)]
pub(super) struct Running(pub(super) Arc<Distributor>);

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
