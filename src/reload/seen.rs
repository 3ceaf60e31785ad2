//! What the last good load saw, by content: tells a change from a touch, and says where to watch.
//!
//! Times are not compared: a file may change twice within the clock's grain, and a copy may keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::{Loaded, is_flag_file, read_file, sha256};

/// Files by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    files: BTreeMap<PathBuf, String>,
    folder: Option<PathBuf>,
}

impl Seen {
    /// What a load saw.
    pub(super) fn new(loaded: &Loaded) -> Self {
        Self { files: loaded.files.iter().cloned().collect(), folder: loaded.flags_dir.clone() }
    }

    /// The config file alone, before anything was loaded.
    pub(super) fn of(config: &Path) -> Self {
        Self { files: BTreeMap::from([(config.to_path_buf(), String::new())]), folder: None }
    }

    /// The same files, and all flag files, as they are on disk now.
    pub(super) fn again(&self) -> Self {
        let listed = self.folder.as_deref().map(list).unwrap_or_default();
        let others = self.files.keys().filter(|path| path.parent() != self.folder.as_deref()).cloned();
        let paths = others.chain(listed);
        Self { files: paths.map(|path| (path.clone(), sha256_of(&path))).collect(), folder: self.folder.clone() }
    }

    /// The files of the flags folder, in the order of their names.
    pub(super) fn flag_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys().filter(|path| path.parent() == self.folder.as_deref())
    }

    /// Folders in which a change shows: those of the files, those that links lead to, and their
    /// parents, for a folder itself may be swapped.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let own = self.own_folders();
        own.iter().flat_map(|folder| [folder.clone(), above(folder)]).map(here_if_empty).collect()
    }

    /// Folders that the files were read from, under their own name and the one that links lead to.
    pub(super) fn own_folders(&self) -> BTreeSet<PathBuf> {
        let real = self.files.keys().filter_map(|path| path.canonicalize().ok());
        let mut own: BTreeSet<PathBuf> = real.filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
        own.extend(self.files.keys().filter_map(|path| path.parent().map(Path::to_path_buf)));
        own.extend(self.folder.clone());
        own
    }

    /// Also those that a refused load named, so that its mend is seen.
    pub(super) fn folders_with(&self, loaded: &Loaded) -> BTreeSet<PathBuf> {
        &self.folders() | &Self::new(loaded).folders()
    }
}

/// The parent by name; `..` when the path ends in something that has none.
fn above(folder: &Path) -> PathBuf {
    match folder.file_name() {
        Some(_) => folder.parent().map(Path::to_path_buf).unwrap_or_default(),
        None => folder.join(".."),
    }
}

fn here_if_empty(path: PathBuf) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

fn list(folder: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    let paths = entries.filter_map(|entry| Some(folder.join(entry.ok()?.file_name())));
    paths.filter(|path| is_flag_file(path)).collect()
}

/// As in [`Loaded::files`]; empty for what can't be read.
fn sha256_of(path: &Path) -> String {
    read_file(path).map(|bytes| sha256(&bytes)).unwrap_or_default()
}
