//! The one place that looks at the files and decides: publish all of it, or nothing and say why.
//!
//! It blocks and is used by one at a time; [`super::reloader`] sees to both.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::loader::Loader;
use super::own_writes::OwnWrites;
use super::record::Record;
use super::report::Report;
use super::restart::needs_restart;
use super::seen::Seen;
use super::watch::Watch;
use crate::clock::Timestamp;
use crate::config::{Loaded, Overlay, shown, state_dir_by_text};
use crate::flags::FlagSet;
use crate::snapshot::{Diagnostic, ReloadStatus, Severity, Snapshot, SnapshotHandle};
use crate::types::{FlagKey, Revision};

/// Good files grow old: after this long they are loaded again, to tell which certificates and flags have expired since.
const FRESH: Duration = Duration::from_secs(86_400);
/// Losing fewer flags than this at once is housekeeping.
const FEW: usize = 3;

/// Whether a look may be spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Load only if the content on disk differs from what was loaded last, or was refused, or is a day old.
    IfChanged,
    /// Load in any case.
    Always,
}

/// What is served, and everything needed to replace it.
pub(super) struct Publisher {
    pub(super) config: PathBuf,
    pub(super) loader: Box<dyn Loader>,
    pub(super) handle: Arc<SnapshotHandle>,
    pub(super) record: Record,
    pub(super) report: Report,
    pub(super) seen: Seen,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) watch: Watch,
    pub(super) published: watch::Sender<Revision>,
    pub(super) clock: fn() -> Timestamp,
    /// When the files were last loaded, whatever came of it.
    pub(super) loaded_at: Timestamp,
}

impl Publisher {
    /// Looks at the files and makes the best of them.
    pub(super) fn refresh(&mut self, look: Look) -> Arc<ReloadStatus> {
        self.watch.arm(&self.folders);
        let retried = self.record.retry();
        self.report.disk(retried);
        let now = (self.clock)();
        let is_fresh = now.since(self.loaded_at) < FRESH;
        if look == Look::IfChanged && is_fresh && self.difference().is_none() {
            return self.handle.status();
        }
        self.loaded_at = now;
        let mut loaded = load(self.loader.as_mut(), &self.config, &Overlay::default());
        self.folders = self.seen.folders_with(&loaded);
        self.watch.arm(&self.folders);
        match self.accept(&mut loaded) {
            Err(problems) => self.refuse(problems),
            Ok(snapshot) => {
                let current = self.handle.load();
                let says_more = snapshot.warnings.iter().any(|warning| !current.warnings.contains(warning));
                if snapshot.hash == current.hash && !current.stale && !says_more {
                    self.keep(&loaded);
                } else {
                    self.publish(snapshot, &loaded);
                }
            }
        }
        self.handle.status()
    }

    /// What is on disk, if it is not what was loaded.
    pub(super) fn difference(&mut self) -> Option<Seen> {
        let now = self.seen.again();
        (!self.is_current(&now)).then_some(now)
    }

    /// What is on disk is what was loaded. Refused files never are, so that they are loaded again each time: what was
    /// missing may lie outside the files seen.
    fn is_current(&self, now: &Seen) -> bool {
        self.handle.status().success && *now == self.seen
    }

    /// What the files would be with some of them replaced; nothing is published.
    pub(super) fn try_out(&mut self, overlay: &Overlay) -> Result<Snapshot, Vec<Diagnostic>> {
        let mut loaded = load(self.loader.as_mut(), &self.config, overlay);
        self.accept(&mut loaded)
    }

    fn publish(&mut self, mut snapshot: Snapshot, loaded: &Loaded) {
        if let Some(message) = sharp_drop(&self.handle.load().flags, &snapshot.flags) {
            let folder = loaded.flags_dir.as_deref().unwrap_or(&self.config);
            snapshot.warnings.push(whole_file(folder, Severity::Warning, message));
        }
        let now = (self.clock)();
        let status = enter(&mut self.record, &mut self.report, &self.config, now, &mut snapshot, loaded);
        self.handle.publish(Arc::new(snapshot));
        self.published.send_replace(status.revision);
        self.handle.set_status(status);
        self.see(loaded);
    }

    /// A good load that may replace what is served, or everything that speaks against it.
    fn accept(&self, loaded: &mut Loaded) -> Result<Snapshot, Vec<Diagnostic>> {
        let snapshot = snapshot_of(&self.config, loaded)?;
        let running = &self.handle.load().startup;
        let restart = needs_restart(&self.config, running, &snapshot.startup, &loaded.startup_places);
        if restart.is_empty() { Ok(snapshot) } else { Err(restart) }
    }

    fn keep(&mut self, loaded: &Loaded) {
        let status = success((self.clock)(), self.handle.load().revision);
        self.report.unchanged(&status);
        self.handle.set_status(status);
        self.see(loaded);
    }

    fn refuse(&mut self, problems: Vec<Diagnostic>) {
        let status = ReloadStatus {
            success: false,
            last_attempt: (self.clock)(),
            problems,
            ..ReloadStatus::clone(&self.handle.status())
        };
        self.report.refused(&status);
        self.handle.set_status(status);
    }

    fn see(&mut self, loaded: &Loaded) {
        self.seen = Seen::new(loaded);
        self.folders = self.seen.folders();
        self.watch.arm(&self.folders);
        self.pass_over_own_writes();
    }

    /// By the snapshot now served.
    pub(super) fn pass_over_own_writes(&self) {
        self.watch.except(OwnWrites::new(&self.handle.load(), &self.seen.own_folders()));
    }
}

/// Gives a snapshot the next revision and takes it down. The record comes before anybody is served, so that nothing is
/// ever served that a crash could make untraceable.
pub(super) fn enter(
    record: &mut Record,
    report: &mut Report,
    config: &Path,
    now: Timestamp,
    snapshot: &mut Snapshot,
    loaded: &Loaded,
) -> ReloadStatus {
    snapshot.revision = record.next_revision();
    let recorded = record.publish(snapshot.revision, now, config, &snapshot.flags, loaded);
    if recorded.is_ok() {
        record.settle();
    }
    report.disk(recorded);
    let status = success(now, snapshot.revision);
    report.published(snapshot, &status);
    status
}

fn success(now: Timestamp, revision: Revision) -> ReloadStatus {
    ReloadStatus { success: true, last_success: now, last_attempt: now, revision, problems: Vec::new() }
}

/// Loads; a panic in there is a refused load, not the end of all reloads.
pub(super) fn load(loader: &mut dyn Loader, config: &Path, overlay: &Overlay) -> Loaded {
    catch_unwind(AssertUnwindSafe(|| loader.load(overlay))).unwrap_or_else(|_| Loaded {
        diagnostics: vec![whole_file(
            config,
            Severity::Error,
            "reading this failed in a way that is a defect of figway; see the log",
        )],
        snapshot: None,
        files: Vec::new(),
        flags_dir: None,
        state_dir: state_dir_by_text(config),
        startup_places: BTreeMap::new(),
    })
}

/// The snapshot of a load, or its errors (at least one).
pub(super) fn snapshot_of(config: &Path, loaded: &mut Loaded) -> Result<Snapshot, Vec<Diagnostic>> {
    loaded.snapshot.take().ok_or_else(|| {
        let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
        let mut errors: Vec<Diagnostic> = loaded.diagnostics.iter().filter(is_error).cloned().collect();
        if errors.is_empty() {
            errors.push(whole_file(
                config,
                Severity::Error,
                "nothing came of reading this, without a reason: a defect of figway",
            ));
        }
        errors
    })
}

/// Said when at least three flags and a third of all are gone at once: a file that was cut short between two flags is
/// well-formed and only has fewer of them. (That a route still needs one of them is an error of the load itself.)
fn sharp_drop(before: &FlagSet, after: &FlagSet) -> Option<String> {
    let gone: Vec<&str> =
        before.flags.keys().filter(|key| !after.flags.contains_key(*key)).map(FlagKey::as_str).collect();
    let (lost, had) = (gone.len(), before.flags.len());
    let names = gone.get(..FEW).map(|first| first.join(", ")).filter(|_| lost * 3 >= had)?;
    let more = if lost > FEW { ", …" } else { "" };
    Some(format!("{lost} of {had} flags are gone ({names}{more}); if nobody meant that, a file was cut short"))
}

fn whole_file(file: &Path, severity: Severity, message: impl Into<String>) -> Diagnostic {
    Diagnostic { severity, file: shown(file), line: 0, column: 0, path: String::new(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Flag, Kind, StickyBy};

    fn flags(keys: &str) -> FlagSet {
        let flag = |key: char| Flag {
            key: key.to_string().into(),
            kind: Kind::Switch { on: false },
            description: None,
            owner: None,
            expires: None,
            sticky_by: StickyBy::User,
            salt: String::new(),
            rules: Vec::new(),
            killed: false,
            file: "flags/a.yaml".into(),
        };
        let flags = keys.chars().map(|key| (FlagKey::from(key.to_string()), Arc::new(flag(key))));
        FlagSet { flags: flags.collect(), stale: false }
    }

    #[test]
    fn losing_many_flags_at_once_is_said_aloud() {
        for (before, after) in [("abcdef", "abcd"), ("", "abc"), ("abcdefghij", "abcdefg"), ("abc", "abcd")] {
            assert_eq!(sharp_drop(&flags(before), &flags(after)), None, "{before} → {after}");
        }
        let said = sharp_drop(&flags("abcdef"), &flags("efg")).expect("four of six");
        assert_eq!(said, "4 of 6 flags are gone (a, b, c, …); if nobody meant that, a file was cut short");
        let said = sharp_drop(&flags("abc"), &flags("")).expect("all");
        assert!(said.starts_with("3 of 3 flags are gone (a, b, c);"), "{said}");
        let told = whole_file(Path::new("config/../flags"), Severity::Warning, said).to_string();
        assert!(told.starts_with("flags: 3 of 3"), "{told}");
    }

    #[test]
    fn a_loader_that_panics_is_a_refused_load() {
        let mut loader = |_: &Overlay| -> Loaded { panic!("a defect") };
        let config = Path::new("gateway.yaml");
        let mut loaded = load(&mut loader, config, &Overlay::default());
        let problems = snapshot_of(config, &mut loaded).expect_err("refused");
        assert!(problems[0].to_string().starts_with("gateway.yaml: "), "{problems:?}");
    }
}
