//! Hints from the file system that something may have changed; what did is found out by reading.
//!
//! Only folders are watched, never files: a watch on a file dies with the first rename. Every event
//! means "look again", whatever it names: a swap of a `..data` link names no flag file. A watch that
//! can't be had is no failure: the rescan finds the change, later. Only what the gateway itself writes
//! is passed over ([`super::own_writes`]).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::own_writes::OwnWrites;

/// Device and inode: a folder that was deleted and made again has the old name and another identity.
type Identity = (u64, u64);

/// Watches on folders.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    armed: BTreeMap<Identity, PathBuf>,
    complaints: Arc<Complaints>,
    own: Arc<Mutex<OwnWrites>>,
}

impl Watch {
    /// Watches nothing yet; events will wake whoever waits for `hints`.
    pub(super) fn new(hints: Arc<Notify>) -> Self {
        let complaints = Arc::new(Complaints::default());
        let own = Arc::new(Mutex::new(OwnWrites::default()));
        let (heard, excepted) = (Arc::clone(&complaints), Arc::clone(&own));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if !worth_a_look(&event.kind) => {}
            Ok(event) if excepted.lock().unwrap_or_else(PoisonError::into_inner).explain(&event.paths) => {}
            Ok(_) => hints.notify_one(),
            Err(error) => {
                heard.say(&error.to_string());
                hints.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| complaints.say(&error.to_string())).ok();
        Self { watcher, armed: BTreeMap::new(), complaints, own }
    }

    /// Leaves everything to the rescan.
    pub(super) fn off() -> Self {
        Self { watcher: None, armed: BTreeMap::new(), complaints: Arc::default(), own: Arc::default() }
    }

    /// What the gateway writes itself wakes nobody from now on.
    pub(super) fn except(&self, own: OwnWrites) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// Watches exactly these folders, those of them that exist.
    ///
    /// Called on every look, since a watch ends in silence when its folder is deleted; asking again
    /// for a watch that is alive changes nothing.
    pub(super) fn arm(&mut self, wanted: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeMap<Identity, &PathBuf> =
            wanted.iter().filter_map(|folder| Some((identity(folder)?, folder))).collect();
        // First the old ones: a watch is known by its path, which may name another folder by now.
        self.armed.retain(|identity, path| {
            let keep = wanted.get(identity) == Some(&&*path);
            if !keep {
                // It fails when the folder is gone, and its watch with it.
                let _ = watcher.unwatch(path);
            }
            keep
        });
        let mut complaint = None;
        for (identity, folder) in wanted {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.armed.insert(identity, folder.clone())),
                Err(error) => complaint = Some(error.to_string()),
            }
        }
        match complaint {
            Some(complaint) => self.complaints.say(&complaint),
            None => self.complaints.mended(),
        }
    }
}

/// Reading is no change; above all our own reading, which would make us look again for ever.
fn worth_a_look(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Says each distinct complaint once, not on every look.
#[derive(Debug, Default)]
struct Complaints(Mutex<Option<String>>);

impl Complaints {
    fn say(&self, complaint: &str) {
        if self.is_new(complaint) {
            tracing::warn!(error = complaint, "files can't be watched; changes take effect with the next rescan");
        }
    }

    fn is_new(&self, complaint: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.as_deref() != Some(complaint);
        *last = Some(complaint.to_owned());
        is_new
    }

    fn mended(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Event, Flag, ModifyKind, RenameMode};

    use super::*;

    /// Looking at files opens them; if that counted, every look would cause the next.
    #[test]
    fn reading_is_no_hint_and_everything_else_is() {
        for read in [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read] {
            assert!(!worth_a_look(&EventKind::Access(read)), "{read:?}");
        }
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(
            overflow.need_rescan() && worth_a_look(&overflow.kind),
            "events were lost, so anything may have changed"
        );
        for kind in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::Any),
            EventKind::Modify(ModifyKind::Name(RenameMode::Any)),
            EventKind::Any,
        ] {
            assert!(worth_a_look(&kind), "{kind:?}");
        }
    }

    #[test]
    fn the_same_complaint_is_made_once_until_it_is_mended() {
        let complaints = Complaints::default();
        assert!(complaints.is_new("no space") && !complaints.is_new("no space") && complaints.is_new("denied"));
        complaints.mended();
        assert!(complaints.is_new("denied"));
    }

    #[test]
    fn watches_follow_the_wanted_folders_through_renames_and_removals() {
        let root = tempfile::tempdir().expect("folder");
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        std::fs::create_dir(&one).expect("folder");
        let mut watch = Watch::new(Arc::new(Notify::new()));
        let wanted = BTreeSet::from([one.clone(), two.clone()]);
        for _ in 0..50 {
            watch.arm(&wanted);
            assert_eq!(watch.armed.values().collect::<Vec<_>>(), [&one], "what is not there is not watched");
            std::fs::rename(&one, &two).expect("renamed");
            watch.arm(&wanted);
            assert_eq!(watch.armed.values().collect::<Vec<_>>(), [&two]);
            std::fs::rename(&two, &one).expect("renamed");
        }
        watch.arm(&BTreeSet::new());
        assert!(watch.armed.is_empty());
    }

    /// What the kernel watches for this process, as inode numbers.
    fn watched_inodes() -> Vec<u64> {
        let infos = std::fs::read_dir("/proc/self/fdinfo").expect("own descriptors");
        let texts = infos.filter_map(|info| std::fs::read_to_string(info.ok()?.path()).ok());
        let inode = |line: &str| u64::from_str_radix(line.split("ino:").nth(1)?.split(' ').next()?, 16).ok();
        texts.flat_map(|text| text.lines().filter_map(inode).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_folder_that_was_swapped_for_another_is_let_go() {
        let root = tempfile::tempdir().expect("folder");
        let flags = root.path().join("flags");
        std::fs::create_dir(&flags).expect("folder");
        let mut watch = Watch::new(Arc::new(Notify::new()));
        for round in 0..20 {
            watch.arm(&BTreeSet::from([flags.clone()]));
            let old = identity(&flags).expect("there").1;
            assert!(watched_inodes().contains(&old), "round {round}");
            std::fs::rename(&flags, root.path().join(round.to_string())).expect("moved away");
            std::fs::create_dir(&flags).expect("another");
            watch.arm(&BTreeSet::from([flags.clone()]));
            assert!(!watched_inodes().contains(&old), "round {round}");
        }
    }
}
