//! A folder with a configuration, and a reloader that follows it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use figway::config::{Kept, Overlay};
use figway::reload::{
    ChangeError, Changed, Files, FlagWriter, Hints, Options, ReloadTrigger, Reloader, StartError, Wish,
};
use figway::snapshot::SnapshotHandle;
use figway::telemetry::Metrics;
use figway::types::Revision;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::small_loader::{load, summary};

/// With events, a change is in effect within a second.
pub(crate) const BY_EVENT: Duration = Duration::from_secs(1);
/// Longer than any test waits: a change seen with this rescan was seen by its event.
const NEVER: Duration = Duration::from_secs(3600);

pub(crate) const MEMBER: &str =
    "member-api:   # the members\n  kind: migration\n  stage: canary # careful\n  percent: 10\n";
pub(crate) const REVIEWS: &str = "reviews-offline: {kind: switch, state: off} # of the shop\n";

/// What somebody else does between a change's trial and its write; done once.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// The files.
pub(crate) struct Site {
    root: TempDir,
    meanwhile: Meanwhile,
}

impl Site {
    /// A good configuration with two flag files, one of whose flags a route needs.
    pub(crate) fn new() -> Self {
        let site = Self { root: tempfile::tempdir().expect("folder"), meanwhile: Meanwhile::default() };
        std::fs::create_dir_all(site.path("config")).expect("folder");
        std::fs::create_dir_all(site.path("flags")).expect("folder");
        site.write_config("127.0.0.1:8080", "");
        site.write("flags/member.yaml", MEMBER);
        site.write("flags/shop.yaml", REVIEWS);
        site
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        std::fs::write(self.path(relative), text).expect("write");
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).expect("read")
    }

    pub(crate) fn write_config(&self, listen: &str, more: &str) {
        let text = format!("{{listen: \"{listen}\", state: ../data, flags: ../flags, needs: [member-api]{more}}}\n");
        self.write("config/gateway.yaml", &text);
    }

    /// Writes beside the file and renames over it, as editors do.
    pub(crate) fn rename_over(&self, relative: &str, text: &str) {
        self.write("flags/.new", text);
        std::fs::rename(self.path("flags/.new"), self.path(relative)).expect("rename");
    }

    /// Has a file written by hand just after the next change was tried out, and before it is written.
    pub(crate) fn meanwhile_write(&self, relative: &str, text: &str) {
        let (path, text) = (self.path(relative), text.to_owned());
        let write = move || std::fs::write(path, text).expect("write");
        *self.meanwhile.lock().expect("lock") = Some(Box::new(write));
    }

    /// A gateway that hears of changes by events only.
    pub(crate) fn start(&self) -> Gateway {
        self.try_start(Hints::Events, NEVER).expect("started")
    }

    /// A gateway that gets no events.
    pub(crate) fn start_rescanning(&self, every: Duration) -> Gateway {
        self.try_start(Hints::RescanOnly, every).expect("started")
    }

    pub(crate) fn try_start(&self, hints: Hints, rescan: Duration) -> Result<Gateway, StartError> {
        let config = self.path("config/gateway.yaml");
        let (loads, metrics) = (Arc::new(AtomicUsize::new(0)), Arc::new(Metrics::new()));
        let (path, count, meanwhile) = (config.clone(), Arc::clone(&loads), Arc::clone(&self.meanwhile));
        let loader = move |overlay: &Overlay| {
            count.fetch_add(1, Ordering::SeqCst);
            let loaded = load(&path, overlay);
            let is_trial = !overlay.files.is_empty();
            if let Some(act) = meanwhile.lock().expect("lock").take_if(|_| is_trial) {
                act();
            }
            loaded
        };
        let mut options = Options::new(config, loader, metrics);
        (options.hints, options.rescan) = (hints, rescan);
        Gateway::run(options, loads)
    }

    /// A gateway with the loader of the real one, which hears of changes by events only.
    pub(crate) fn start_real(&self) -> Gateway {
        let config = self.path("config/gateway.yaml");
        let files = Files::new(&config, Arc::new(Kept::default()));
        let mut options = Options::new(config, files, Arc::new(Metrics::new()));
        options.rescan = NEVER;
        Gateway::run(options, Arc::default()).expect("started")
    }
}

/// What follows the files.
pub(crate) struct Gateway {
    pub(crate) handle: Arc<SnapshotHandle>,
    pub(crate) writer: Arc<FlagWriter>,
    pub(crate) trigger: ReloadTrigger,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) loads: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) fn run(options: Options, loads: Arc<AtomicUsize>) -> Result<Self, StartError> {
        let metrics = Arc::clone(&options.metrics);
        let (reloader, handle) = Reloader::start(options)?;
        let (writer, trigger) = (reloader.writer(), reloader.trigger());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(reloader.run(async move { drop(stopped.await) }));
        Ok(Self { handle, writer, trigger, metrics, loads, stop, task })
    }

    /// What a flag says, e.g. `canary:1000`; empty if there is none.
    pub(crate) fn flag(&self, key: &str) -> String {
        summary(&self.handle.load()).remove(key).unwrap_or_default()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.handle.load().revision.0
    }

    /// The problems of the last reload as text.
    pub(crate) fn problems(&self) -> String {
        let status = self.handle.status();
        status.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the flag says this.
    pub(crate) async fn says(&self, key: &str, wanted: &str, within: Duration) {
        let seen = until(within, || self.flag(key) == wanted).await;
        assert!(seen, "{key} says {:?}, not {wanted:?}; problems: {}", self.flag(key), self.problems());
    }

    /// Waits until the files are refused for a reason that contains `what`.
    pub(crate) async fn refuses(&self, what: &str) {
        let refused = until(BY_EVENT, || !self.handle.status().success && self.problems().contains(what)).await;
        assert!(refused, "not refused for {what:?}: {}", self.problems());
    }

    /// A change by alice, who saw the flag at this revision.
    pub(crate) async fn change(&self, key: &str, changes: Value, seen: u64) -> Result<Changed, ChangeError> {
        self.writer.clone().change(alice(key, seen), members(changes)).await
    }

    /// Bob takes the last change back.
    pub(crate) async fn undo(&self, key: &str, seen: u64) -> Result<Changed, ChangeError> {
        let wish = Wish { reason: "back".into(), actor: "bob".into(), ..alice(key, seen) };
        self.writer.clone().undo(wish).await
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("ended");
    }
}

/// Looks again and again until it holds; `false` if it did not in time.
pub(crate) async fn until(within: Duration, holds: impl Fn() -> bool) -> bool {
    let latest = Instant::now() + within;
    while !holds() {
        if Instant::now() > latest {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

/// What alice wants of a flag that she saw at this revision.
pub(crate) fn alice(key: &str, seen: u64) -> Wish {
    Wish { key: key.into(), reason: "a test".into(), actor: "alice".into(), if_match: Revision(seen) }
}

/// The members of a JSON object.
pub(crate) fn members(object: Value) -> Map<String, Value> {
    let Value::Object(members) = object else { panic!("{object} is no object") };
    members
}

/// The temporary files that a writer would leave behind if it failed to clean up.
pub(crate) fn leftovers(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with('.')).collect()
}
