//! Everything about publications that outlives the process: revisions, the history of flags, the last good copy.
//!
//! Invariants, while the folder keeps its files: a revision is never given twice, also across restarts; every change
//! of a flag that was served is in the history, whoever made it and even if the process died in the middle of it. Both
//! would be lost with two processes on one folder, so the folder is locked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::durable::{self, Mode};
use super::history::{History, HistoryLog};
use super::last_good::{self, LastGood};
use super::writer::HistoryEntry;
use crate::clock::Timestamp;
use crate::config::Loaded;
use crate::flags::FlagSet;
use crate::snapshot::AdminToken;
use crate::types::{FlagKey, Revision};

const HISTORY: &str = "flag-history.jsonl";
const LAST_GOOD: &str = "last-good.json";
const INTENT: &str = "flag-change.json";
const LOCK: &str = "lock";

/// Definitions by key.
type Definitions = BTreeMap<FlagKey, Value>;

/// The state folder.
#[derive(Debug)]
pub(super) struct Record {
    folder: PathBuf,
    log: HistoryLog,
    last_good: Option<LastGood>,
    /// Definitions as last published; `None` before anything ever was.
    known: Option<Definitions>,
    /// A change that was about to be written; it is recorded under its author's name if it took effect.
    intent: Option<HistoryEntry>,
    /// Held while this lives; the system lets go of it even when the process is killed.
    _lock: File,
}

impl Record {
    /// Opens or creates the state folder.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        durable::private_folder(folder)?;
        let lock = lock(&folder.join(LOCK))?;
        let log = HistoryLog::open(&folder.join(HISTORY))?;
        let last_good = LastGood::read(&folder.join(LAST_GOOD)).unwrap_or_else(|error| {
            tracing::warn!(file = %folder.join(LAST_GOOD).display(), %error, "the last good copy is not readable; going on without it");
            None
        });
        let known = last_good.as_ref().map(|copy| {
            let later = log.history().latest().into_iter().filter(|entry| entry.revision > copy.revision);
            // The history is written first: after a crash in between it is the one that is right.
            later.fold(copy.flags.clone(), with_entry)
        });
        let intent = std::fs::read(folder.join(INTENT)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { folder: folder.to_path_buf(), log, last_good, known, intent, _lock: lock })
    }

    /// The revision for the next publication.
    pub(super) fn next_revision(&self) -> Revision {
        self.last_good.as_ref().map_or(Revision(0), |copy| copy.revision).max(self.log.newest()).next()
    }

    /// The copy to start from when the files are bad.
    pub(super) fn last_good(&self) -> Option<&LastGood> {
        self.last_good.as_ref()
    }

    /// What is known of past changes.
    pub(super) fn history(&self) -> History {
        self.log.history()
    }

    /// Announces a change before its file is written; after a crash it is recorded if the file has it.
    pub(super) fn intend(&mut self, entry: HistoryEntry) -> io::Result<()> {
        // A disk that does not take the history must not get changes that nobody could trace.
        self.log.flush()?;
        let bytes = serde_json::to_vec(&entry).map_err(io::Error::other)?;
        durable::replace(&self.folder.join(INTENT), &bytes, Mode::Private)?;
        self.intent = Some(entry);
        Ok(())
    }

    /// The announced change is recorded, or was not made.
    pub(super) fn settle(&mut self) {
        if self.intent.take().is_some()
            && let Err(error) = std::fs::remove_file(self.folder.join(INTENT))
        {
            tracing::warn!(%error, "the note of a flag change can't be removed; it will be looked at again");
        }
    }

    /// Takes revision, changed flags and files down, in this order, before `flags` are served.
    ///
    /// # Errors
    /// The disk failed; what it did not take is kept in memory, and serving goes on.
    pub(super) fn publish(
        &mut self,
        revision: Revision,
        now: Timestamp,
        config: &Path,
        flags: &FlagSet,
        loaded: &Loaded,
    ) -> io::Result<()> {
        let next: Definitions = flags.flags.iter().map(|(key, flag)| (key.clone(), flag.to_json())).collect();
        let entries = self.entries(revision, now, flags, &next);
        self.known = Some(next.clone());
        let recorded = self.log.append(entries);
        let before = self.last_good.take();
        // A file that changed since it was loaded is saved by the reload that its change causes.
        let files = last_good::texts(config, loaded).or(before.map(|copy| copy.files)).unwrap_or_default();
        let copy = LastGood {
            revision,
            config: config.to_path_buf(),
            flags_dir: loaded.flags_dir.clone(),
            files,
            flags: next,
        };
        let saved = copy.save(&self.folder.join(LAST_GOOD));
        self.last_good = Some(copy);
        recorded.and(saved)
    }

    /// Takes the revision down under which the last good copy itself is served.
    pub(super) fn publish_stale(&mut self, revision: Revision) -> io::Result<()> {
        let Some(copy) = &mut self.last_good else { return Ok(()) };
        copy.revision = revision;
        copy.save(&self.folder.join(LAST_GOOD))
    }

    /// Tries again to write what the disk refused before.
    pub(super) fn retry(&mut self) -> io::Result<()> {
        self.log.flush()
    }

    fn entries(&self, revision: Revision, at: Timestamp, flags: &FlagSet, next: &Definitions) -> Vec<HistoryEntry> {
        let Some(known) = &self.known else { return Vec::new() };
        let keys: BTreeSet<&FlagKey> = known.keys().chain(next.keys()).collect();
        let changed = keys.into_iter().filter_map(|key| {
            let (before, after) = (known.get(key), next.get(key));
            let same = before.zip(after).is_some_and(|(before, after)| same_definition(before, after));
            (!same).then(|| (key, before.cloned().unwrap_or_default(), after.cloned().unwrap_or_default()))
        });
        changed
            .map(|(key, before, after)| match self.intent_of(key, &after) {
                Some(intent) => HistoryEntry { at, revision, before, after, ..intent.clone() },
                None => {
                    let file = flags.flags.get(key).map(|flag| flag.file.as_str());
                    let reason = file.map_or_else(|| "removed by hand".into(), |file| format!("edited in {file}"));
                    let (actor, key) = (AdminToken::BY_HAND.into(), key.clone());
                    HistoryEntry { at, actor, reason, key, revision, before, after, undoes: None }
                }
            })
            .collect()
    }

    fn intent_of(&self, key: &FlagKey, after: &Value) -> Option<&HistoryEntry> {
        self.intent.as_ref().filter(|intent| intent.key == *key && same_definition(&intent.after, after))
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another gateway is using it")),
        // Some network file systems have no locks; what they are mounted for is the operator's choice.
        Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Two definitions say the same. Within a value order counts, as that of a split's variants does; equality of JSON
/// ignores it.
pub(super) fn same_definition(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| same_value(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => same_value(one, other),
    }
}

/// Equal in value and in order.
pub(super) fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && same_value(a.1, b.1))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        _ => one == other,
    }
}

fn with_entry(mut flags: Definitions, entry: HistoryEntry) -> Definitions {
    if entry.after.is_null() {
        flags.remove(&entry.key);
    } else {
        flags.insert(entry.key, entry.after);
    }
    flags
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_says_nothing_and_that_of_variants_does() {
        let flag = json!({"kind": "split", "variants": {"plain": 1, "bold": 1}, "rules": [1, 2]});
        let other_keys = json!({"rules": [1, 2], "variants": {"plain": 1, "bold": 1}, "kind": "split"});
        assert!(same_definition(&flag, &other_keys));
        for different in [
            json!({"kind": "split", "variants": {"bold": 1, "plain": 1}, "rules": [1, 2]}),
            json!({"kind": "split", "variants": {"plain": 1, "bold": 1}, "rules": [2, 1]}),
            json!({"kind": "split", "variants": {"plain": 1, "bold": 1}}),
            json!({"kind": "split", "variants": {"plain": 1, "bold": 1}, "rules": [1, 2], "owner": "x"}),
            json!(null),
        ] {
            assert!(!same_definition(&flag, &different), "{different}");
        }
    }
}
