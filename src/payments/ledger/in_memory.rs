//! The embedded ledger's tables in memory, without threads: for tests in virtual time, with faults on demand.
//!
//! One [`InMemoryLedger`] is what one process has open. [`InMemoryLedger::open_again`] is another
//! process on the same tables, at the same time or after the first has died. A hook hears of each
//! write before and after it, and may end the process there: nothing that it asks of the ledger is
//! ever answered again.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, TransactionBehavior};

use super::embedded::{schema, statements};
use super::known::Known;
use super::{
    Accepted, Claimed, Filter, JournalEntry, KeyUse, Lease, Ledger, LedgerError, LedgerFuture, NewPayment, Save,
    StoredPayment, Tally,
};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::types::ProviderName;

/// When a new ledger is opened.
pub(in crate::payments) const OPENED: Timestamp = Timestamp(1_795_291_200_000);

/// Which side of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payments) enum Side {
    /// Nothing of it is durable.
    Before,
    /// It is durable, and nobody has heard of that.
    After,
}

/// What becomes of the process at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payments) enum Fate {
    Live,
    Die,
}

/// Hears of the writes of a process, by their ordinal from 1.
type Hook = Box<dyn Fn(u64, Side) -> Fate + Send + Sync>;

pub(in crate::payments) struct InMemoryLedger {
    tables: Arc<Mutex<Connection>>,
    known: Known,
    opened_at: Timestamp,
    /// Writes that fail from now on; counts down.
    pub(in crate::payments) failing_accepts: AtomicU32,
    pub(in crate::payments) failing_saves: AtomicU32,
    /// Nothing can be read or written while this is set.
    pub(in crate::payments) down: AtomicBool,
    writes: AtomicU64,
    hook: Mutex<Option<Hook>>,
    dead: AtomicBool,
}

impl fmt::Debug for InMemoryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemoryLedger")
    }
}

impl InMemoryLedger {
    /// A new ledger.
    pub(in crate::payments) fn new() -> Arc<Self> {
        let mut connection = Connection::open_in_memory().expect("memory");
        schema::prepare(&mut connection, || [9; 32]).expect("tables");
        connection.set_prepared_statement_cache_capacity(64);
        Self::with_tables(Arc::new(Mutex::new(connection)), OPENED)
    }

    fn with_tables(tables: Arc<Mutex<Connection>>, opened_at: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            tables,
            known: Known::default(),
            opened_at,
            failing_accepts: AtomicU32::new(0),
            failing_saves: AtomicU32::new(0),
            down: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            hook: Mutex::default(),
            dead: AtomicBool::new(false),
        })
    }

    /// Another process on the same tables. One that is `alone`, because all others are dead, ends
    /// all leases, as the embedded ledger does.
    pub(in crate::payments) fn open_again(&self, now: Timestamp, alone: bool) -> Arc<Self> {
        let opened_at = {
            let connection = self.tables.lock().expect("no test panicked in here");
            let last = statements::last_change(&connection).expect("readable");
            let opened_at = last.map_or(now, |last| last.max(now));
            if alone {
                statements::end_all_leases(&connection, opened_at).expect("writable");
            }
            opened_at
        };
        Self::with_tables(Arc::clone(&self.tables), opened_at)
    }

    /// From now on the hook hears of each write of this process.
    pub(in crate::payments) fn on_write(&self, hook: impl Fn(u64, Side) -> Fate + Send + Sync + 'static) {
        *self.hook.lock().expect("no test panicked in here") = Some(Box::new(hook));
    }

    /// How many writes this process has begun.
    pub(in crate::payments) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether the hook has ended this process.
    pub(in crate::payments) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Does `work` in one transaction.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(LedgerError::Unavailable("the ledger is down".into()));
        }
        let mut connection = self.tables.lock().expect("no test panicked in here");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        let result = work(&transaction);
        if result.is_ok() {
            transaction.commit().expect("a commit");
        }
        result
    }

    fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> LedgerFuture<'_, T> {
        if self.is_dead() {
            return never();
        }
        soon(self.run(work))
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> LedgerFuture<'_, T> {
        let ordinal = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.is_dead() || self.dies(ordinal, Side::Before) {
            return never();
        }
        let result = self.run(work);
        if self.dies(ordinal, Side::After) {
            return never();
        }
        soon(result)
    }

    fn dies(&self, ordinal: u64, side: Side) -> bool {
        let hook = self.hook.lock().expect("no test panicked in here");
        let dies = hook.as_ref().is_some_and(|hook| hook(ordinal, side) == Fate::Die);
        self.dead.fetch_or(dies, Ordering::SeqCst);
        dies
    }
}

/// As with a real ledger, others get their turn before the answer is there.
fn soon<T: Send + 'static>(result: Result<T, LedgerError>) -> LedgerFuture<'static, T> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        result
    })
}

fn never<T: Send + 'static>() -> LedgerFuture<'static, T> {
    Box::pin(std::future::pending())
}

fn fails(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn full<T: Send + 'static>() -> LedgerFuture<'static, T> {
    soon(Err(LedgerError::Unavailable("database or disk is full".into())))
}

impl Ledger for InMemoryLedger {
    fn secret(&self) -> [u8; 32] {
        [9; 32]
    }

    fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted> {
        if fails(&self.failing_accepts) {
            return full();
        }
        self.write(|connection| statements::accept(connection, &self.known, &new))
    }

    fn save(&self, save: Save) -> LedgerFuture<'_, ()> {
        if fails(&self.failing_saves) {
            return full();
        }
        self.write(|connection| statements::save(connection, &self.known, &save))
    }

    fn claim(&self, id: PaymentId, lease: Lease, now: Timestamp) -> LedgerFuture<'_, Claimed> {
        self.write(|connection| statements::claim(connection, &self.known, &id, lease, now))
    }

    fn claim_due(&self, lease: Lease, now: Timestamp, limit: u32) -> LedgerFuture<'_, Vec<StoredPayment>> {
        // To look in vain is no write, neither here nor in a file.
        if self.run(|connection| statements::is_anything_due(connection, now)) == Ok(false) {
            return self.read(|_| Ok(Vec::new()));
        }
        self.write(|connection| statements::claim_due(connection, &self.known, lease, now, limit))
    }

    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<(StoredPayment, KeyUse)>> {
        self.read(|connection| statements::by_key(connection, &key))
    }

    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>> {
        self.read(|connection| statements::payment(connection, &id))
    }

    fn by_provider_ref(&self, provider: ProviderName, reference: String) -> LedgerFuture<'_, Option<StoredPayment>> {
        self.read(|connection| statements::by_provider_ref(connection, &provider, &reference))
    }

    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>> {
        self.read(|connection| statements::journal(connection, &id))
    }

    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>> {
        self.read(|connection| statements::list(connection, &filter))
    }

    fn tally(&self) -> LedgerFuture<'_, Tally> {
        self.read(statements::tally)
    }

    fn note_event(
        &self,
        provider: ProviderName,
        event: Digest,
        about: Option<PaymentId>,
        now: Timestamp,
    ) -> LedgerFuture<'_, bool> {
        self.write(|connection| statements::note_event(connection, &provider, &event, about.as_ref(), now))
    }

    fn prune(&self, before: Timestamp, limit: u32) -> LedgerFuture<'_, u64> {
        self.write(|connection| statements::prune(connection, before, limit))
    }
}

#[cfg(test)]
mod tests;
