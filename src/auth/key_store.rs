//! The keys of one source: replaced as a whole, shared by snapshots, asked for again when a token names an unknown one.
//!
//! The store fetches nothing itself. `config` installs what a file says, `reload` fetches URLs: at start, every
//! [`JwksSource::Url::refresh`], and whenever [`KeyStore::wanted`] returns. Old keys serve until new ones are installed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::jwks::{Jwks, VerifyingKey};
use super::refetch::{Decision, Refetch};

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwksSource {
    /// A file, read with the configuration.
    File(std::path::PathBuf),
    /// A URL, fetched in the background.
    Url {
        /// `http` or `https`.
        url: String,
        /// How often it is fetched again (5 min).
        refresh: Duration,
    },
}

impl JwksSource {
    /// Whether both name one document, however often it is looked at.
    #[must_use]
    pub fn is_same_document(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Url { url: one, .. }, Self::Url { url: other, .. }) => one == other,
            _ => false,
        }
    }
}

/// The keys at one generation; never changed once published.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// 0 before the first keys; grows with each change.
    pub(super) generation: u64,
    jwks: Jwks,
}

impl KeySet {
    /// All keys, in the order of the document.
    pub(super) fn keys(&self) -> &[VerifyingKey] {
        &self.jwks.keys
    }

    fn contains(&self, kid: &str) -> bool {
        self.keys().iter().any(|key| key.kid() == Some(kid))
    }
}

/// How a store stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Usable keys.
    pub keys: usize,
    /// Keys of the current document that can't be used, and why.
    pub skipped: Vec<String>,
    /// How often the keys changed; 0 if there never were any.
    pub generation: u64,
    /// Time since the keys were last installed, changed or not.
    pub age: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<String>,
}

/// The keys of one source; replaced as a whole, shared by snapshots, fed by `config` (file) or `reload` (URL).
#[derive(Debug)]
pub struct KeyStore {
    source: JwksSource,
    current: ArcSwap<KeySet>,
    /// Copy of the current set's generation, for readers that need no keys.
    generation: AtomicU64,
    progress: Mutex<Progress>,
    wanted: Notify,
    ended: watch::Sender<()>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Progress {
    refetch: Refetch,
    last_installed: Option<Instant>,
    last_error: Option<String>,
}

impl KeyStore {
    /// An empty store for a source.
    #[must_use]
    pub fn new(source: JwksSource) -> Self {
        Self {
            source,
            current: ArcSwap::default(),
            generation: AtomicU64::new(0),
            progress: Mutex::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(()),
            hasher: RandomState::new(),
        }
    }

    /// A store that begins with the keys of another one for the same document, so that tokens go on verifying when
    /// only the way to it is configured anew.
    #[must_use]
    pub fn continuing(source: JwksSource, other: &Self) -> Self {
        let current = other.current.load_full();
        let (last_installed, last_error) = {
            let progress = other.progress();
            (progress.last_installed, progress.last_error.clone())
        };
        Self {
            generation: AtomicU64::new(current.generation),
            current: ArcSwap::new(current),
            progress: Mutex::new(Progress { last_installed, last_error, ..Progress::default() }),
            ..Self::new(source)
        }
    }

    /// Where the keys come from.
    #[must_use]
    pub fn source(&self) -> &JwksSource {
        &self.source
    }

    /// Replaces all keys by those of a JWKS document; the old ones stay on an error. Returns how many are usable.
    ///
    /// Equal keys change nothing, so that a refresh does not empty the cache of verified tokens.
    ///
    /// # Errors
    /// Not a JWKS, or no usable key in it.
    pub fn install(&self, document: &str) -> Result<usize, String> {
        let jwks = Jwks::parse(document).map_err(|error| error.to_string())?;
        let count = jwks.keys.len();
        let mut progress = self.progress();
        let current = self.current.load();
        let changes = u64::from(current.jwks.keys != jwks.keys);
        let generation = current.generation + changes;
        self.current.store(Arc::new(KeySet { generation, jwks }));
        self.generation.store(generation, Ordering::Release);
        progress.last_installed = Some(Instant::now());
        Ok(count)
    }

    /// Keys were installed at least once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.generation() > 0
    }

    /// There were never any keys, and the first fetch has not ended: it is worth waiting for ([`KeyStore::refetch`]).
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.is_ready() && matches!(self.source, JwksSource::Url { .. }) && self.progress().last_error.is_none()
    }

    /// The last fetch failed, or does not end: what these keys can't verify may be sound all the same.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        let progress = self.progress();
        progress.last_error.is_some() || progress.refetch.is_overdue(Instant::now())
    }

    /// Asks the fetcher for fresh keys because `kid` is unknown, and waits until a fetch ended (bounded by 5 s).
    /// Single flight; at most one in 10 s; a `kid` that a fetch did not bring is remembered and not asked for again within that time. `true` if it is worth verifying again.
    ///
    /// Keys from a file come with the configuration; for them this says `false` at once.
    pub async fn refetch(&self, kid: Option<&str>) -> bool {
        let before = self.generation();
        let is_worth_it = || match kid {
            Some(kid) => self.current.load().contains(kid),
            None => self.generation() != before,
        };
        if is_worth_it() {
            return true;
        }
        if matches!(self.source, JwksSource::File(_)) {
            return false;
        }
        let fingerprint = self.hasher.hash_one(kid);
        // Subscribed before asking: a fetch that ends in between is not missed.
        let mut ended = self.ended.subscribe();
        let decision = self.progress().refetch.ask(fingerprint, Instant::now());
        let until = match decision {
            Decision::Refuse => return false,
            Decision::Join(until) => until,
            Decision::Ask(until) => {
                self.wanted.notify_one();
                until
            }
        };
        let has_ended = matches!(timeout_at(until, ended.changed()).await, Ok(Ok(())));
        let worth_it = is_worth_it();
        let mut progress = self.progress();
        // A fetch that failed says nothing about the key.
        if has_ended && !worth_it && progress.last_error.is_none() {
            progress.refetch.remember_missing(fingerprint, Instant::now());
        }
        worth_it
    }

    /// The fetcher waits here for [`KeyStore::refetch`] to ask.
    pub async fn wanted(&self) {
        loop {
            self.wanted.notified().await;
            // A regular fetch may have answered in the meantime.
            if self.progress().refetch.is_pending() {
                return;
            }
        }
    }

    /// The fetcher reports that a fetch ended, well or not.
    pub fn fetch_ended(&self, error: Option<String>) {
        let mut progress = self.progress();
        progress.last_error = error;
        progress.refetch.ended();
        drop(progress);
        self.ended.send_replace(());
    }

    /// How the store stands.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        let set = self.current.load();
        let progress = self.progress();
        KeyStatus {
            keys: set.keys().len(),
            skipped: set.jwks.skipped.clone(),
            generation: set.generation,
            age: progress.last_installed.map(|moment| moment.elapsed()),
            last_error: progress.last_error.clone(),
        }
    }

    /// Grows whenever the keys change; 0 before the first ones.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The keys as they are now.
    pub(super) fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.current.load()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing under the lock can be left half done.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a JWKS document without installing it. Returns how many of its keys are usable.
///
/// # Errors
/// Not a JWKS, or no usable key in it.
pub fn check_jwks(document: &str) -> Result<usize, String> {
    Jwks::parse(document).map(|jwks| jwks.keys.len()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
