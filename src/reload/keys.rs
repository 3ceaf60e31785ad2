//! Fetches signing keys that issuers publish by URL: before the gateway is ready, then again and again.
//!
//! One task for each URL in use. A failed fetch keeps the keys that are there and is tried again soon;
//! an unknown key id hurries the next fetch ([`KeyStore::wanted`] limits how often). Deliberately not
//! here: what keys are good for (`auth`), and keys from files (`config` reads them with the rest).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::auth::{JwksSource, KeyStore};
use crate::config::Kept;
use crate::telemetry::Metrics;
use crate::types::Revision;

/// For one fetch, all in all; `KeyStore::refetch` makes callers wait no longer than that.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait after the first failed fetch; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest wait between failed fetches, unless the refresh is shorter.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// A wait is up to this much longer or shorter, so that many gateways don't ask at the same moment.
const JITTER: f64 = 0.1;
/// Stores are looked through this often for those that no snapshot uses any more.
const SWEEP: Duration = Duration::from_secs(60);

/// What a fetch brings: the document, or why there is none.
pub type Fetched = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Gets a document from a URL; `client` in the gateway.
pub trait Fetch: Send + Sync + 'static {
    /// The body of a 200; bounded in size, and in time by the caller.
    fn get(&self, url: String) -> Fetched;
}

impl<F: Fn(String) -> Fetched + Send + Sync + 'static> Fetch for F {
    fn get(&self, url: String) -> Fetched {
        self(url)
    }
}

/// Keeps the keys of all URLs fresh.
pub struct KeyFetcher {
    kept: Arc<Kept>,
    fetch: Arc<dyn Fetch>,
    metrics: Arc<Metrics>,
}

impl KeyFetcher {
    /// Feeds the stores that snapshots share.
    #[must_use]
    pub fn new(kept: Arc<Kept>, fetch: Arc<dyn Fetch>, metrics: Arc<Metrics>) -> Self {
        Self { kept, fetch, metrics }
    }

    /// Fetches every URL once, all at the same time; returns when each has answered or failed (5 s at most). The
    /// gateway is not ready before, so that the first tokens find their keys.
    pub async fn prefetch(&self) {
        let mut fetches = JoinSet::new();
        for store in self.stores() {
            let job = self.job(store);
            fetches.spawn(async move { job.once(&mut None).await });
        }
        fetches.join_all().await;
    }

    /// Keeps keys fresh until `shutdown` is ready; each publication may bring new URLs and leave old ones unused.
    pub async fn run(self, mut published: watch::Receiver<Revision>, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut running = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            self.sweep(&mut running);
            while tasks.try_join_next().is_some() {}
            for store in self.stores() {
                let source = store.source().clone();
                running.entry(source).or_insert_with(|| tasks.spawn(self.job(store).forever()));
            }
            tokio::select! {
                () = &mut shutdown => return,
                Ok(()) = published.changed() => {}
                () = sleep(SWEEP) => {}
            }
        }
    }

    /// Stores that are fed by URL.
    fn stores(&self) -> Vec<Arc<KeyStore>> {
        let stores = self.kept.key_stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.values().filter(|store| matches!(store.source(), JwksSource::Url { .. })).cloned().collect()
    }

    /// Drops stores that only the table and their own task hold.
    fn sweep(&self, running: &mut HashMap<JwksSource, tokio::task::AbortHandle>) {
        // Snapshots are wired to stores under this lock, so a store that is unused here stays unused until it is dropped.
        let mut stores = self.kept.key_stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|source, store| {
            let tasks = usize::from(running.contains_key(source));
            Arc::strong_count(store) > 1 + tasks
        });
        running.retain(|source, task| {
            let keep = stores.contains_key(source) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
    }

    fn job(&self, store: Arc<KeyStore>) -> Job {
        let (url, refresh) = match store.source() {
            JwksSource::Url { url, refresh } => (url.clone(), *refresh),
            JwksSource::File(path) => (path.display().to_string(), LONGEST_RETRY),
        };
        Job { store, url, refresh, fetch: Arc::clone(&self.fetch), metrics: Arc::clone(&self.metrics) }
    }
}

/// The keys of one URL.
struct Job {
    store: Arc<KeyStore>,
    url: String,
    refresh: Duration,
    fetch: Arc<dyn Fetch>,
    metrics: Arc<Metrics>,
}

impl Job {
    async fn forever(self) {
        let mut told = None;
        let mut failures = 0_u32;
        // A fetch just before (a prefetch, or under other settings) needs no repetition; missing keys are fetched at once.
        let mut pause = self.store.status().age.map_or(Duration::ZERO, |age| self.refresh.saturating_sub(age));
        loop {
            tokio::select! {
                () = sleep(jittered(pause, fastrand::f64())) => {}
                () = self.store.wanted() => {}
            }
            failures = if self.once(&mut told).await { 0 } else { failures.saturating_add(1) };
            pause = after(failures, self.refresh);
        }
    }

    /// One fetch; `told` is the failure told last, which is not told again.
    async fn once(&self, told: &mut Option<String>) -> bool {
        let fetched = timeout(FETCH_TIMEOUT, self.fetch.get(self.url.clone())).await;
        let document = fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", FETCH_TIMEOUT.as_secs())));
        let installed = document.and_then(|body| {
            let text = std::str::from_utf8(&body).map_err(|_| "the answer is not UTF-8".to_owned())?;
            self.store.install(text)
        });
        let outcome = if installed.is_ok() { "ok" } else { "failed" };
        self.metrics.key_fetches.with_label_values(&[outcome]).inc();
        match &installed {
            Ok(keys) if told.take().is_some() => tracing::info!(url = self.url, keys, "keys can be fetched again"),
            Ok(keys) => tracing::debug!(url = self.url, keys, "keys fetched"),
            Err(error) if told.as_ref() == Some(error) => {}
            Err(error) => {
                let kept = self.store.is_ready();
                tracing::warn!(url = self.url, error, keeping_old_keys = kept, "keys can't be fetched; trying again");
                *told = Some(error.clone());
            }
        }
        let succeeded = installed.is_ok();
        self.store.fetch_ended(installed.err());
        succeeded
    }
}

/// The wait after so many failures in a row.
fn after(failures: u32, refresh: Duration) -> Duration {
    match failures {
        0 => refresh,
        failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(6)).min(LONGEST_RETRY).min(refresh),
    }
}

/// `chance` is from 0 to 1.
fn jittered(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(1.0 + JITTER * (2.0 * chance - 1.0))
}

#[cfg(test)]
mod tests;
