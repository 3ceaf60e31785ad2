//! The loop: a hint, the rescan or a call → wait for the dust to settle → one look at the files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::loader::Loader;
use super::publisher::{Look, Publisher};
use super::start::{self, StartError};
use super::writer::FlagWriter;
use crate::clock::Timestamp;
use crate::snapshot::{ReloadStatus, SnapshotHandle};
use crate::telemetry::Metrics;
use crate::types::Revision;

/// Without an event for this long, whoever writes has finished.
const QUIET: Duration = Duration::from_millis(100);
/// Whoever writes without a pause is not waited for any longer.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// Together with the longest wait, a change takes effect within 2 s where no event comes (network file systems, some
/// mounts).
const RESCAN: Duration = Duration::from_millis(1_750);

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hints {
    /// File-system events, and the rescan for where none come.
    #[default]
    Events,
    /// The rescan alone.
    RescanOnly,
}

/// What a reloader is made of.
pub struct Options {
    /// The config file, as the user named it.
    pub config: PathBuf,
    /// Reads and compiles the files.
    pub loader: Box<dyn Loader>,
    /// Where reloads are counted.
    pub metrics: Arc<Metrics>,
    /// How changes are noticed.
    pub hints: Hints,
    /// How often all files are compared with what was loaded (1.75 s).
    pub rescan: Duration,
    /// The wall clock, for the history.
    pub clock: fn() -> Timestamp,
}

impl Options {
    /// Events, a rescan every 1.75 s, the machine's clock.
    #[must_use]
    pub fn new(config: PathBuf, loader: impl Loader, metrics: Arc<Metrics>) -> Self {
        let loader = Box::new(loader);
        Self { config, loader, metrics, hints: Hints::default(), rescan: RESCAN, clock: Timestamp::now }
    }
}

/// Keeps what is served equal to what the files say.
pub struct Reloader {
    desk: Desk,
    hints: Arc<Notify>,
    rescan: Duration,
}

impl Reloader {
    /// Loads for the first time (or takes the last good copy) and publishes the result; blocks while it reads.
    ///
    /// # Errors
    /// [`StartError`]: there is nothing to serve, or no place for what must survive.
    pub fn start(options: Options) -> Result<(Self, Arc<SnapshotHandle>), StartError> {
        let (hints, rescan) = (Arc::new(Notify::new()), options.rescan);
        let publisher = start::start(options, Arc::clone(&hints))?;
        let handle = Arc::clone(&publisher.handle);
        Ok((Self { desk: Desk::new(publisher), hints, rescan }, handle))
    }

    /// Asks for reloads, from SIGHUP for example.
    #[must_use]
    pub fn trigger(&self) -> ReloadTrigger {
        ReloadTrigger(self.desk.clone())
    }

    /// Changes flags in their files.
    #[must_use]
    pub fn writer(&self) -> Arc<FlagWriter> {
        Arc::new(FlagWriter::new(self.desk.clone()))
    }

    /// The revision now serving, for whoever must follow publications.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Revision> {
        self.desk.published.clone()
    }

    /// Follows the files until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut rescan = interval(self.rescan);
        rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = self.hints.notified() => self.settled().await,
                _ = rescan.tick() => self.still().await,
            }
            // A look that panicked is told by the panic itself; the next one begins afresh.
            let _ = self.desk.work(|publisher| publisher.refresh(Look::IfChanged)).await;
        }
    }

    /// Where no events come: waits until two looks see the same, lest a file be loaded that is half written.
    async fn still(&self) {
        let latest = Instant::now() + LONGEST_WAIT;
        let mut before = None;
        while let Ok(Some(now)) = self.desk.work(Publisher::difference).await {
            if before.as_ref() == Some(&now) || Instant::now() + QUIET > latest {
                return;
            }
            before = Some(now);
            sleep(QUIET).await;
        }
    }

    /// Waits until no more events come, or long enough.
    async fn settled(&self) {
        let latest = Instant::now() + LONGEST_WAIT;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            tokio::select! {
                () = sleep_until(quiet) => return,
                () = self.hints.notified() => {}
            }
        }
    }
}

/// Asks for reloads; cloning it is cheap.
#[derive(Clone)]
pub struct ReloadTrigger(Desk);

impl ReloadTrigger {
    /// Loads the files now, whether they changed or not, and says how it went.
    pub async fn reload_now(&self) -> Arc<ReloadStatus> {
        let Desk { handle, .. } = &self.0;
        self.0.work(|publisher| publisher.refresh(Look::Always)).await.unwrap_or_else(|_| handle.status())
    }
}

/// Where work with files is handed in: one piece at a time, in order, on a thread that may block.
#[derive(Clone)]
pub(super) struct Desk {
    publisher: Arc<Mutex<Publisher>>,
    pub(super) handle: Arc<SnapshotHandle>,
    pub(super) history: super::history::History,
    published: watch::Receiver<Revision>,
}

impl Desk {
    fn new(publisher: Publisher) -> Self {
        let (handle, history) = (Arc::clone(&publisher.handle), publisher.record.history());
        let published = publisher.published.subscribe();
        Self { publisher: Arc::new(Mutex::new(publisher)), handle, history, published }
    }

    /// Does one piece of work; once begun it goes on to its end, even if nobody waits for it any more.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Publisher) -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let mut publisher = Arc::clone(&self.publisher).lock_owned().await;
        tokio::task::spawn_blocking(move || work(&mut publisher)).await.map_err(|_| Unfinished)
    }
}

/// The work panicked, or the runtime is ending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfinished;

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}
