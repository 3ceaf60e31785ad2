//! What each operation of the PostgreSQL ledger does.
//!
//! All but a `save` of what this gateway does not know are one statement, and so one transaction, sent
//! together with whatever is read after it. Attempts and refunds travel as JSON of their rows: a payment is
//! loaded by one statement, which sees one state of the ledger, and written by one, whatever changed.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::pool::Session;
use super::rows::{AFTER_PAYMENT, load_query, read_key, read_payment, rows_of, signed, texts_of, unreadable};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::ledger::stored::Loaded;
use crate::payments::ledger::{
    Accepted, Claimed, Filter, JournalEntry, KeyUse, Lease, LedgerError, NewPayment, Save, StoredPayment, Tally,
};
use crate::payments::record::Record;
use crate::types::ProviderName;

macro_rules! prepared {
    ($($name:ident: $sql:expr,)*) => {
        /// The statements of a connection.
        pub(super) struct Prepared { $($name: Statement,)* }

        impl Prepared {
            /// Prepares all of them in one round trip.
            pub(super) async fn new(client: &Client) -> Result<Self, Error> {
                let ($($name,)*) = tokio::try_join!($(async { client.prepare(&$sql).await },)*)?;
                Ok(Self { $($name,)* })
            }
        }
    };
}

prepared! {
    // Nothing happens if the key is taken.
    accept: "WITH taken AS (
            INSERT INTO keys (payment, key, fingerprint, operation, refund) VALUES ($1, $21, $22, $23::text, $24)
            ON CONFLICT (key) DO NOTHING RETURNING payment
        ), begun AS (
            INSERT INTO attempts SELECT new.* FROM taken, json_populate_recordset(NULL::attempts, $19::text::json) new
        ), said AS (
            INSERT INTO journal SELECT payment, entry, $18, record::json
            FROM taken, unnest($20::text[]) WITH ORDINALITY AS new (record, entry)
        )
        INSERT INTO payments (id, client, order_id, amount, currency, method, capture, given_up, state, manual,
            at_rest, holder, lease_until, due, looks, entries, created, updated)
        SELECT payment, $2::bytea, $3::text, $4::bigint, $5::text, $6::text, $7::boolean, $8::boolean, $9::text,
            $10::boolean, $11::boolean, $12::bigint, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint,
            $18::bigint
        FROM taken",
    lock: "SELECT FROM payments WHERE id = $1 FOR UPDATE",
    load: load_query("", "WHERE p.id = $1"),
    load_all: load_query("", "WHERE p.id = ANY($1)"),
    // All or nothing: only if the row is as whoever writes believes.
    // In order: an attempt is released before the next one begins, or the unique index refuses that.
    write: "WITH saved AS (
            UPDATE payments SET given_up = $2, state = $3::text, manual = $4, at_rest = $5, holder = $6,
                lease_until = $7, due = $8, looks = $9, entries = $13 + cardinality($14::text[]), updated = $10
            WHERE id = $1 AND entries = $13 AND holder = $15 AND due IS NOT DISTINCT FROM $16
            RETURNING id
        ), attempted AS (
            INSERT INTO attempts SELECT new.* FROM saved, json_populate_recordset(NULL::attempts, $11::text::json) new
            ORDER BY new.number
            ON CONFLICT (payment, number) DO UPDATE SET operation = excluded.operation, state = excluded.state,
                lookup = excluded.lookup, provider_ref = excluded.provider_ref, decline_code = excluded.decline_code,
                reason = excluded.reason, next_action = excluded.next_action, ended = excluded.ended,
                voiding = excluded.voiding, late_capture = excluded.late_capture
        ), refunded AS (
            INSERT INTO refunds SELECT new.* FROM saved, json_populate_recordset(NULL::refunds, $12::text::json) new
            ORDER BY new.number
            ON CONFLICT (payment, number) DO UPDATE SET state = excluded.state, provider_ref = excluded.provider_ref,
                reason = excluded.reason, ended = excluded.ended
        ), said AS (
            INSERT INTO journal SELECT id, $13 + entry, $10, record::json
            FROM saved, unnest($14::text[]) WITH ORDINALITY AS new (record, entry)
        )
        SELECT FROM saved",
    note_key: "INSERT INTO keys (payment, key, fingerprint, operation, refund) VALUES ($1, $2, $3, $4::text, $5)",
    claim: "UPDATE payments SET holder = $2, lease_until = $3
        WHERE id = $1 AND (lease_until IS NULL OR lease_until <= $4 OR holder = $2)",
    // Whoever holds a payment is left alone until the lease ends; so that is when it may be looked at.
    claim_due: "WITH overdue AS (
            SELECT id, coalesce(lease_until, due) AS since FROM payments
            WHERE coalesce(lease_until, due) <= $3 ORDER BY since LIMIT $4 FOR UPDATE SKIP LOCKED
        )
        UPDATE payments p SET holder = $1, lease_until = $2 FROM overdue WHERE p.id = overdue.id
        RETURNING p.id, overdue.since",
    by_key: load_query(
        ", k.key, k.fingerprint, k.operation, k.refund",
        "JOIN keys k ON k.payment = p.id WHERE k.key = $1",
    ),
    by_provider_ref: load_query(
        "",
        "WHERE p.id = (SELECT payment FROM attempts WHERE provider_ref = $1 AND provider = $2 LIMIT 1)",
    ),
    journal: "SELECT at, record::text FROM journal WHERE payment = $1 ORDER BY entry",
    tally: "SELECT (SELECT count(*) FROM payments WHERE state = 'pending'),
        (SELECT count(*) FROM payments WHERE manual),
        (SELECT count(*) FROM payments WHERE state = 'requires_action')",
    // Both parts see the ledger as it was before. Of two that come at once both hurry, and one is noted.
    note_event: "WITH hurried AS (
            UPDATE payments SET due = $3 WHERE id = $4::text AND (due > $3 OR lease_until IS NOT NULL)
                AND NOT EXISTS (SELECT FROM events WHERE provider = $1 AND event = $2)
        )
        INSERT INTO events (provider, event, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    prune: "WITH old AS (
            SELECT id FROM payments WHERE updated < $1 AND at_rest AND coalesce(lease_until, due) IS NULL
            ORDER BY updated LIMIT $2 FOR UPDATE SKIP LOCKED
        ), journal AS (DELETE FROM journal USING old WHERE payment = old.id
        ), refunds AS (DELETE FROM refunds USING old WHERE payment = old.id
        ), attempts AS (DELETE FROM attempts USING old WHERE payment = old.id
        ), keys AS (DELETE FROM keys USING old WHERE payment = old.id)
        DELETE FROM payments p USING old WHERE p.id = old.id",
    prune_events: "DELETE FROM events WHERE (provider, event) IN
        (SELECT provider, event FROM events WHERE at < $1 ORDER BY at LIMIT $2)",
}

pub(super) async fn accept(session: &Session, new: &NewPayment) -> Result<Accepted, LedgerError> {
    let (payment, records) = new.open();
    let values: [&(dyn ToSql + Sync); 24] = [
        &payment.id.as_str(),
        &payment.client.as_slice(),
        &payment.order_id,
        &signed(payment.money.amount)?,
        &payment.money.currency.code(),
        &payment.method,
        &payment.capture,
        &payment.given_up,
        &payment.state.as_str(),
        &payment.needs_a_person(),
        &payment.is_at_rest(),
        &payment.lease.map(|lease| lease.holder.0),
        &payment.lease.map(|lease| lease.until.0),
        &payment.due.map(|due| due.0),
        &i64::from(payment.looks),
        &(records.len() as i64),
        &payment.created.0,
        &payment.updated.0,
        &rows_of(&payment.id, &payment.attempts)?,
        &texts_of(&records)?,
        &new.key.key.as_slice(),
        &new.key.fingerprint.as_slice(),
        &new.key.operation.as_str(),
        &new.key.refund.map(i64::from),
    ];
    if session.client.execute(&session.sql.accept, &values).await? == 1 {
        session.known.remember(Loaded { payment, last_entry: count(&records) });
        return Ok(Accepted::New);
    }
    let taken = || LedgerError::Conflict("the key was taken and is free again".into());
    let (existing, used_for) = by_key(session, &new.key.key).await?.ok_or_else(taken)?;
    Ok(Accepted::Existing(Box::new(existing), used_for))
}

pub(super) async fn save(session: &Session, save: &Save) -> Result<(), LedgerError> {
    // What goes with a key of its own is rare.
    let before = session.known.take(&save.id).filter(|_| save.key.is_none());
    if let Some(before) = before
        && let Ok(after) = save.applied_to(&before.payment)
        && write(session, save, &before, &after).await?
    {
        remember(session, save, &before, after);
        return Ok(());
    }
    save_in_turn(session, save).await
}

/// Locks the payment, reads it and saves.
async fn save_in_turn(session: &Session, save: &Save) -> Result<(), LedgerError> {
    let (client, sql, id) = (&session.client, &session.sql, save.id.as_str());
    let named: [&(dyn ToSql + Sync); 1] = [&id];
    // Each of them sees what was committed before it began: the third what the lock waited for.
    let (_, _, found) = tokio::try_join!(
        biased;
        client.batch_execute("BEGIN"),
        client.execute(&sql.lock, &named),
        client.query_opt(&sql.load, &named),
    )?;
    match change(found.as_ref().map(read_payment).transpose()?, save) {
        Ok((before, after)) => {
            // All are sent at once; if one of the first two fails, COMMIT rolls back.
            let (written, noted, committed) = tokio::join!(
                biased;
                write(session, save, &before, &after),
                note_key(session, save),
                client.batch_execute("COMMIT"),
            );
            if !written? {
                return Err(LedgerError::Unavailable(format!("{id} changed while it was locked")));
            }
            noted?;
            committed?;
            remember(session, save, &before, after);
            Ok(())
        }
        Err(refused) => {
            client.batch_execute("ROLLBACK").await?;
            Err(refused)
        }
    }
}

/// As long as the lease goes on, so does the work.
fn remember(session: &Session, save: &Save, before: &Loaded, after: StoredPayment) {
    if save.lease_until.is_some() {
        session.known.remember(Loaded { payment: after, last_entry: before.last_entry + count(&save.records) });
    }
}

async fn note_key(session: &Session, save: &Save) -> Result<(), LedgerError> {
    let Some(used) = &save.key else { return Ok(()) };
    let (id, key, fingerprint) = (save.id.as_str(), used.key.as_slice(), used.fingerprint.as_slice());
    let values: [&(dyn ToSql + Sync); 5] =
        [&id, &key, &fingerprint, &used.operation.as_str(), &used.refund.map(i64::from)];
    session.client.execute(&session.sql.note_key, &values).await?;
    Ok(())
}

fn change(found: Option<Loaded>, save: &Save) -> Result<(Loaded, StoredPayment), LedgerError> {
    let before = found.ok_or_else(|| LedgerError::Conflict(format!("there is no payment {}", save.id)))?;
    let after = save.applied_to(&before.payment)?;
    Ok((before, after))
}

/// Writes back what distinguishes a payment from how it was, in one statement; `false` if it is not so any more.
async fn write(session: &Session, save: &Save, before: &Loaded, after: &StoredPayment) -> Result<bool, LedgerError> {
    let attempts = after.attempts.iter().filter(|attempt| !before.payment.attempts.contains(attempt));
    let refunds = after.refunds.iter().filter(|refund| !before.payment.refunds.contains(refund));
    let values: [&(dyn ToSql + Sync); 16] = [
        &after.id.as_str(),
        &after.given_up,
        &after.state.as_str(),
        &after.needs_a_person(),
        &after.is_at_rest(),
        &after.lease.map(|lease| lease.holder.0),
        &after.lease.map(|lease| lease.until.0),
        &after.due.map(|due| due.0),
        &i64::from(after.looks),
        &after.updated.0,
        &rows_of(&after.id, attempts)?,
        &rows_of(&after.id, refunds)?,
        &before.last_entry,
        &texts_of(&save.records)?,
        &save.holder.0,
        &before.payment.due.map(|due| due.0),
    ];
    Ok(session.client.execute(&session.sql.write, &values).await? == 1)
}

fn count(records: &[Record]) -> i64 {
    i64::try_from(records.len()).expect("one write has a handful of records")
}

pub(super) async fn claim(
    session: &Session,
    id: &PaymentId,
    lease: Lease,
    now: Timestamp,
) -> Result<Claimed, LedgerError> {
    let id = id.as_str();
    let values: [&(dyn ToSql + Sync); 4] = [&id, &lease.holder.0, &lease.until.0, &now.0];
    let (taken, found) = tokio::try_join!(
        biased;
        session.client.execute(&session.sql.claim, &values),
        session.client.query_opt(&session.sql.load, &values[..1]),
    )?;
    let Some(row) = found else { return Ok(Claimed::Missing) };
    let Loaded { payment, last_entry } = read_payment(&row)?;
    if taken == 0 {
        return Ok(Claimed::Held(Box::new(payment)));
    }
    session.known.remember(Loaded { payment: payment.clone(), last_entry });
    Ok(Claimed::Yes(Box::new(payment)))
}

pub(super) async fn claim_due(
    session: &Session,
    lease: Lease,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<StoredPayment>, LedgerError> {
    let values: [&(dyn ToSql + Sync); 4] = [&lease.holder.0, &lease.until.0, &now.0, &i64::from(limit)];
    let mut overdue: Vec<(i64, String)> = Vec::new();
    for row in session.client.query(&session.sql.claim_due, &values).await? {
        overdue.push((row.try_get(1)?, row.try_get(0)?));
    }
    if overdue.is_empty() {
        return Ok(Vec::new());
    }
    overdue.sort();
    let ids: Vec<&str> = overdue.iter().map(|(_, id)| id.as_str()).collect();
    let mut found = payments(&session.client.query(&session.sql.load_all, &[&ids]).await?)?;
    found.sort_by_key(|payment| ids.iter().position(|id| *id == payment.id.as_str()));
    Ok(found)
}

pub(super) async fn by_key(session: &Session, key: &Digest) -> Result<Option<(StoredPayment, KeyUse)>, LedgerError> {
    let found = session.client.query_opt(&session.sql.by_key, &[&key.as_slice()]).await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some((read_payment(&row)?.payment, read_key(&row, AFTER_PAYMENT)?)))
}

pub(super) async fn payment(session: &Session, id: &PaymentId) -> Result<Option<StoredPayment>, LedgerError> {
    let found = session.client.query_opt(&session.sql.load, &[&id.as_str()]).await?;
    Ok(found.as_ref().map(read_payment).transpose()?.map(|loaded| loaded.payment))
}

pub(super) async fn by_provider_ref(
    session: &Session,
    provider: &ProviderName,
    reference: &str,
) -> Result<Option<StoredPayment>, LedgerError> {
    // As it was written: see `rows::without_nul`.
    let reference = reference.replace('\0', "\u{fffd}");
    let found = session.client.query_opt(&session.sql.by_provider_ref, &[&reference, &provider.as_str()]).await?;
    Ok(found.as_ref().map(read_payment).transpose()?.map(|loaded| loaded.payment))
}

pub(super) async fn journal(session: &Session, id: &PaymentId) -> Result<Vec<JournalEntry>, LedgerError> {
    let mut entries = Vec::new();
    for row in session.client.query(&session.sql.journal, &[&id.as_str()]).await? {
        let record = serde_json::from_str(row.try_get(1)?).map_err(|error| unreadable(1, &error))?;
        entries.push(JournalEntry { at: Timestamp(row.try_get(0)?), record });
    }
    Ok(entries)
}

pub(super) async fn list(session: &Session, filter: &Filter) -> Result<Vec<StoredPayment>, LedgerError> {
    let (first, end) = filter.ids();
    let mut values: Vec<Box<dyn ToSql + Sync + Send>> = vec![Box::new(first), Box::new(end)];
    let mut rest = String::from("WHERE p.id >= $1 AND p.id < $2");
    let mut only = |condition: &str, value: Option<Box<dyn ToSql + Sync + Send>>| {
        if let Some(value) = value {
            values.push(value);
            rest += " AND ";
            rest += &condition.replace('?', &format!("${}", values.len()));
        }
    };
    only("p.order_id = ?", filter.order_id.clone().map(|order| Box::new(order) as _));
    only("p.created >= ?", filter.from.map(|from| Box::new(from.0) as _));
    only("p.created < ?", filter.to.map(|to| Box::new(to.0) as _));
    let provider = filter.provider.as_ref().map(|provider| Box::new(provider.as_str().to_owned()) as _);
    only("EXISTS (SELECT FROM attempts WHERE payment = p.id AND provider = ?)", provider);
    // Written out, so that the partial indexes are used.
    if let Some(state) = filter.state {
        rest += &format!(" AND p.state = '{}'", state.as_str());
    }
    if filter.manual {
        rest += " AND p.manual";
    }
    rest += &format!(" ORDER BY p.id DESC LIMIT {}", filter.at_most());
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as _).collect();
    payments(&session.client.query(&load_query("", &rest), &values).await?)
}

fn payments(rows: &[tokio_postgres::Row]) -> Result<Vec<StoredPayment>, LedgerError> {
    rows.iter().map(|row| read_payment(row).map(|loaded| loaded.payment)).collect()
}

pub(super) async fn tally(session: &Session) -> Result<Tally, LedgerError> {
    let row = session.client.query_one(&session.sql.tally, &[]).await?;
    let count = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(Tally { pending: count(0)?, manual: count(1)?, requires_action: count(2)? })
}

pub(super) async fn note_event(
    session: &Session,
    provider: &ProviderName,
    event: &Digest,
    about: Option<&PaymentId>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let values: [&(dyn ToSql + Sync); 4] =
        [&provider.as_str(), &event.as_slice(), &now.0, &about.map(PaymentId::as_str)];
    Ok(session.client.execute(&session.sql.note_event, &values).await? == 1)
}

pub(super) async fn prune(session: &Session, before: Timestamp, limit: u32) -> Result<u64, LedgerError> {
    let (client, sql) = (&session.client, &session.sql);
    let payments = client.execute(&sql.prune, &[&before.0, &i64::from(limit)]).await?;
    let left = i64::from(limit) - payments as i64;
    let events = client.execute(&sql.prune_events, &[&before.0, &left]).await?;
    Ok(payments + events)
}
