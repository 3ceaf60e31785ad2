//! The embedded ledger's tables. Version 1; a change is a further entry in [`MIGRATIONS`].
//!
//! No condition is an `IN` of more than two words: SQLite makes a temporary table of such a list whenever
//! a statement begins, which took half of the time of a write. Each page that a write changes costs as much
//! again, in the log and then in the file: so few indexes, and no rows that grow in the middle of a table.

use rusqlite::Connection;

use super::open_error;
use crate::payments::ledger::OpenError;

/// "Figw" in the file's header, so that no other program's database is ever written to.
const APPLICATION_ID: i32 = 0x4669_6777;

/// Each brings the tables from its index to the next version.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta (
        name  TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE payments (
        id          TEXT PRIMARY KEY,
        client      BLOB NOT NULL,
        order_id    TEXT NOT NULL,
        amount      INTEGER NOT NULL CHECK (amount > 0),
        currency    TEXT NOT NULL,
        method      TEXT NOT NULL,
        capture     INTEGER NOT NULL CHECK (capture IN (0, 1)),
        given_up    INTEGER NOT NULL CHECK (given_up IN (0, 1)),
        state       TEXT NOT NULL CHECK (state = 'not_processed' OR state = 'pending' OR state = 'requires_action' OR
                        state = 'succeeded' OR state = 'declined' OR state = 'cancelled'),
        manual      INTEGER NOT NULL CHECK (manual IN (0, 1)),
        at_rest     INTEGER NOT NULL CHECK (at_rest IN (0, 1)),
        holder      INTEGER,
        lease_until INTEGER CHECK ((lease_until IS NULL) = (holder IS NULL)),
        due         INTEGER,
        looks       INTEGER NOT NULL,
        key         BLOB NOT NULL,
        last_entry  INTEGER NOT NULL,
        created     INTEGER NOT NULL,
        updated     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- What the worker is to look at, by the moment from which it may.
    CREATE INDEX payments_to_wake ON payments (coalesce(lease_until, due))
        WHERE coalesce(lease_until, due) IS NOT NULL;
    CREATE INDEX pending_payments ON payments (id) WHERE state = 'pending';
    CREATE INDEX waiting_payments ON payments (id) WHERE state = 'requires_action';
    CREATE INDEX manual_payments ON payments (id) WHERE manual = 1;
    CREATE INDEX payments_by_order ON payments (order_id);
    -- What nothing is to wake any more, by the time from which it may be forgotten.
    CREATE INDEX sleeping_payments ON payments (updated) WHERE coalesce(lease_until, due) IS NULL;

    -- The primary key is the rule that a client's key names one payment and one use.
    CREATE TABLE keys (
        key         BLOB PRIMARY KEY,
        payment     TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        operation   TEXT NOT NULL CHECK (operation = 'charge' OR operation = 'confirm' OR operation = 'cancel' OR
                        operation = 'refund'),
        refund      INTEGER
    ) STRICT, WITHOUT ROWID;
    -- A payment knows the key that it was made with; few have others.
    CREATE INDEX later_keys ON keys (payment) WHERE operation <> 'charge';

    CREATE TABLE attempts (
        payment         TEXT NOT NULL,
        number          INTEGER NOT NULL CHECK (number > 0),
        provider        TEXT NOT NULL,
        operation       TEXT NOT NULL CHECK (operation = 'charge' OR operation = 'prepare' OR operation = 'confirm'),
        state           TEXT NOT NULL CHECK (state = 'intent' OR state = 'prepared' OR state = 'succeeded' OR
                        state = 'declined' OR state = 'soft_declined' OR state = 'not_processed' OR
                        state = 'unknown' OR state = 'resolving' OR state = 'voided' OR state = 'manual'),
        live            INTEGER NOT NULL CHECK (live = (state <> 'not_processed' AND state <> 'voided' AND
                        state <> 'soft_declined')),
        order_reference TEXT NOT NULL,
        lookup          TEXT NOT NULL,
        provider_ref    TEXT,
        decline_code    TEXT,
        reason          TEXT,
        next_action     TEXT,
        started         INTEGER NOT NULL,
        ended           INTEGER,
        voiding         TEXT CHECK (voiding = 'unresolved' OR voiding = 'cancelled' OR voiding = 'expired' OR
                        voiding = 'late_capture'),
        late_capture    TEXT CHECK (late_capture = 'resolving' OR late_capture = 'voided' OR late_capture = 'manual'),
        PRIMARY KEY (payment, number)
    ) STRICT, WITHOUT ROWID;
    -- The release rule: no further attempt while one is not released. By a column of its own, so that the index is
    -- written to only when that changes.
    CREATE UNIQUE INDEX one_live_attempt ON attempts (payment) WHERE live = 1;
    CREATE INDEX attempts_by_provider_ref ON attempts (provider_ref, provider) WHERE provider_ref IS NOT NULL;

    CREATE TABLE refunds (
        payment         TEXT NOT NULL,
        number          INTEGER NOT NULL CHECK (number > 0),
        amount          INTEGER NOT NULL CHECK (amount > 0),
        state           TEXT NOT NULL CHECK (state = 'intent' OR state = 'succeeded' OR state = 'declined' OR
                        state = 'not_processed' OR state = 'unknown' OR state = 'manual'),
        reference       TEXT NOT NULL,
        refunded_before INTEGER NOT NULL,
        provider_ref    TEXT,
        reason          TEXT,
        started         INTEGER NOT NULL,
        ended           INTEGER,
        PRIMARY KEY (payment, number)
    ) STRICT, WITHOUT ROWID;
    -- No further refund while one may still happen.
    CREATE UNIQUE INDEX one_open_refund ON refunds (payment)
        WHERE state = 'intent' OR state = 'unknown' OR state = 'manual';

    -- Only ever added to at its end, whichever payment an entry is about: each names the one before it.
    CREATE TABLE journal (
        entry   INTEGER PRIMARY KEY,
        payment TEXT NOT NULL,
        before  INTEGER,
        at      INTEGER NOT NULL,
        record  TEXT NOT NULL
    ) STRICT;

    CREATE TABLE events (
        provider TEXT NOT NULL,
        event    BLOB NOT NULL,
        at       INTEGER NOT NULL,
        PRIMARY KEY (provider, event)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX events_by_time ON events (at);
"];

/// Brings the tables up to date and returns the ledger's secret, made by `random` the first time.
pub(in crate::payments::ledger) fn prepare(
    connection: &mut Connection,
    random: impl FnOnce() -> [u8; 32],
) -> Result<[u8; 32], OpenError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(open_error)?;
    let version = usize::try_from(pragma(&transaction, "user_version")?).unwrap_or(usize::MAX);
    let application = pragma(&transaction, "application_id")?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(open_error)?;
    if application != i64::from(APPLICATION_ID) && (tables > 0 || application != 0) {
        return Err(OpenError::Foreign);
    }
    let Some(missing) = MIGRATIONS.get(version..) else { return Err(OpenError::Newer { version }) };
    for migration in missing {
        transaction.execute_batch(migration).map_err(open_error)?;
    }
    if !missing.is_empty() {
        let version = MIGRATIONS.len();
        let header = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};");
        transaction.execute_batch(&header).map_err(open_error)?;
    }
    let secret = transaction.query_row("SELECT value FROM meta WHERE name = 'secret'", [], |row| row.get(0));
    let secret = match secret {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            let secret = random();
            transaction
                .execute("INSERT INTO meta (name, value) VALUES ('secret', ?1)", [&secret])
                .map_err(open_error)?;
            secret
        }
        other => other.map_err(open_error)?,
    };
    transaction.commit().map_err(open_error)?;
    Ok(secret)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, OpenError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(open_error)
}
