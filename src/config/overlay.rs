//! Files taken from memory instead of the disk: a change that is tried before it is written, and the last good copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What replaces files on disk while a configuration is read; empty for the plain disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Content by path, spelled as in [`super::Loaded::files`].
    pub files: BTreeMap<PathBuf, String>,
    /// Folders of which nothing on disk counts: they hold what [`Overlay::files`] puts into them.
    pub folders: BTreeSet<PathBuf>,
}

impl Overlay {
    /// The content that stands in for a file on disk.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The files of a folder that the overlay stands in for as a whole; `None`: list it on disk.
    #[must_use]
    pub fn listing(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        self.folders.contains(folder).then(|| self.files.keys().filter(inside).cloned().collect())
    }
}
