//! The embedded ledger: SQLite in one file, write-ahead log, every commit synced.
//!
//! One thread writes ([`super::writer`]); reads have connections of their own and never wait for it.
//! Several processes may share the file (a gateway that hands over to its successor): leases say
//! who is at work on a payment. A process that finds itself alone ends all leases at once, because
//! whoever held them is gone.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::writer::Writer;
use super::{
    Accepted, Filter, JournalEntry, Ledger, LedgerError, LedgerFuture, NewPayment, Save, StoredPayment, schema,
    statements,
};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(2);
/// Pages in the write-ahead log at which a commit itself moves them into the file (80 MB). Only
/// under the highest load does the checkpointer leave it that many.
const LOG_PAGES: u32 = 20_000;
/// How often the checkpointer looks.
const CHECKPOINT: Duration = Duration::from_millis(500);
/// Reads at once.
const READERS: usize = 4;

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder can't be made, read or written.
    #[error("the payment ledger {path}: {source}; the folder must exist and be writable")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite can't use it.
    #[error("the payment ledger can't be opened: {0}")]
    Database(String),
    /// The file belongs to another program.
    #[error("the payment ledger's file is a database of another program; name a new file in payments.ledger")]
    Foreign,
    /// A later figway wrote it.
    #[error("the payment ledger has version {version}, which this figway does not know; use the newer one")]
    Newer {
        /// Its version.
        version: usize,
    },
    /// No thread for it.
    #[error("the payment ledger's thread can't be started: {0}")]
    Thread(std::io::Error),
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        Self::Database(error.to_string())
    }
}

pub(super) fn open_error(error: rusqlite::Error) -> OpenError {
    OpenError::Database(error.to_string())
}

/// Where the ledger is, and how connections to it are made.
#[derive(Debug, Clone)]
pub(super) struct Location(PathBuf);

impl Location {
    /// A connection that writes.
    pub(super) fn connect(&self) -> Result<Connection, OpenError> {
        // Not SQLITE_OPEN_CREATE: a ledger that vanished is a failure, not a new ledger.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0, flags).map_err(open_error)?;
        connection.busy_timeout(BUSY).map_err(open_error)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {LOG_PAGES};"
            ))
            .map_err(open_error)?;
        Ok(connection)
    }

    fn connect_reader(&self) -> Result<Connection, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct EmbeddedLedger {
    writer: Writer,
    readers: Arc<Readers>,
    secret: [u8; 32],
    /// Ends the checkpointer when it is dropped.
    _checkpointer: SyncSender<()>,
    /// Held shared as long as this process uses the ledger.
    _presence: File,
}

impl EmbeddedLedger {
    /// Opens or creates the ledger in this file. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and how to mend it.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let presence = open_private(&with_suffix(path, ".lock"))?;
        drop(open_private(path)?);
        let alone = presence.try_lock().is_ok();
        let location = Location(path.to_path_buf());
        let mut connection = location.connect()?;
        let secret = schema::prepare(&mut connection, random_secret)?;
        if alone {
            let recovered = end_all_leases(&mut connection, now)?;
            if recovered > 0 {
                tracing::warn!(
                    payments = recovered,
                    "Payments were interrupted; their outcome is unknown until resolved"
                );
            }
            presence.unlock().map_err(|source| OpenError::File { path: path.into(), source })?;
        }
        presence.lock_shared().map_err(|source| OpenError::File { path: path.into(), source })?;
        let checkpointer = start_checkpointer(location.connect()?)?;
        let writer = Writer::start(connection, location.clone())?;
        let readers = Arc::new(Readers { location, idle: Mutex::default(), places: Semaphore::new(READERS) });
        Ok(Self { writer, readers, secret, _checkpointer: checkpointer, _presence: presence })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let readers = Arc::clone(&self.readers);
        let unavailable = |error: &dyn std::fmt::Display| LedgerError::Unavailable(error.to_string());
        let _place = self.readers.places.acquire().await.map_err(|error| unavailable(&error))?;
        tokio::task::spawn_blocking(move || {
            let connection = readers.take()?;
            let result = work(&connection);
            // One that failed may be broken; the next read opens another.
            if result.is_ok() {
                readers.put_back(connection);
            }
            result
        })
        .await
        .map_err(|error| unavailable(&error))?
    }
}

impl Ledger for EmbeddedLedger {
    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted> {
        Box::pin(self.writer.write(move |connection| statements::accept(connection, &new)))
    }

    fn save(&self, save: Save) -> LedgerFuture<'_, ()> {
        Box::pin(self.writer.write(move |connection| statements::save(connection, &save)))
    }

    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::by_key(connection, &key)))
    }

    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::payment(connection, &id)))
    }

    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>> {
        Box::pin(self.read(move |connection| statements::journal(connection, &id)))
    }

    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::list(connection, &filter)))
    }

    fn count_pending(&self) -> LedgerFuture<'_, u64> {
        Box::pin(self.read(statements::count_pending))
    }

    fn recover(&self, now: Timestamp) -> LedgerFuture<'_, u64> {
        Box::pin(async move {
            // Asked every second: most times there is nothing to write.
            if !self.read(move |connection| statements::has_expired(connection, now)).await? {
                return Ok(0);
            }
            self.writer.write(move |connection| statements::recover(connection, now)).await
        })
    }
}

/// Moves the write-ahead log into the file beside the writer, whose commits would otherwise wait for
/// it now and then, long enough to be noticed.
fn start_checkpointer(connection: Connection) -> Result<SyncSender<()>, OpenError> {
    let (sender, ended) = sync_channel::<()>(0);
    let run = move || {
        while ended.recv_timeout(CHECKPOINT) == Err(RecvTimeoutError::Timeout) {
            // What fails here fails again, and loudly, in the writer's own checkpoint.
            let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    };
    std::thread::Builder::new().name("checkpointer".into()).spawn(run).map_err(OpenError::Thread)?;
    Ok(sender)
}

/// Connections that read.
#[derive(Debug)]
struct Readers {
    location: Location,
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
}

impl Readers {
    fn take(&self) -> Result<Connection, LedgerError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.location.connect_reader(), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn end_all_leases(connection: &mut Connection, now: Timestamp) -> Result<u64, OpenError> {
    let transaction = connection.transaction().map_err(open_error)?;
    transaction
        .execute("UPDATE payments SET lease_until = ?1 WHERE lease_until IS NOT NULL", [now.0])
        .map_err(open_error)?;
    let mut recovered = 0;
    loop {
        match statements::recover(&transaction, now)? {
            0 => break,
            some => recovered += some,
        }
    }
    transaction.commit().map_err(open_error)?;
    Ok(recovered)
}

/// Opens or creates a file that only its owner can read.
fn open_private(path: &Path) -> Result<File, OpenError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|source| OpenError::File { path: path.into(), source })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn random_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).expect("the system's random source never fails once it is seeded");
    secret
}

#[cfg(test)]
mod tests;
