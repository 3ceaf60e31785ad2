//! The embedded ledger's tables in memory, without threads: for tests in virtual time, with faults on demand.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::{
    Accepted, Filter, JournalEntry, Ledger, LedgerError, LedgerFuture, NewPayment, Save, StoredPayment, schema,
    statements,
};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;

#[derive(Debug)]
pub(in crate::payments) struct InMemoryLedger {
    connection: Mutex<Connection>,
    /// Writes that fail from now on; counts down.
    pub(in crate::payments) failing_accepts: AtomicU32,
    pub(in crate::payments) failing_saves: AtomicU32,
}

impl InMemoryLedger {
    pub(in crate::payments) fn new() -> Arc<Self> {
        let mut connection = Connection::open_in_memory().expect("memory");
        schema::prepare(&mut connection, || [9; 32]).expect("tables");
        let connection = Mutex::new(connection);
        Arc::new(Self { connection, failing_accepts: AtomicU32::new(0), failing_saves: AtomicU32::new(0) })
    }

    fn with<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> LedgerFuture<'_, T> {
        let mut connection = self.connection.lock().expect("no test panicked in here");
        let transaction = connection.transaction().expect("a transaction");
        let result = work(&transaction);
        if result.is_ok() {
            transaction.commit().expect("a commit");
        }
        // As with a real ledger, others get their turn before the answer is there.
        Box::pin(async move {
            tokio::task::yield_now().await;
            result
        })
    }
}

fn fails(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn full<T: Send + 'static>() -> LedgerFuture<'static, T> {
    Box::pin(std::future::ready(Err(LedgerError::Unavailable("database or disk is full".into()))))
}

impl Ledger for InMemoryLedger {
    fn secret(&self) -> [u8; 32] {
        [9; 32]
    }

    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted> {
        if fails(&self.failing_accepts) {
            return full();
        }
        self.with(|connection| statements::accept(connection, &new))
    }

    fn save(&self, save: Save) -> LedgerFuture<'_, ()> {
        if fails(&self.failing_saves) {
            return full();
        }
        self.with(|connection| statements::save(connection, &save))
    }

    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<StoredPayment>> {
        self.with(|connection| statements::by_key(connection, &key))
    }

    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>> {
        self.with(|connection| statements::payment(connection, &id))
    }

    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>> {
        self.with(|connection| statements::journal(connection, &id))
    }

    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>> {
        self.with(|connection| statements::list(connection, &filter))
    }

    fn count_pending(&self) -> LedgerFuture<'_, u64> {
        self.with(statements::count_pending)
    }

    fn recover(&self, now: Timestamp) -> LedgerFuture<'_, u64> {
        self.with(|connection| statements::recover(connection, now))
    }
}
