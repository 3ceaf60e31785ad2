//! The last good config and flags, kept on disk for a start with bad files.
//!
//! One file, replaced as a whole, so there is no half of it. It holds the config file and the flag
//! files as written, with `${NAME}` not filled in; secrets, keys and certificates stay where they are
//! and are deliberately not copied.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::durable::{self, Mode};
use crate::config::{Loaded, Overlay, read_file, sha256};
use crate::types::{FlagKey, Revision};

/// What a later start needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LastGood {
    /// The last revision published.
    pub(super) revision: Revision,
    /// The config file, as it was named then.
    pub(super) config: PathBuf,
    /// The flags folder, as it was spelled then.
    pub(super) flags_dir: Option<PathBuf>,
    /// Text by path.
    pub(super) files: BTreeMap<PathBuf, String>,
    /// Every flag's definition, to tell what changed while the gateway was down.
    pub(super) flags: BTreeMap<FlagKey, Value>,
}

impl LastGood {
    /// Reads the copy; `None` if there is none.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the copy on disk.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        durable::replace(path, &serde_json::to_vec(self).map_err(io::Error::other)?, Mode::Private)
    }

    /// The copy in place of the disk, for a config file that may be spelled differently now.
    pub(super) fn overlay(&self, config: &Path) -> Overlay {
        let moved = |path: &Path| match (path == self.config, beside(&self.config), beside(config)) {
            (true, ..) => config.to_path_buf(),
            (false, then, now) => path.strip_prefix(then).map_or_else(|_| path.to_path_buf(), |rest| now.join(rest)),
        };
        Overlay {
            files: self.files.iter().map(|(path, text)| (moved(path), text.clone())).collect(),
            folders: self.flags_dir.iter().map(|folder| moved(folder)).collect::<BTreeSet<_>>(),
        }
    }
}

fn beside(config: &Path) -> &Path {
    config.parent().unwrap_or(Path::new(""))
}

/// The texts that belong into the copy; `None` if a file is no longer what was loaded (the next look will save it).
pub(super) fn texts(config: &Path, loaded: &Loaded) -> Option<BTreeMap<PathBuf, String>> {
    let belongs = |path: &Path| path == config || path.parent() == loaded.flags_dir.as_deref();
    let wanted = loaded.files.iter().filter(|(path, _)| belongs(path));
    wanted
        .map(|(path, digest)| {
            let bytes = read_file(path).ok().filter(|bytes| sha256(bytes) == *digest)?;
            Some((path.clone(), String::from_utf8(bytes).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_a_config_that_is_named_differently() {
        let copy = LastGood {
            revision: Revision(1),
            config: "config/gateway.yaml".into(),
            flags_dir: Some("config/../flags".into()),
            files: [("config/gateway.yaml", "c"), ("config/../flags/a.yaml", "f"), ("/etc/flags/b.yaml", "b")]
                .map(|(path, text)| (path.into(), text.into()))
                .into(),
            flags: BTreeMap::new(),
        };
        let overlay = copy.overlay(Path::new("/srv/config/gateway.yaml"));
        assert_eq!(overlay.content(Path::new("/srv/config/gateway.yaml")), Some("c"));
        assert_eq!(overlay.content(Path::new("/etc/flags/b.yaml")), Some("b"));
        let listing = overlay.listing(Path::new("/srv/config/../flags")).expect("replaced");
        assert_eq!(listing, [PathBuf::from("/srv/config/../flags/a.yaml")]);
    }
}
