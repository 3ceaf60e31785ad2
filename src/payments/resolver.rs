//! The worker: takes payments that are due and settles what is open about them, for as long as the
//! process lives. What it does to one stands in [`super::machine`] and [`super::resolution`].

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::distributor::Distributor;
use super::ledger::{Lease, LedgerError, StoredPayment};
use super::machine::Goal;
use super::run::work::{Ended, Work};
use super::settings::Settings;

/// How often it looks for payments that are due, unless it is woken. Tests let days pass in seconds.
const EVERY: Duration = Duration::from_millis(if cfg!(test) { 1_000 } else { 200 });
/// How long it lets a failing ledger alone.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Payments that it works on at once.
const AT_ONCE: usize = 64;

pub(super) async fn run(distributor: Weak<Distributor>, wake: Arc<Notify>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut pause = EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
        let Some(distributor) = distributor.upgrade() else { return };
        if distributor.is_ending() {
            return;
        }
        let Some(settings) = distributor.settings() else { continue };
        pause = match round(&distributor, &settings, &places).await {
            Ok(()) => EVERY,
            Err(error) => {
                distributor.observer.ledger_failed();
                tracing::error!(%error, "Payments that are due can't be read");
                AFTER_FAILURE
            }
        };
    }
}

/// Begins work on as many payments as there are due and places free.
async fn round(
    distributor: &Arc<Distributor>,
    settings: &Arc<Settings>,
    places: &Arc<Semaphore>,
) -> Result<(), LedgerError> {
    let free = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    if free == 0 {
        return Ok(());
    }
    let lease = distributor.worker_lease(settings);
    let due = distributor.ledger.claim_due(lease, distributor.clock.now(), free).await?;
    for payment in due {
        // Only this loop takes places, so there is one for each.
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
        let (distributor, settings) = (Arc::clone(distributor), Arc::clone(settings));
        tokio::spawn(async move {
            settle(&distributor, &settings, payment, lease).await;
            drop(place);
        });
    }
    Ok(())
}

async fn settle(distributor: &Arc<Distributor>, settings: &Arc<Settings>, payment: StoredPayment, lease: Lease) {
    let (id, before) = (payment.id.clone(), payment.state);
    let mut work = Work::new(distributor, settings, payment, Goal::Resolve, lease);
    match work.drive().await {
        Ended::Stands => {
            let after = work.state();
            if after != before {
                tracing::info!(payment = %id, before = before.as_str(), outcome = after.as_str(), "A payment was resolved");
            }
        }
        // What was heard can be heard again once the ledger works, or is somebody else's business.
        Ended::NothingAttempted | Ended::Unsaved(_) | Ended::Lost { .. } | Ended::Existing(..) => {}
    }
}
