//! The embedded ledger's tables. Version 1; a change is a further entry in [`MIGRATIONS`].

use rusqlite::Connection;

use super::OpenError;
use crate::payments::ledger::embedded::open_error;

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
        fingerprint BLOB NOT NULL,
        order_id    TEXT NOT NULL,
        amount      INTEGER NOT NULL CHECK (amount > 0),
        currency    TEXT NOT NULL,
        method      TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('not_processed', 'pending', 'succeeded', 'declined')),
        lease_until INTEGER,
        created     INTEGER NOT NULL,
        updated     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pending_payments ON payments (id) WHERE state = 'pending';
    CREATE INDEX payments_by_order ON payments (order_id);

    -- The primary key is the rule that a client's key names one payment.
    CREATE TABLE keys (
        key     BLOB PRIMARY KEY,
        payment TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE attempts (
        payment         TEXT NOT NULL,
        number          INTEGER NOT NULL CHECK (number > 0),
        provider        TEXT NOT NULL,
        state           TEXT NOT NULL CHECK (state IN ('intent', 'succeeded', 'declined', 'soft_declined',
                            'not_processed', 'unknown', 'resolving', 'voided', 'manual')),
        order_reference TEXT NOT NULL,
        provider_ref    TEXT,
        decline_code    TEXT,
        reason          TEXT,
        started         INTEGER NOT NULL,
        ended           INTEGER,
        PRIMARY KEY (payment, number)
    ) STRICT, WITHOUT ROWID;
    -- The release rule: no further attempt while one is not released.
    CREATE UNIQUE INDEX one_live_attempt ON attempts (payment)
        WHERE state NOT IN ('not_processed', 'voided', 'soft_declined');

    CREATE TABLE journal (
        payment TEXT NOT NULL,
        entry   INTEGER NOT NULL,
        at      INTEGER NOT NULL,
        record  TEXT NOT NULL,
        PRIMARY KEY (payment, entry)
    ) STRICT, WITHOUT ROWID;
"];

/// Brings the tables up to date and returns the ledger's secret, made by `random` the first time.
pub(super) fn prepare(connection: &mut Connection, random: impl FnOnce() -> [u8; 32]) -> Result<[u8; 32], OpenError> {
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
