//! What the user wrote: files in, everything wrong with them out, or a snapshot.
//!
//! `check`, start and reload run through [`load`]; there is no second validator. The way of a file:
//! bytes (`sources`) → tree with positions (`tree`) → variables (`environment`) → every difference
//! from the described shape (`shape`, `validate`) → one bridge a section to the types of `snapshot`.
//! The same shapes print the JSON Schema, so a key can't exist for one and not for the other.
//!
//! Deliberately not here: watching, publishing, writing files (`reload`), and what a section's
//! values mean at run time.

mod admin;
mod auth;
mod backends;
mod cursor;
mod digest;
mod environment;
mod flags;
mod formats;
mod lowering;
mod overlay;
mod payments;
mod quote;
mod report;
mod routes;
pub mod schema;
mod server;
mod shape;
mod sources;
mod state;
mod syntax;
mod targets;
mod tls;
mod tree;
mod validate;
mod whole;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::auth::{Authenticator, JwksSource, KeyStore};
use crate::snapshot::{Diagnostic, Snapshot};

pub use digest::sha256;
pub use flags::definition_keys;
pub use overlay::Overlay;
pub use sources::{read_file, shown};
pub use state::state_dir_by_text;

/// Long-lived state that a new snapshot is wired to, kept by name across reloads.
#[derive(Debug, Default)]
pub struct Kept {
    /// Stores of keys that come from URLs, so that keys once fetched serve every later snapshot.
    pub key_stores: Mutex<HashMap<JwksSource, Arc<KeyStore>>>,
    file_keys: auth::KeptFileKeys,
    /// Of the last good load: unchanged settings keep its cache of verified tokens.
    authenticator: Mutex<Option<Arc<Authenticator>>>,
    tls: tls::KeptTls,
}

/// The outcome of reading all files.
#[derive(Debug)]
pub struct Loaded {
    /// Everything found, errors and warnings, in file order.
    pub diagnostics: Vec<Diagnostic>,
    /// Present if no diagnostic is an error. Its revision is 0 until `reload` publishes it.
    pub snapshot: Option<Snapshot>,
    /// Every file that was asked for (config, flags, JWKS, certificates, secrets), with its bytes'
    /// SHA-256, empty if it could not be read; what the watcher looks at and the snapshot's hash is made of.
    pub files: Vec<(PathBuf, String)>,
    /// The flags folder, spelled as in `files`, as soon as the config file says it.
    pub flags_dir: Option<PathBuf>,
    /// `state.dir`, also when something else is wrong with the config file.
    pub state_dir: PathBuf,
    /// Line and column of each setting that the config file writes and that only a restart can change.
    pub startup_places: BTreeMap<&'static str, (usize, usize)>,
}

/// The name is that of a flag file; others in the flags folder are not looked at.
///
/// Hidden files are editors' and Kubernetes' own.
#[must_use]
pub fn is_flag_file(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    path.extension().is_some_and(|end| end == "yaml") && !hidden
}

/// Reads the config file and the flags folder, and compiles them.
#[must_use]
pub fn load(config: &Path, kept: &Kept) -> Loaded {
    load_over(config, kept, &Overlay::default())
}

/// Like [`load`], with some files taken from memory.
#[must_use]
pub fn load_over(config: &Path, kept: &Kept, overlay: &Overlay) -> Loaded {
    whole::load(config, kept, overlay, &environment::process, crate::clock::Timestamp::now())
}

#[cfg(test)]
mod tests;
