//! Whether the ledger's files are still the ones that were opened.
//!
//! A file that is removed or replaced can still be written by whoever has it open, and all of that is gone with the
//! process: payments that nobody knows, and keys that charge again. So nothing is committed unless the paths name the
//! files that were opened: the database, its log, and the log's index, without which a second process would take the
//! log for its own. Only those very files heal it. Not noticed: another content written into the same file.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Location, with_suffix};
use crate::payments::ledger::{LedgerError, OpenError};

/// What a file is, whatever its name: its device and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self(file.dev(), file.ino())
    }
}

/// The files, as they were opened.
#[derive(Debug)]
pub(super) struct Files {
    location: Location,
    /// Kept open as long as there are connections: to close it would end SQLite's own locks on it.
    database: File,
    opened: [(PathBuf, Identity); 3],
}

impl Files {
    /// While a connection is open, which keeps the log and its index where they are.
    pub(super) fn opened(location: Location, database: File) -> Result<Self, OpenError> {
        let failed = |path: &Path, source| OpenError::File { path: path.into(), source };
        let path = &location.0;
        let own = database.metadata().map_err(|source| failed(path, source))?;
        let beside = |suffix| -> Result<_, OpenError> {
            let path = with_suffix(path, suffix);
            let found = std::fs::metadata(&path).map_err(|source| failed(&path, source))?;
            Ok((path, Identity::of(&found)))
        };
        let opened = [(path.clone(), Identity::of(&own)), beside("-wal")?, beside("-shm")?];
        Ok(Self { location, database, opened })
    }

    /// Whether they are still there. Cheap enough for every commit: three looks at the file system's cache.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        for (path, opened) in &self.opened {
            let found = match std::fs::metadata(path) {
                Ok(found) if Identity::of(&found) == *opened => continue,
                Ok(_) => "another file is in its place".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(LedgerError::Unavailable(format!(
                "{} was removed or replaced while in use ({found}); put the same file back, or restart the gateway \
                 once the right ledger is in its place",
                path.display()
            )));
        }
        Ok(())
    }

    /// Makes durable what was moved into the database, all at once: SQLite hears of a failure itself.
    pub(super) fn sync_database(&self) {
        let _ = self.database.sync_data();
    }

    /// The log, to be made durable by whoever writes to it.
    pub(super) fn open_log(&self) -> Result<File, OpenError> {
        let (path, _) = &self.opened[1];
        File::open(path).map_err(|source| OpenError::File { path: path.clone(), source })
    }

    /// Another connection to the same files, whose commits are durable.
    pub(super) fn connect(&self) -> Result<Connection, LedgerError> {
        self.check()?;
        self.location.connect().map_err(|error| LedgerError::Unavailable(error.to_string()))
    }

    /// One whose commits are not durable before the log is synced.
    pub(super) fn connect_writer(&self) -> Result<Connection, LedgerError> {
        let connection = self.connect()?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }

    /// Another connection that reads, never from other files.
    pub(super) fn connect_reader(&self) -> Result<Connection, LedgerError> {
        self.check()?;
        self.location.connect_reader()
    }
}

#[cfg(test)]
mod tests;
