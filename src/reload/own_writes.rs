//! What the gateway itself writes, told from what people write: its own writes are no reason to look.
//!
//! An access log beside the configuration would otherwise cause a look with every line. Whatever is in doubt counts as
//! somebody else's: a look too many costs nothing, one too few delays a change until the rescan.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::snapshot::{AccessLog, Snapshot};

/// Places that the gateway writes to, and those that it reads from.
#[derive(Debug, Default)]
pub(super) struct OwnWrites {
    log: Option<PathBuf>,
    /// Only if nothing is read from this very folder.
    state: Option<PathBuf>,
    inputs: BTreeSet<PathBuf>,
}

impl OwnWrites {
    /// What a snapshot has the gateway write; `inputs` are the folders that its files were read from.
    pub(super) fn new(snapshot: &Snapshot, inputs: &BTreeSet<PathBuf>) -> Self {
        let log = match &snapshot.server.access_log {
            AccessLog::File(path) => Some(real(path)),
            AccessLog::Stdout | AccessLog::Off => None,
        };
        let inputs: BTreeSet<PathBuf> = inputs.iter().map(|folder| real(folder)).collect();
        let state = Some(real(&snapshot.startup.state_dir)).filter(|state| !inputs.contains(state));
        Self { log, state, inputs }
    }

    /// All that the event names is the gateway's own. An event without a path may be about anything.
    pub(super) fn explain(&self, paths: &[PathBuf]) -> bool {
        !paths.is_empty() && paths.iter().all(|path| self.is_own(&real(path)))
    }

    fn is_own(&self, path: &Path) -> bool {
        let in_state = self.state.is_some() && path.parent() == self.state.as_deref();
        let leads_to_inputs = || self.inputs.iter().any(|folder| folder.starts_with(path));
        self.log.as_deref() == Some(path) || (in_state && !leads_to_inputs())
    }
}

/// The same entry of the same folder, however the way there was written. The entry itself may be a link: it is what
/// changed, not what it leads to.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(log: &Path, state: &Path, inputs: &[&Path]) -> OwnWrites {
        let inputs: BTreeSet<PathBuf> = inputs.iter().map(|folder| real(folder)).collect();
        let state = Some(real(state)).filter(|state| !inputs.contains(state));
        OwnWrites { log: Some(real(log)), state, inputs }
    }

    #[test]
    fn a_log_beside_the_configuration_is_no_hint_and_its_neighbours_are() {
        let root = tempfile::tempdir().expect("folder");
        let config = root.path().join("config");
        std::fs::create_dir(&config).expect("folder");
        let own = own(&config.join("../config/access.log"), &root.path().join("data"), &[&config]);
        assert!(own.explain(&[config.join("access.log")]), "however it is written");
        for other in ["gateway.yaml", "access.log.1", "..data", "flags"] {
            assert!(!own.explain(&[config.join(other)]), "{other}");
            assert!(!own.explain(&[config.join("access.log"), config.join(other)]), "{other}");
        }
        assert!(!own.explain(&[]), "events were lost, so anything may have changed");
    }

    #[test]
    fn state_beside_the_folders_that_are_read_is_no_hint_and_their_swap_is() {
        let root = tempfile::tempdir().expect("folder");
        let (flags, log) = (root.path().join("flags"), root.path().join("log"));
        std::fs::create_dir(&flags).expect("folder");
        let own = own(&log, root.path(), &[&flags]);
        assert!(own.explain(&[root.path().join("payments.db-wal")]));
        assert!(!own.explain(std::slice::from_ref(&flags)), "the folder of flags was swapped");
        assert!(!own.explain(&[flags.join("members.yaml")]));
    }

    #[test]
    fn state_among_the_files_that_are_read_is_looked_at() {
        let root = tempfile::tempdir().expect("folder");
        let own = own(&root.path().join("log"), root.path(), &[root.path()]);
        assert!(!own.explain(&[root.path().join("members.yaml")]) && !own.explain(&[root.path().join("..data")]));
    }
}
