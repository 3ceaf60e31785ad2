//! Writes flag files the way a careful person would: comments kept, every change recorded.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::change;
use super::publisher::Publisher;
use super::reloader::Desk;
use crate::clock::Timestamp;
use crate::types::{FlagKey, Revision};

/// Who wants something of a flag, and why.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which flag.
    pub key: FlagKey,
    /// Why; never empty.
    pub reason: String,
    /// Who, from the admin token, or `anonymous`.
    pub actor: String,
    /// The revision that the caller has seen.
    pub if_match: Revision,
}

/// One line of a flag's history.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Which flag.
    pub key: FlagKey,
    /// Revision that resulted.
    pub revision: Revision,
    /// The definition before, as JSON; null if the flag is new.
    pub before: Value,
    /// The definition after, as JSON; null if the flag is gone.
    pub after: Value,
    /// The entry that this one undoes, if any.
    pub undoes: Option<Revision>,
}

/// A change that is written, published and recorded.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The revision that carries it.
    pub revision: Revision,
    /// The flag's definition now, as JSON.
    pub flag: Value,
}

/// Why a change was not made; nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// No such flag.
    #[error("there is no flag {0:?}")]
    NotFound(FlagKey),
    /// Somebody else changed this flag after the revision that the caller saw.
    #[error("the flag is not as you saw it: revision {current} is served now; look again before you change it")]
    Stale {
        /// Revision now.
        current: Revision,
        /// The winner's change.
        winner: Option<Box<HistoryEntry>>,
    },
    /// The new definition is not valid; one message a problem.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The file is read-only or a symbolic link, or the folder's files are invalid at the moment.
    #[error("{0}")]
    Conflict(String),
    /// The disk failed.
    #[error("{0}")]
    Io(String),
}

/// Changes flags in their files.
#[derive(Debug)]
pub struct FlagWriter {
    desk: Desk,
}

impl FlagWriter {
    /// Hands its work in at `desk`, where it is serialised with reloads and other writers.
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk }
    }

    /// Writes, reloads, publishes and records one change; returns when it is in effect. `changes` has new values by key
    /// of the flag's definition (`percent`, `stage`, `killed`, `rules`, …); `null` removes.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was written then.
    pub async fn change(self: Arc<Self>, wish: Wish, changes: Map<String, Value>) -> Result<Changed, ChangeError> {
        self.work(move |publisher| change::change(publisher, &wish, &changes)).await
    }

    /// Takes the last change of a flag back, as a new change. Undoing an undo does it again.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was written then.
    pub async fn undo(self: Arc<Self>, wish: Wish) -> Result<Changed, ChangeError> {
        self.work(move |publisher| change::undo(publisher, &wish)).await
    }

    /// History of a flag, newest first (the last 100 changes; the file in the state folder has all).
    #[must_use]
    pub fn history(&self, key: &FlagKey) -> Vec<HistoryEntry> {
        self.desk.history.of(key)
    }

    /// The last change of a flag, if any is known.
    #[must_use]
    pub fn last_change(&self, key: &FlagKey) -> Option<HistoryEntry> {
        self.desk.history.last(key)
    }

    /// The last changes of all flags together, newest first.
    #[must_use]
    pub fn recent(&self, limit: usize) -> Vec<HistoryEntry> {
        self.desk.history.recent(limit)
    }

    async fn work(
        &self,
        work: impl FnOnce(&mut Publisher) -> Result<Changed, ChangeError> + Send + 'static,
    ) -> Result<Changed, ChangeError> {
        let outcome = self.desk.work(work).await;
        outcome.unwrap_or_else(|_| {
            Err(ChangeError::Io("the change did not come to its end; look at the flag and at the log".into()))
        })
    }
}
