//! What the user wrote: files in, everything wrong with them out, or a snapshot.
//!
//! `check`, start and reload run through [`load`]; there is no second validator.

mod overlay;

use std::path::{Path, PathBuf};

use crate::snapshot::{Diagnostic, Snapshot};

pub use overlay::Overlay;

/// Long-lived state that a new snapshot is wired to, kept by name across reloads.
#[derive(Debug, Default)]
pub struct Kept {
    /// Key stores by source, so that keys once fetched serve every later snapshot.
    pub key_stores:
        std::sync::Mutex<std::collections::HashMap<crate::auth::JwksSource, std::sync::Arc<crate::auth::KeyStore>>>,
}

/// The outcome of reading all files.
#[derive(Debug)]
pub struct Loaded {
    /// Everything found, errors and warnings, in file order.
    pub diagnostics: Vec<Diagnostic>,
    /// Present if no diagnostic is an error. Its revision is 0 until `reload` publishes it.
    pub snapshot: Option<Snapshot>,
    /// Every file that was read (config, flags, JWKS, certificates, secrets, adapters), with its bytes' SHA-256; what the watcher looks at and the snapshot's hash is made of.
    pub files: Vec<(PathBuf, String)>,
    /// The flags folder, spelled as in `files`, as soon as the config file says it.
    pub flags_dir: Option<PathBuf>,
    /// `state.dir`, as soon as the config file says it, also when something else is wrong.
    pub state_dir: Option<PathBuf>,
}

/// The name is that of a flag file; others in the flags folder are not looked at.
#[must_use]
pub fn is_flag_file(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml")
}

/// Reads the config file and the flags folder, and compiles them.
#[must_use]
pub fn load(config: &Path, kept: &Kept) -> Loaded {
    load_over(config, kept, &Overlay::default())
}

/// Like [`load`], with some files taken from memory.
#[must_use]
pub fn load_over(config: &Path, kept: &Kept, overlay: &Overlay) -> Loaded {
    let _ = (config, kept, overlay);
    todo!()
}
