//! The embedded ledger: SQLite in one file, write-ahead log, every commit synced before anybody hears of it.
//!
//! One group is written at a time ([`writer`]); reads have connections of their own, and wait only until what they
//! have found is durable.
//! Several processes may share the file (a gateway that hands over to its successor): leases say
//! who is at work on a payment. A process that finds itself alone ends all leases at once, because
//! whoever held them is gone.

mod checkpointer;
mod files;
mod rows;
pub(super) mod schema;
pub(super) mod statements;
mod unsettled;
mod writer;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use self::checkpointer::{LONG, LONGEST, PAGE};
use self::files::{Files, SyncFile, write_again};
use self::unsettled::Unsettled;
use self::writer::Writer;
use super::known::Known;
use super::{
    Accepted, Claimed, Filter, JournalEntry, KeyUse, Lease, Ledger, LedgerError, LedgerFuture, NewPayment, OpenError,
    Save, StoredPayment, Tally, random_secret,
};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::types::ProviderName;

/// How long to wait for another process that is writing.
const BUSY: Duration = Duration::from_secs(2);
/// What a connection that writes keeps of the file in memory: indexes of random keys touch pages everywhere.
const CACHE_KIB: u32 = 64 << 10;
/// Reads at once.
const READERS: usize = 4;

fn open_error(error: rusqlite::Error) -> OpenError {
    OpenError::Database(error.to_string())
}

/// Where the ledger is, and how connections to it are made.
#[derive(Debug, Clone)]
struct Location(PathBuf);

impl Location {
    /// A connection that writes.
    fn connect(&self) -> Result<Connection, OpenError> {
        // Not SQLITE_OPEN_CREATE: a ledger that vanished is a failure, not a new ledger.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0, flags).map_err(open_error)?;
        connection.busy_timeout(BUSY).map_err(open_error)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{CACHE_KIB}; \
                 PRAGMA wal_autocheckpoint = {LONGEST}; PRAGMA journal_size_limit = {};",
                LONGEST * PAGE
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
    unsettled: Arc<Unsettled>,
    known: Arc<Known>,
    secret: [u8; 32],
    opened_at: Timestamp,
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
        Self::open_with(path, now, File::sync_data)
    }

    fn open_with(path: &Path, now: Timestamp, sync: SyncFile) -> Result<Self, OpenError> {
        let presence = open_private(&with_suffix(path, ".lock"))?;
        let database = open_private(path)?;
        let alone = presence.try_lock().is_ok();
        let location = Location(path.to_path_buf());
        let mut connection = location.connect()?;
        let secret = schema::prepare(&mut connection, random_secret)?;
        // A wall clock that went back since would make what is waited for wait longer.
        let opened_at = statements::last_change(&connection)?.map_or(now, |last| last.max(now));
        if alone {
            // After SQLite has looked at what is valid in it, and before anybody hears what that says.
            let log = with_suffix(path, "-wal");
            write_again(&log).map_err(|source| OpenError::File { path: log, source })?;
            let interrupted = statements::end_all_leases(&connection, opened_at)?;
            if interrupted > 0 {
                tracing::warn!(payments = interrupted, "Payments were interrupted; what became of them is looked up");
            }
            presence.unlock().map_err(|source| OpenError::File { path: path.into(), source })?;
        } else {
            tracing::warn!(
                ledger = %path.display(),
                "Another process uses this payment ledger; it is for one gateway, but for the moments of a hand-over"
            );
        }
        presence.lock_shared().map_err(|source| OpenError::File { path: path.into(), source })?;
        let files = Arc::new(Files::opened(location, database, sync)?);
        let log_end = Arc::default();
        let checkpointer = checkpointer::start(Arc::clone(&files), Arc::clone(&log_end), LONG)?;
        let unsettled = Arc::default();
        let writer = Writer::start(&files, log_end, &unsettled)?;
        let readers = Arc::new(Readers { idle: Mutex::default(), places: Semaphore::new(READERS), files });
        let known = Arc::default();
        Ok(Self {
            writer,
            readers,
            unsettled,
            known,
            secret,
            opened_at,
            _checkpointer: checkpointer,
            _presence: presence,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let readers = Arc::clone(&self.readers);
        let unavailable = |error: &dyn std::fmt::Display| LedgerError::Unavailable(error.to_string());
        let place = self.readers.places.acquire().await.map_err(|error| unavailable(&error))?;
        let result = tokio::task::spawn_blocking(move || {
            let mut connection = readers.take()?;
            // Several statements see one state of the ledger.
            let result = connection.transaction().map_err(LedgerError::from).and_then(|reading| work(&reading));
            // One that failed may be broken; the next read opens another.
            if result.is_ok() {
                readers.put_back(connection);
            }
            result
        })
        .await
        .map_err(|error| unavailable(&error))?;
        drop(place);
        self.unsettled.settled().await;
        self.readers.files.check_syncs()?;
        result
    }
}

impl Ledger for EmbeddedLedger {
    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted> {
        let known = Arc::clone(&self.known);
        Box::pin(self.writer.write(move |connection| statements::accept(connection, &known, &new)))
    }

    fn save(&self, save: Save) -> LedgerFuture<'_, ()> {
        let known = Arc::clone(&self.known);
        Box::pin(self.writer.write(move |connection| statements::save(connection, &known, &save)))
    }

    fn claim(&self, id: PaymentId, lease: Lease, now: Timestamp) -> LedgerFuture<'_, Claimed> {
        let known = Arc::clone(&self.known);
        Box::pin(self.writer.write(move |connection| statements::claim(connection, &known, &id, lease, now)))
    }

    fn claim_due(&self, lease: Lease, now: Timestamp, limit: u32) -> LedgerFuture<'_, Vec<StoredPayment>> {
        Box::pin(async move {
            // The worker asks all the time, and mostly in vain: the writer is not for that.
            if !self.read(move |connection| statements::is_anything_due(connection, now)).await? {
                return Ok(Vec::new());
            }
            let known = Arc::clone(&self.known);
            self.writer.write(move |connection| statements::claim_due(connection, &known, lease, now, limit)).await
        })
    }

    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<(StoredPayment, KeyUse)>> {
        Box::pin(self.read(move |connection| statements::by_key(connection, &key)))
    }

    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::payment(connection, &id)))
    }

    fn by_provider_ref(&self, provider: ProviderName, reference: String) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::by_provider_ref(connection, &provider, &reference)))
    }

    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>> {
        Box::pin(self.read(move |connection| statements::journal(connection, &id)))
    }

    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>> {
        Box::pin(self.read(move |connection| statements::list(connection, &filter)))
    }

    fn tally(&self) -> LedgerFuture<'_, Tally> {
        Box::pin(self.read(statements::tally))
    }

    fn note_event(
        &self,
        provider: ProviderName,
        event: Digest,
        about: Option<PaymentId>,
        now: Timestamp,
    ) -> LedgerFuture<'_, bool> {
        Box::pin(
            self.writer
                .write(move |connection| statements::note_event(connection, &provider, &event, about.as_ref(), now)),
        )
    }

    fn prune(&self, before: Timestamp, limit: u32) -> LedgerFuture<'_, u64> {
        Box::pin(self.writer.write(move |connection| statements::prune(connection, before, limit)))
    }
}

/// Connections that read.
#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    places: Semaphore,
    files: Arc<Files>,
}

impl Readers {
    fn take(&self) -> Result<Connection, LedgerError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.files.connect_reader(), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
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

#[cfg(test)]
mod tests;
