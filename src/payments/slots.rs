//! How many looks and voids a provider gets at once: few, and one at a time while it gives no answer,
//! so that a thousand open payments neither storm it when it heals nor keep it down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::types::ProviderName;

/// At one provider.
const PLACES: usize = 8;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<ProviderName, Arc<Desk>>>);

#[derive(Debug)]
struct Desk {
    places: Arc<Semaphore>,
    is_silent: AtomicBool,
}

/// Leave to ask a provider.
#[derive(Debug)]
pub(super) struct Place {
    desk: Arc<Desk>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// Waits for a place until then; `None` if there is none, or the provider is silent and being
    /// asked by somebody else.
    pub(super) async fn enter(&self, provider: &ProviderName, until: Instant) -> Option<Place> {
        let desk = self.desk(provider);
        let permit = timeout_at(until, Arc::clone(&desk.places).acquire_owned()).await.ok()?.ok()?;
        let is_alone = desk.places.available_permits() + 1 == PLACES;
        let is_silent = desk.is_silent.load(Ordering::Relaxed);
        (is_alone || !is_silent).then(|| Place { desk, _permit: permit })
    }

    fn desk(&self, provider: &ProviderName) -> Arc<Desk> {
        let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Desk { places: Arc::new(Semaphore::new(PLACES)), is_silent: AtomicBool::new(false) };
        Arc::clone(desks.entry(provider.clone()).or_insert_with(|| Arc::new(new())))
    }
}

impl Place {
    /// Gives the place back; whether the provider gave an answer that says anything.
    pub(super) fn leave(self, has_answered: bool) {
        self.desk.is_silent.store(!has_answered, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_provider_is_asked_by_one_at_a_time() {
        let (slots, alpha) = (Slots::default(), ProviderName::from("alpha"));
        let until = Instant::now() + Duration::from_secs(1);
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(slots.enter(&alpha, until).await.expect("a place"));
        }
        assert!(slots.enter(&alpha, until).await.is_none(), "no more than so many");
        places.pop().expect("one").leave(false);
        assert!(slots.enter(&alpha, until).await.is_none(), "silent, and others are asking");
        assert!(slots.enter(&"beta".into(), until).await.is_some(), "another provider is another matter");
        places.clear();
        let probe = slots.enter(&alpha, until).await.expect("the only one");
        assert!(slots.enter(&alpha, until).await.is_none());
        probe.leave(true);
        let again = (slots.enter(&alpha, until).await, slots.enter(&alpha, until).await);
        assert!(again.0.is_some() && again.1.is_some());
    }
}
