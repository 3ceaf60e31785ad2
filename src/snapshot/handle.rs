//! The handle through which a snapshot is published and read, and the story of the last reload.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Snapshot;
use crate::clock::Timestamp;
use crate::types::Revision;

/// Publishes snapshots: one pointer swap, seen by the next request on every core.
#[derive(Debug)]
pub struct SnapshotHandle {
    current: ArcSwap<Snapshot>,
    status: ArcSwap<ReloadStatus>,
}

impl SnapshotHandle {
    /// Starts with a first snapshot.
    #[must_use]
    pub fn new(first: Snapshot, status: ReloadStatus) -> Self {
        Self { current: ArcSwap::from_pointee(first), status: ArcSwap::from_pointee(status) }
    }

    /// The snapshot as it is now.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The cell itself, for readers that keep an `arc_swap::Cache` of it (one per core).
    #[must_use]
    pub fn cell(&self) -> &ArcSwap<Snapshot> {
        &self.current
    }

    /// Makes `next` the snapshot of every request that starts from now on.
    pub fn publish(&self, next: Arc<Snapshot>) {
        self.current.store(next);
    }

    /// How the last reload went.
    #[must_use]
    pub fn status(&self) -> Arc<ReloadStatus> {
        self.status.load_full()
    }

    /// Records how a reload went.
    pub fn set_status(&self, status: ReloadStatus) {
        self.status.store(Arc::new(status));
    }
}

/// How the last reload went.
#[derive(Debug, Clone, Default)]
pub struct ReloadStatus {
    /// The last reload, or start, succeeded.
    pub success: bool,
    /// When the last one succeeded.
    pub last_success: Timestamp,
    /// When the last one was tried.
    pub last_attempt: Timestamp,
    /// Revision now serving.
    pub revision: Revision,
    /// Everything wrong with the files as they are now; empty after a success.
    pub problems: Vec<Diagnostic>,
}

impl ReloadStatus {
    /// When the last reload succeeded, as RFC 3339; `None` if none has since the start.
    #[must_use]
    pub fn succeeded_at(&self) -> Option<String> {
        (self.last_success != Timestamp::default()).then(|| self.last_success.rfc3339())
    }
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Refused.
    Error,
    /// Accepted, and worth a look.
    Warning,
}

/// One thing wrong in a file: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// Refused, or only worth a look.
    pub severity: Severity,
    /// File as the user named it.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// Column, from 1; 0 when the whole file is meant.
    pub column: usize,
    /// Path within the document (`routes[2].timeouts.response`); may be empty.
    pub path: String,
    /// What is wrong and what to write instead; quotes the offending value.
    pub message: String,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
