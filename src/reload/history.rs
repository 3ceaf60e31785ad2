//! The history of flags: append-only JSON lines on disk, and the latest of each flag in memory.
//!
//! A line is durable before its change is visible. A line torn by a crash is skipped when read and
//! never overwritten. What can't be written (a full disk) stays in memory and is tried again with the
//! next line: a reload must not fail because its record does.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::durable;
use super::writer::HistoryEntry;
use crate::types::{FlagKey, Revision};

/// Entries of one flag that are kept in memory; the file keeps all.
const KEPT_PER_FLAG: usize = 100;
/// Flags that are gone are forgotten (in memory) beyond this many flags.
const KEPT_FLAGS: usize = 10_000;

/// The latest entries of each flag; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Arc<Mutex<BTreeMap<FlagKey, VecDeque<HistoryEntry>>>>);

impl History {
    /// Entries of a flag, newest first.
    pub(super) fn of(&self, key: &FlagKey) -> Vec<HistoryEntry> {
        self.read(|flags| flags.get(key).map(|entries| entries.iter().rev().cloned().collect()).unwrap_or_default())
    }

    /// The last change of a flag.
    pub(super) fn last(&self, key: &FlagKey) -> Option<HistoryEntry> {
        self.read(|flags| flags.get(key)?.back().cloned())
    }

    /// The last changes of all flags together, newest first.
    pub(super) fn recent(&self, limit: usize) -> Vec<HistoryEntry> {
        let mut entries: Vec<HistoryEntry> =
            self.read(|flags| flags.values().flat_map(|entries| entries.iter().rev().take(limit)).cloned().collect());
        entries.sort_by(|a, b| (b.revision, b.at, &a.key).cmp(&(a.revision, a.at, &b.key)));
        entries.truncate(limit);
        entries
    }

    /// The last change of each flag.
    pub(super) fn latest(&self) -> Vec<HistoryEntry> {
        self.read(|flags| flags.values().filter_map(|entries| entries.back().cloned()).collect())
    }

    fn add(&self, entry: HistoryEntry) {
        self.read(|flags| {
            let entries = flags.entry(entry.key.clone()).or_default();
            entries.push_back(entry);
            if entries.len() > KEPT_PER_FLAG {
                entries.pop_front();
            }
            if flags.len() > KEPT_FLAGS {
                forget_oldest_gone(flags);
            }
        });
    }

    fn read<T>(&self, look: impl FnOnce(&mut BTreeMap<FlagKey, VecDeque<HistoryEntry>>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn forget_oldest_gone(flags: &mut BTreeMap<FlagKey, VecDeque<HistoryEntry>>) {
    let last = |entries: &VecDeque<HistoryEntry>| entries.back().map(|last| (last.revision, last.after.is_null()));
    let gone = flags.iter().filter_map(|(key, entries)| last(entries).filter(|(_, gone)| *gone).map(|at| (at.0, key)));
    if let Some(key) = gone.min().map(|(_, key)| key.clone()) {
        flags.remove(&key);
    }
}

/// The file behind a [`History`].
#[derive(Debug)]
pub(super) struct HistoryLog {
    file: File,
    history: History,
    newest: Revision,
    /// Whole lines that the disk did not take yet.
    unwritten: Vec<u8>,
    /// The file may end in a part of a line.
    torn: bool,
}

impl HistoryLog {
    /// Opens or creates the file and reads what it holds.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if is_new && let Some(folder) = path.parent() {
            durable::sync_folder(folder)?;
        }
        let mut log =
            Self { file, history: History::default(), newest: Revision(0), unwritten: Vec::new(), torn: false };
        let skipped = log.read_all()?;
        if skipped > 0 {
            tracing::warn!(file = %path.display(), lines = skipped, "lines of the flag history are not readable and were skipped");
        }
        Ok(log)
    }

    /// What is kept in memory.
    pub(super) fn history(&self) -> History {
        self.history.clone()
    }

    /// The highest revision recorded.
    pub(super) fn newest(&self) -> Revision {
        self.newest
    }

    /// Records changes; they are in memory even if the disk refuses them.
    pub(super) fn append(&mut self, entries: Vec<HistoryEntry>) -> io::Result<()> {
        for entry in entries {
            let line = serde_json::to_vec(&entry).map_err(io::Error::other)?;
            self.unwritten.extend_from_slice(&line);
            self.unwritten.push(b'\n');
            self.remember(entry);
        }
        self.flush()
    }

    /// Writes what the disk did not take before.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.torn, true) {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(&self.unwritten)?;
        self.file.sync_data()?;
        self.torn = false;
        self.unwritten.clear();
        Ok(())
    }

    fn read_all(&mut self) -> io::Result<usize> {
        let mut skipped = 0;
        let mut lines = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            self.torn = line.last() != Some(&b'\n');
            match serde_json::from_slice::<HistoryEntry>(&line) {
                Ok(entry) => self.remember(entry),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => skipped += 1,
            }
            line.clear();
        }
        Ok(skipped)
    }

    fn remember(&mut self, entry: HistoryEntry) {
        self.newest = self.newest.max(entry.revision);
        self.history.add(entry);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    fn entry(key: &str, revision: u64) -> HistoryEntry {
        HistoryEntry {
            at: Timestamp(1),
            actor: "alice".into(),
            reason: "because".into(),
            key: key.into(),
            revision: Revision(revision),
            before: json!(null),
            after: json!({"percent": revision}),
            undoes: None,
        }
    }

    fn revisions(entries: &[HistoryEntry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.revision.0).collect()
    }

    #[test]
    fn a_history_is_read_again_newest_first() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("history");
        let mut log = HistoryLog::open(&path).expect("open");
        log.append(vec![entry("a", 1), entry("b", 2)]).expect("append");
        log.append(vec![entry("a", 3)]).expect("append");
        let again = HistoryLog::open(&path).expect("open");
        assert_eq!(revisions(&again.history().of(&"a".into())), [3, 1]);
        assert_eq!(revisions(&again.history().recent(2)), [3, 2]);
        assert_eq!(again.newest(), Revision(3));
    }

    #[test]
    fn a_line_torn_by_a_crash_costs_only_itself() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("history");
        HistoryLog::open(&path).expect("open").append(vec![entry("a", 1), entry("a", 2)]).expect("append");
        let whole = std::fs::read(&path).expect("read");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("write");
            HistoryLog::open(&path).expect("open").append(vec![entry("a", 9)]).expect("append");
            let seen = revisions(&HistoryLog::open(&path).expect("open").history().of(&"a".into()));
            let complete = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert!(seen.starts_with(&[9]) && seen.len() > complete, "cut at {cut}: {seen:?}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_file_keeps_everything() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("history");
        let many = u64::try_from(KEPT_PER_FLAG).expect("small") + 20;
        let mut log = HistoryLog::open(&path).expect("open");
        log.append((1..=many).map(|revision| entry("a", revision)).collect()).expect("append");
        assert_eq!(log.history().of(&"a".into()).len(), KEPT_PER_FLAG);
        assert_eq!(log.history().last(&"a".into()).map(|last| last.revision), Some(Revision(many)));
        assert_eq!(std::fs::read_to_string(&path).expect("read").lines().count() as u64, many);
    }

    #[test]
    fn flags_that_are_gone_are_forgotten_first() {
        let history = History::default();
        for number in 0..KEPT_FLAGS {
            history.add(entry(&format!("flag-{number}"), 5));
        }
        history.add(HistoryEntry { after: json!(null), ..entry("flag-7", 6) });
        history.add(entry("one-more", 7));
        assert!(history.of(&"flag-7".into()).is_empty());
        assert_eq!(history.of(&"flag-8".into()).len(), 1);
    }
}
