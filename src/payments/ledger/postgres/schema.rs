//! The tables in PostgreSQL, in a schema of their own. Version 1; a change is a further entry in [`MIGRATIONS`].
//!
//! They are the embedded ledger's tables with the same names, so that what is known of one helps with
//! the other. Names of payments sort as bytes (`COLLATE "C"`), whatever the database's language.

use tokio_postgres::Client;

use crate::payments::ledger::{LedgerError, OpenError};

/// Two gateways that start at once take turns: "figw" and "ledg".
const LOCK: i64 = 0x6669_6777_6C65_6467;

/// Each brings the tables from its index to the next version.
const MIGRATIONS: &[&str] = &[r#"
    -- Words as domains: PostgreSQL parses a table's own CHECKs again for each statement that writes; long ones cost.
    CREATE DOMAIN figway.payment_state AS text CHECK (VALUE IN ('not_processed', 'pending', 'requires_action',
        'succeeded', 'declined', 'cancelled'));
    CREATE DOMAIN figway.attempt_state AS text CHECK (VALUE IN ('intent', 'prepared', 'succeeded', 'declined',
        'soft_declined', 'not_processed', 'unknown', 'resolving', 'voided', 'manual'));
    CREATE DOMAIN figway.refund_state AS text CHECK (VALUE IN ('intent', 'succeeded', 'declined', 'not_processed',
        'unknown', 'manual'));
    CREATE DOMAIN figway.late_capture_state AS text CHECK (VALUE IN ('resolving', 'voided', 'manual'));
    CREATE DOMAIN figway.void_reason AS text CHECK (VALUE IN ('unresolved', 'cancelled', 'expired', 'late_capture'));
    CREATE DOMAIN figway.attempt_operation AS text CHECK (VALUE IN ('charge', 'prepare', 'confirm'));
    CREATE DOMAIN figway.key_operation AS text CHECK (VALUE IN ('charge', 'confirm', 'cancel', 'refund'));

    CREATE TABLE figway.meta (
        name  text PRIMARY KEY,
        value bytea NOT NULL
    );

    CREATE TABLE figway.payments (
        id          text COLLATE "C" PRIMARY KEY,
        client      bytea NOT NULL,
        order_id    text NOT NULL,
        amount      bigint NOT NULL CHECK (amount > 0),
        currency    text NOT NULL,
        method      text NOT NULL,
        capture     boolean NOT NULL,
        given_up    boolean NOT NULL,
        state       figway.payment_state NOT NULL,
        manual      boolean NOT NULL,
        at_rest     boolean NOT NULL,
        holder      bigint,
        lease_until bigint CHECK ((lease_until IS NULL) = (holder IS NULL)),
        due         bigint,
        looks       bigint NOT NULL,
        entries     bigint NOT NULL,
        created     bigint NOT NULL,
        updated     bigint NOT NULL
    );
    -- What the worker is to look at, by the moment from which it may.
    CREATE INDEX payments_to_wake ON figway.payments (coalesce(lease_until, due))
        WHERE coalesce(lease_until, due) IS NOT NULL;
    CREATE INDEX pending_payments ON figway.payments (id) WHERE state = 'pending';
    CREATE INDEX waiting_payments ON figway.payments (id) WHERE state = 'requires_action';
    CREATE INDEX manual_payments ON figway.payments (id) WHERE manual;
    CREATE INDEX payments_by_order ON figway.payments (order_id, id);
    -- What nothing is to wake any more, by the time from which it may be forgotten.
    CREATE INDEX sleeping_payments ON figway.payments (updated) WHERE coalesce(lease_until, due) IS NULL;

    -- The primary key is the rule that a client's key names one payment and one use.
    CREATE TABLE figway.keys (
        key         bytea PRIMARY KEY,
        payment     text COLLATE "C" NOT NULL,
        fingerprint bytea NOT NULL,
        operation   figway.key_operation NOT NULL,
        refund      bigint
    );
    CREATE INDEX keys_by_payment ON figway.keys (payment);

    CREATE TABLE figway.attempts (
        payment         text COLLATE "C" NOT NULL,
        number          bigint NOT NULL CHECK (number > 0),
        provider        text NOT NULL,
        operation       figway.attempt_operation NOT NULL,
        state           figway.attempt_state NOT NULL,
        order_reference text NOT NULL,
        lookup          text NOT NULL,
        provider_ref    text,
        decline_code    text,
        reason          text,
        next_action     json NOT NULL,
        started         bigint NOT NULL,
        ended           bigint,
        voiding         figway.void_reason,
        late_capture    figway.late_capture_state,
        PRIMARY KEY (payment, number)
    );
    -- The release rule: no further attempt while one is not released.
    CREATE UNIQUE INDEX one_live_attempt ON figway.attempts (payment)
        WHERE state NOT IN ('not_processed', 'voided', 'soft_declined');
    CREATE INDEX attempts_by_provider_ref ON figway.attempts (provider_ref, provider) WHERE provider_ref IS NOT NULL;

    CREATE TABLE figway.refunds (
        payment         text COLLATE "C" NOT NULL,
        number          bigint NOT NULL CHECK (number > 0),
        amount          bigint NOT NULL CHECK (amount > 0),
        state           figway.refund_state NOT NULL,
        reference       text NOT NULL,
        refunded_before bigint NOT NULL,
        provider_ref    text,
        reason          text,
        started         bigint NOT NULL,
        ended           bigint,
        PRIMARY KEY (payment, number)
    );
    -- No further refund while one may still happen.
    CREATE UNIQUE INDEX one_open_refund ON figway.refunds (payment) WHERE state IN ('intent', 'unknown', 'manual');

    CREATE TABLE figway.journal (
        payment text COLLATE "C" NOT NULL,
        entry   bigint NOT NULL,
        at      bigint NOT NULL,
        record  json NOT NULL,
        PRIMARY KEY (payment, entry)
    );

    CREATE TABLE figway.events (
        provider text NOT NULL,
        event    bytea NOT NULL,
        at       bigint NOT NULL,
        PRIMARY KEY (provider, event)
    );
    CREATE INDEX events_by_time ON figway.events (at);
"#];

/// Brings the tables up to date and returns the ledger's secret, made by `random` the first time.
/// Asks for no right to create anything once the tables are there.
///
/// # Errors
/// [`OpenError`] says what is wrong.
pub(super) async fn prepare(client: &Client, random: [u8; 32]) -> Result<[u8; 32], OpenError> {
    client.batch_execute("BEGIN").await?;
    client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let known: bool = client.query_one("SELECT to_regclass('figway.version') IS NOT NULL", &[]).await?.try_get(0)?;
    if !known {
        let begin = "CREATE SCHEMA IF NOT EXISTS figway; \
                     CREATE TABLE figway.version (number bigint NOT NULL); INSERT INTO figway.version VALUES (0)";
        client.batch_execute(begin).await?;
    }
    let version: i64 = client.query_one("SELECT number FROM figway.version", &[]).await?.try_get(0)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(version..) else { return Err(OpenError::Newer { version }) };
    for migration in missing {
        client.batch_execute(migration).await?;
    }
    if !missing.is_empty() {
        let now = i64::try_from(MIGRATIONS.len()).expect("a handful");
        client.execute("UPDATE figway.version SET number = $1", &[&now]).await?;
        let insert = "INSERT INTO figway.meta (name, value) VALUES ('secret', $1) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&random.as_slice()]).await?;
    }
    let secret: Vec<u8> =
        client.query_one("SELECT value FROM figway.meta WHERE name = 'secret'", &[]).await?.try_get(0)?;
    client.batch_execute("COMMIT").await?;
    let bad = |_| LedgerError::Unavailable("the secret in figway.meta does not have 32 bytes".into());
    Ok(secret.try_into().map_err(bad)?)
}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        LedgerError::from(error).into()
    }
}
