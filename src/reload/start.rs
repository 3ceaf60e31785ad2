//! The first load: good files, or the last good copy with a loud word, or no start at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::loader::Loader;
use super::publisher::{self, Publisher};
use super::record::Record;
use super::reloader::{Hints, Options};
use super::report::Report;
use super::seen::Seen;
use super::watch::Watch;
use crate::config::Overlay;
use crate::snapshot::{Diagnostic, ReloadStatus, Snapshot, SnapshotHandle};

/// Why the gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The files are bad, and no copy of good ones was ever kept.
    #[error("{}\nthe files can't be used, and {} holds no last good copy to start from; mend the files", lines(.problems), .state_dir.display())]
    Refused {
        /// Everything wrong with the files.
        problems: Vec<Diagnostic>,
        /// Where the copy would be.
        state_dir: PathBuf,
    },
    /// The files are bad, and so is the copy by now (a key or certificate it names may be gone).
    #[error("{}\nthe files can't be used, and the last good copy can't either:\n{}\nmend the files", lines(.problems), lines(.of_copy))]
    CopyRefused {
        /// Everything wrong with the files.
        problems: Vec<Diagnostic>,
        /// Everything wrong with the copy.
        of_copy: Vec<Diagnostic>,
    },
    /// The state folder can't be used.
    #[error("{}: the state folder can't be used: {source}; state.dir names one that is writable and that no other gateway uses", .folder.display())]
    State {
        /// Which folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

fn lines(problems: &[Diagnostic]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Loads for the first time and publishes the first revision.
pub(super) fn start(options: Options, hints: Arc<Notify>) -> Result<Publisher, StartError> {
    let Options { config, mut loader, metrics, clock, hints: from, .. } = options;
    // Armed by the first look, which compares content too: no change falls between it and the load here.
    let watch = match from {
        Hints::Events => Watch::new(hints),
        Hints::RescanOnly => Watch::off(),
    };
    let mut loaded = publisher::load(loader.as_mut(), &config, &Overlay::default());
    let first = publisher::snapshot_of(&config, &mut loaded);
    let folder = loaded.state_dir.clone();
    if let Err(problems) = &first
        && !folder.exists()
    {
        // A start that fails leaves no folder behind, above all not where a mistyped path happens to lead.
        return Err(StartError::Refused { problems: problems.clone(), state_dir: folder });
    }
    let mut record = Record::open(&folder).map_err(|source| StartError::State { folder: folder.clone(), source })?;
    let (mut report, loaded_at) = (Report::new(metrics), clock());
    let (snapshot, status) = match first {
        Ok(mut snapshot) => {
            let status = publisher::enter(&mut record, &mut report, &config, clock(), &mut snapshot, &loaded);
            (snapshot, status)
        }
        Err(problems) => {
            let snapshot = last_good_snapshot(&mut record, loader.as_mut(), &config, &folder, &problems)?;
            let recorded = record.publish_stale(snapshot.revision);
            report.disk(recorded);
            let (last_attempt, revision) = (clock(), snapshot.revision);
            let status = ReloadStatus { success: false, last_attempt, revision, problems, ..ReloadStatus::default() };
            report.stale(&snapshot, &status);
            (snapshot, status)
        }
    };
    let seen = Seen::new(&loaded);
    let folders = &Seen::of(&config).folders() | &seen.folders();
    let published = watch::Sender::new(snapshot.revision);
    let handle = Arc::new(SnapshotHandle::new(snapshot, status));
    let publisher =
        Publisher { config, loader, handle, record, report, seen, folders, watch, published, clock, loaded_at };
    publisher.pass_over_own_writes();
    Ok(publisher)
}

/// What the last good copy gives, marked as stale.
fn last_good_snapshot(
    record: &mut Record,
    loader: &mut dyn Loader,
    config: &Path,
    state_dir: &Path,
    problems: &[Diagnostic],
) -> Result<Snapshot, StartError> {
    let Some(copy) = record.last_good() else {
        return Err(StartError::Refused { problems: problems.to_vec(), state_dir: state_dir.to_path_buf() });
    };
    let mut loaded = publisher::load(loader, config, &copy.overlay(config));
    let mut snapshot = publisher::snapshot_of(config, &mut loaded)
        .map_err(|of_copy| StartError::CopyRefused { problems: problems.to_vec(), of_copy })?;
    snapshot.revision = record.next_revision();
    snapshot.stale = true;
    snapshot.flags.stale = true;
    Ok(snapshot)
}
