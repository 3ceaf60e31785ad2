//! Where snapshots come from: `config` in the gateway, something smaller in tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Kept, Loaded, Overlay};

/// Reads all files and compiles them; may block, and runs on a thread that may.
pub trait Loader: Send + 'static {
    /// Reads the files, some of them from memory.
    fn load(&mut self, overlay: &Overlay) -> Loaded;
}

impl<F: FnMut(&Overlay) -> Loaded + Send + 'static> Loader for F {
    fn load(&mut self, overlay: &Overlay) -> Loaded {
        self(overlay)
    }
}

/// The loader of the gateway: [`config::load_over`].
#[derive(Debug)]
pub struct Files {
    config: PathBuf,
    kept: Arc<Kept>,
}

impl Files {
    /// Loads from this config file, wiring snapshots to what is kept across reloads.
    #[must_use]
    pub fn new(config: &Path, kept: Arc<Kept>) -> Self {
        Self { config: config.to_path_buf(), kept }
    }
}

impl Loader for Files {
    fn load(&mut self, overlay: &Overlay) -> Loaded {
        config::load_over(&self.config, &self.kept, overlay)
    }
}
