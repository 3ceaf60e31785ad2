//! Rows of the embedded ledger: a stored payment read from them, and what changed written back.
//!
//! `payment = ?1 || ''` instead of `payment = ?1` where that is no unique key: its planner looks at
//! a bare parameter's value (`sqlite3ExprIsInteger`), and SQLite then compiles the statement anew
//! for every other value, which took a third of the writer's time.

use rusqlite::types::Type;
use rusqlite::{Connection, Params, Row, ToSql, params};

use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::ledger::stored::Loaded;
use crate::payments::ledger::{
    Holder, JournalEntry, KeyUse, Lease, LedgerError, StoredAttempt, StoredPayment, StoredRefund,
};
use crate::payments::money::{Currency, Money};
use crate::payments::record::{AttemptState, Operation, PaymentState, Record, VoidReason};

/// The payments that the rest of a `SELECT` finds, with their attempts and refunds.
pub(super) fn load(connection: &Connection, rest: &str, values: impl Params) -> Result<Vec<Loaded>, LedgerError> {
    let mut found = connection
        .prepare_cached(&format!(
            "SELECT id, client, order_id, amount, currency, method, capture, given_up, state, holder, lease_until, \
             due, looks, last_entry, created, updated FROM payments {rest}"
        ))?
        .query_map(values, read_payment)?
        .collect::<Result<Vec<_>, _>>()?;
    for Loaded { payment, .. } in &mut found {
        payment.attempts = attempts(connection, &payment.id)?;
        payment.refunds = refunds(connection, &payment.id)?;
    }
    Ok(found)
}

pub(super) fn load_one(connection: &Connection, id: &PaymentId) -> Result<Option<Loaded>, LedgerError> {
    Ok(load(connection, "WHERE id = ?1", [id.as_str()])?.pop())
}

fn attempts(connection: &Connection, id: &PaymentId) -> Result<Vec<StoredAttempt>, LedgerError> {
    let found = connection
        .prepare_cached(
            "SELECT number, provider, operation, state, order_reference, lookup, provider_ref, decline_code, reason, \
             next_action, started, ended, voiding, late_capture \
             FROM attempts WHERE payment = ?1 || '' ORDER BY number",
        )?
        .query_map([id.as_str()], read_attempt)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn refunds(connection: &Connection, id: &PaymentId) -> Result<Vec<StoredRefund>, LedgerError> {
    let found = connection
        .prepare_cached(
            "SELECT number, amount, state, reference, refunded_before, provider_ref, reason, started, ended \
             FROM refunds WHERE payment = ?1 || '' ORDER BY number",
        )?
        .query_map([id.as_str()], read_refund)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// Whether a payment still is as it was loaded, but for its lease's end and its looks, which every save sets: whoever
/// changes anything else changes something of this.
pub(super) fn is_unchanged(
    connection: &Connection,
    Loaded { payment, last_entry }: &Loaded,
) -> Result<bool, LedgerError> {
    let found = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM payments WHERE id = ?1 AND holder IS ?2 AND last_entry = ?3 AND due IS ?4)",
        )?
        .query_row(
            params![
                payment.id.as_str(),
                payment.lease.map(|lease| lease.holder.0),
                last_entry,
                payment.due.map(|due| due.0)
            ],
            |row| row.get(0),
        )?;
    Ok(found)
}

/// Inserts a payment that is new, with the records that say so; the last entry of its journal.
pub(super) fn insert(
    connection: &Connection,
    new: &StoredPayment,
    key: &Digest,
    records: &[Record],
) -> Result<i64, LedgerError> {
    let last_entry = add_to_journal(connection, new, None, records)?.expect("records say why it is new");
    connection
        .prepare_cached(
            "INSERT INTO payments (id, client, order_id, amount, currency, method, capture, given_up, state, manual, \
             at_rest, holder, lease_until, due, looks, key, last_entry, created, updated) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            new.id.as_str(),
            new.client,
            new.order_id,
            signed(new.money.amount)?,
            new.money.currency.code(),
            new.method,
            new.capture,
            new.given_up,
            new.state.as_str(),
            new.needs_a_person(),
            new.is_at_rest(),
            new.lease.map(|lease| lease.holder.0),
            new.lease.map(|lease| lease.until.0),
            new.due.map(|due| due.0),
            new.looks,
            key,
            last_entry,
            new.created.0,
            new.updated.0,
        ])?;
    new.attempts.iter().try_for_each(|attempt| insert_attempt(connection, &new.id, attempt))?;
    Ok(last_entry)
}

/// Writes back what distinguishes a payment from how it was loaded, with the records that say why; the last entry of
/// its journal from now on.
pub(super) fn update(
    connection: &Connection,
    before: &Loaded,
    after: &StoredPayment,
    records: &[Record],
) -> Result<i64, LedgerError> {
    // In order: an attempt is released before the next one begins, or the unique index refuses that.
    for (index, attempt) in after.attempts.iter().enumerate() {
        match before.payment.attempts.get(index) {
            Some(stored) if stored == attempt => {}
            Some(stored) => update_attempt(connection, &after.id, stored, attempt)?,
            None => insert_attempt(connection, &after.id, attempt)?,
        }
    }
    for (index, refund) in after.refunds.iter().enumerate() {
        match before.payment.refunds.get(index) {
            Some(stored) if stored == refund => {}
            Some(_) => update_refund(connection, &after.id, refund)?,
            None => insert_refund(connection, &after.id, refund)?,
        }
    }
    let last_entry = add_to_journal(connection, after, Some(before.last_entry), records)?.unwrap_or(before.last_entry);
    connection
        .prepare_cached(
            "UPDATE payments SET given_up = ?2, state = ?3, manual = ?4, at_rest = ?5, holder = ?6, lease_until = ?7, \
             due = ?8, looks = ?9, last_entry = ?10, updated = ?11 WHERE id = ?1",
        )?
        .execute(params![
            after.id.as_str(),
            after.given_up,
            after.state.as_str(),
            after.needs_a_person(),
            after.is_at_rest(),
            after.lease.map(|lease| lease.holder.0),
            after.lease.map(|lease| lease.until.0),
            after.due.map(|due| due.0),
            after.looks,
            last_entry,
            after.updated.0,
        ])?;
    Ok(last_entry)
}

fn insert_attempt(connection: &Connection, id: &PaymentId, new: &StoredAttempt) -> Result<(), LedgerError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO attempts (payment, number, provider, operation, state, order_reference, lookup, provider_ref, \
         decline_code, reason, next_action, started, ended, voiding, late_capture, live) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    insert.execute(params![
        id.as_str(),
        new.number,
        new.provider.as_str(),
        new.operation.as_str(),
        new.state.as_str(),
        new.order_reference,
        new.lookup,
        new.provider_ref,
        new.decline_code,
        new.reason,
        next_action(new)?,
        new.started.0,
        new.ended.map(|ended| ended.0),
        new.voiding.map(VoidReason::as_str),
        new.late_capture.map(AttemptState::as_str),
        !new.state.is_released(),
    ])?;
    Ok(())
}

fn update_attempt(
    connection: &Connection,
    id: &PaymentId,
    stored: &StoredAttempt,
    changed: &StoredAttempt,
) -> Result<(), LedgerError> {
    let live_changes = stored.state.is_released() != changed.state.is_released();
    let values: [&dyn ToSql; 13] = [
        &id.as_str(),
        &changed.number,
        &changed.operation.as_str(),
        &changed.state.as_str(),
        &changed.lookup,
        &changed.provider_ref,
        &changed.decline_code,
        &changed.reason,
        &next_action(changed)?,
        &changed.ended.map(|ended| ended.0),
        &changed.voiding.map(VoidReason::as_str),
        &changed.late_capture.map(AttemptState::as_str),
        &!changed.state.is_released(),
    ];
    let values = if live_changes { &values[..] } else { &values[..12] };
    connection.prepare_cached(&update_of_attempt(live_changes))?.execute(values)?;
    Ok(())
}

/// A column that is named is written to its indexes, even if it stays as it is: so `live` is named if it changes.
pub(super) fn update_of_attempt(live: bool) -> String {
    let live = if live { ", live = ?13" } else { "" };
    format!(
        "UPDATE attempts SET operation = ?3, state = ?4, lookup = ?5, provider_ref = ?6, decline_code = ?7, \
         reason = ?8, next_action = ?9, ended = ?10, voiding = ?11, late_capture = ?12{live} \
         WHERE payment = ?1 AND number = ?2"
    )
}

fn insert_refund(connection: &Connection, id: &PaymentId, new: &StoredRefund) -> Result<(), LedgerError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO refunds (payment, number, amount, state, reference, refunded_before, provider_ref, reason, \
         started, ended) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    insert.execute(params![
        id.as_str(),
        new.number,
        signed(new.amount)?,
        new.state.as_str(),
        new.reference,
        signed(new.refunded_before)?,
        new.provider_ref,
        new.reason,
        new.started.0,
        new.ended.map(|ended| ended.0),
    ])?;
    Ok(())
}

fn update_refund(connection: &Connection, id: &PaymentId, changed: &StoredRefund) -> Result<(), LedgerError> {
    let mut update = connection.prepare_cached(
        "UPDATE refunds SET state = ?3, provider_ref = ?4, reason = ?5, ended = ?6 WHERE payment = ?1 AND number = ?2",
    )?;
    let (number, state, ended) = (changed.number, changed.state.as_str(), changed.ended.map(|ended| ended.0));
    update.execute(params![id.as_str(), number, state, changed.provider_ref, changed.reason, ended])?;
    Ok(())
}

/// Adds records to a payment's journal, whose last entry is this one; the last entry from now on.
fn add_to_journal(
    connection: &Connection,
    payment: &StoredPayment,
    last_entry: Option<i64>,
    records: &[Record],
) -> Result<Option<i64>, LedgerError> {
    let mut insert =
        connection.prepare_cached("INSERT INTO journal (payment, before, at, record) VALUES (?1, ?2, ?3, ?4)")?;
    records.iter().try_fold(last_entry, |before, record| {
        Ok(Some(insert.insert(params![payment.id.as_str(), before, payment.updated.0, json(record)?])?))
    })
}

/// A client's key with its payment.
pub(super) fn read_key(row: &Row<'_>) -> rusqlite::Result<(PaymentId, KeyUse)> {
    let (key, fingerprint, refund) = (row.get(1)?, row.get(2)?, row.get(4)?);
    Ok((
        word(row, 0, PaymentId::parse)?,
        KeyUse { key, fingerprint, operation: word(row, 3, Operation::parse)?, refund },
    ))
}

/// An entry of the journal.
pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<JournalEntry> {
    let text: String = row.get(1)?;
    let record = serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
    Ok(JournalEntry { at: Timestamp(row.get(0)?), record })
}

fn read_payment(row: &Row<'_>) -> rusqlite::Result<Loaded> {
    let lease = match (row.get(9)?, row.get(10)?) {
        (Some(holder), Some(until)) => Some(Lease { holder: Holder(holder), until: Timestamp(until) }),
        _ => None,
    };
    let payment = StoredPayment {
        id: word(row, 0, PaymentId::parse)?,
        client: row.get(1)?,
        order_id: row.get(2)?,
        money: Money { amount: row.get::<_, i64>(3)?.unsigned_abs(), currency: word(row, 4, Currency::parse)? },
        method: row.get(5)?,
        capture: row.get(6)?,
        given_up: row.get(7)?,
        state: word(row, 8, PaymentState::parse)?,
        lease,
        due: moment(row, 11)?,
        looks: row.get(12)?,
        created: Timestamp(row.get(14)?),
        updated: Timestamp(row.get(15)?),
        attempts: Vec::new(),
        refunds: Vec::new(),
    };
    Ok(Loaded { payment, last_entry: row.get(13)? })
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<StoredAttempt> {
    let next_action = row.get::<_, Option<String>>(9)?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(StoredAttempt {
        number: row.get(0)?,
        provider: row.get::<_, String>(1)?.into(),
        operation: word(row, 2, Operation::parse)?,
        state: word(row, 3, AttemptState::parse)?,
        order_reference: row.get(4)?,
        lookup: row.get(5)?,
        provider_ref: row.get(6)?,
        decline_code: row.get(7)?,
        reason: row.get(8)?,
        next_action: next_action
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(9, Type::Text, Box::new(error)))?
            .unwrap_or_default(),
        started: Timestamp(row.get(10)?),
        ended: moment(row, 11)?,
        voiding: word_or_none(row, 12, VoidReason::parse)?,
        late_capture: word_or_none(row, 13, AttemptState::parse)?,
    })
}

fn read_refund(row: &Row<'_>) -> rusqlite::Result<StoredRefund> {
    Ok(StoredRefund {
        number: row.get(0)?,
        amount: row.get::<_, i64>(1)?.unsigned_abs(),
        state: word(row, 2, AttemptState::parse)?,
        reference: row.get(3)?,
        refunded_before: row.get::<_, i64>(4)?.unsigned_abs(),
        provider_ref: row.get(5)?,
        reason: row.get(6)?,
        started: Timestamp(row.get(7)?),
        ended: moment(row, 8)?,
    })
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let missing = || rusqlite::Error::InvalidColumnType(column, "no word".into(), Type::Null);
    word_or_none(row, column, parse)?.ok_or_else(missing)
}

fn word_or_none<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    let error = || format!("{text:?} is no word of this column");
    let read =
        parse(&text).ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error().into()));
    read.map(Some)
}

fn next_action(attempt: &StoredAttempt) -> Result<Option<String>, LedgerError> {
    if attempt.next_action.is_empty() { Ok(None) } else { json(&attempt.next_action).map(Some) }
}

fn json(value: &impl serde::Serialize) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|error| LedgerError::Unavailable(error.to_string()))
}

fn signed(amount: u64) -> Result<i64, LedgerError> {
    i64::try_from(amount).map_err(|_| LedgerError::Conflict(format!("amount {amount} is out of range")))
}
