//! Whether the ledger's files are still the ones that were opened, and the disk has what was written to them.
//!
//! A file that is removed or replaced can still be written by whoever has it open, and all of that is gone with the
//! process: payments that nobody knows, and keys that charge again. So nothing is committed unless the paths name the
//! files that were opened: the database, its log, and the log's index, without which a second process would take the
//! log for its own. Only those very files heal it. Not noticed: another content written into the same file.
//!
//! After a sync that failed, whoever's it was, nobody knows what the disk has, and the system does not tell again: it
//! takes the pages for written. So nothing is committed, moved or told any more. Each record that was told of before is
//! in the log on disk; a restart reads it from its start.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::{Connection, config::DbConfig, ffi};
use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
use rustix::io::Errno;

use super::{Location, with_suffix};
use crate::payments::ledger::{LedgerError, OpenError};

/// What a file is, whatever its name: its device and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self(file.dev(), file.ino())
    }

    /// Of the file that has this name now, without a look at its times: since Linux 6.13, once somebody has seen them,
    /// the next write notes a finer one, and ext4 without a journal syncs that as well. Each group would wait twice.
    fn at(path: &Path) -> io::Result<Self> {
        match statx(CWD, path, AtFlags::empty(), StatxFlags::INO) {
            Ok(found) => Ok(Self(makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino)),
            // A sandbox that does not know the call.
            Err(Errno::NOSYS) => std::fs::metadata(path).map(|found| Self::of(&found)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Makes what was written to a file durable: [`File::sync_data`], but in tests.
pub(super) type SyncFile = fn(&File) -> io::Result<()>;

/// The files, as they were opened.
#[derive(Debug)]
pub(super) struct Files {
    location: Location,
    /// Kept open as long as there are connections: to close it would end SQLite's own locks on it.
    database: File,
    opened: [(PathBuf, Identity); 3],
    sync: SyncFile,
    /// The first sync that failed.
    failed_sync: OnceLock<String>,
}

impl Files {
    /// While a connection is open, which keeps the log and its index where they are.
    pub(super) fn opened(location: Location, database: File, sync: SyncFile) -> Result<Self, OpenError> {
        let failed = |path: &Path, source| OpenError::File { path: path.into(), source };
        let path = &location.0;
        let own = database.metadata().map_err(|source| failed(path, source))?;
        let beside = |suffix| -> Result<_, OpenError> {
            let path = with_suffix(path, suffix);
            let found = Identity::at(&path).map_err(|source| failed(&path, source))?;
            Ok((path, found))
        };
        let opened = [(path.clone(), Identity::of(&own)), beside("-wal")?, beside("-shm")?];
        Ok(Self { location, database, opened, sync, failed_sync: OnceLock::new() })
    }

    /// Whether they are still there, and durable. Cheap enough for every commit: three looks at the file system's cache.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        self.check_syncs()?;
        for (path, opened) in &self.opened {
            let found = match Identity::at(path) {
                Ok(found) if found == *opened => continue,
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

    /// Whether every sync so far has worked.
    pub(super) fn check_syncs(&self) -> Result<(), LedgerError> {
        self.failed_sync.get().map_or(Ok(()), |failure| Err(LedgerError::Unavailable(failure.clone())))
    }

    /// Makes durable what was moved into the database.
    pub(super) fn sync_database(&self) -> Result<(), LedgerError> {
        self.sync(&self.database)
    }

    /// Makes durable what was written to one of the files, and all that was written to it before.
    pub(super) fn sync(&self, file: &File) -> Result<(), LedgerError> {
        if let Err(error) = (self.sync)(file) {
            self.note_failed_sync(&error);
        }
        // Another thread may have been told of what concerns this one, too.
        self.check_syncs()
    }

    /// To be told of every error of a statement that may have synced.
    pub(super) fn note(&self, error: &rusqlite::Error) {
        let extended = error.sqlite_error().map_or(0, |detail| detail.extended_code);
        if matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) {
            self.note_failed_sync(error);
        }
    }

    fn note_failed_sync(&self, error: &dyn std::fmt::Display) {
        let failure = || {
            let path = self.location.0.display();
            tracing::error!(%error, ledger = %path, "The payment ledger can't be made durable; payments are refused");
            format!("{path} can't be made durable ({error}); see to the disk, then restart the gateway")
        };
        self.failed_sync.get_or_init(failure);
    }

    /// The log, to be synced by whoever writes to it.
    pub(super) fn open_log(&self) -> Result<File, OpenError> {
        let (path, opened) = &self.opened[1];
        let failed = |source| OpenError::File { path: path.clone(), source };
        let log = File::open(path).map_err(failed)?;
        if Identity::of(&log.metadata().map_err(failed)?) != *opened {
            return Err(failed(io::Error::other("another file is in its place")));
        }
        Ok(log)
    }

    /// Before a connection is closed: the last one would move the log and delete it, which only a sound disk allows.
    pub(super) fn before_closing(&self, connection: &Connection) {
        if self.check_syncs().is_err()
            && let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "The payment ledger's log may be lost");
        }
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

/// Writes all of a log to the disk again, durably, for a process that nobody shares the files with.
///
/// Its predecessor may have been killed before its last sync, or that sync may have failed: then there are pages that
/// can be read and are taken for written, and are not on the disk.
pub(super) fn write_again(log: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let (mut part, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read_at(&mut part, at)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all_at(&part[..read], at)?;
        at += read as u64;
    }
}

#[cfg(test)]
mod tests;
