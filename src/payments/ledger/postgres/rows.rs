//! Rows of the PostgreSQL ledger: a stored payment read from them, and what changed as JSON of rows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::Row;

use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::ledger::stored::Loaded;
use crate::payments::ledger::{Holder, KeyUse, Lease, LedgerError, StoredPayment};
use crate::payments::money::{Currency, Money};
use crate::payments::record::{Operation, PaymentState, Record};

/// Where the parts of a payment stand in the rows of [`load_query`]; other columns follow.
const ATTEMPTS: usize = 16;
const REFUNDS: usize = 17;
pub(super) const AFTER_PAYMENT: usize = 18;

/// A `SELECT` of whole payments `p`: conditions and joins follow the columns that the caller adds.
pub(super) fn load_query(more_columns: &str, rest: &str) -> String {
    format!(
        "SELECT p.id, p.client, p.order_id, p.amount, p.currency, p.method, p.capture, p.given_up, p.state, p.holder, \
         p.lease_until, p.due, p.looks, p.entries, p.created, p.updated, \
         (SELECT coalesce(json_agg(a ORDER BY a.number), '[]')::text FROM attempts a WHERE a.payment = p.id), \
         (SELECT coalesce(json_agg(r ORDER BY r.number), '[]')::text FROM refunds r WHERE r.payment = p.id)\
         {more_columns} FROM payments p {rest}"
    )
}

/// A payment as [`load_query`] finds it.
pub(super) fn read_payment(row: &Row) -> Result<Loaded, LedgerError> {
    let lease = match (row.try_get(9)?, row.try_get(10)?) {
        (Some(holder), Some(until)) => Some(Lease { holder: Holder(holder), until: Timestamp(until) }),
        _ => None,
    };
    let payment = StoredPayment {
        id: word(row, 0, PaymentId::parse)?,
        client: digest(row, 1)?,
        order_id: row.try_get(2)?,
        money: Money { amount: row.try_get::<_, i64>(3)?.unsigned_abs(), currency: word(row, 4, Currency::parse)? },
        method: row.try_get(5)?,
        capture: row.try_get(6)?,
        given_up: row.try_get(7)?,
        state: word(row, 8, PaymentState::parse)?,
        lease,
        due: row.try_get::<_, Option<i64>>(11)?.map(Timestamp),
        looks: small(row, 12)?,
        created: Timestamp(row.try_get(14)?),
        updated: Timestamp(row.try_get(15)?),
        attempts: parts(row, ATTEMPTS)?,
        refunds: parts(row, REFUNDS)?,
    };
    Ok(Loaded { payment, last_entry: row.try_get(13)? })
}

/// The use of a key: its key, fingerprint, operation and refund from this column on.
pub(super) fn read_key(row: &Row, column: usize) -> Result<KeyUse, LedgerError> {
    let refund = row.try_get::<_, Option<i64>>(column + 3)?.map(|_| small(row, column + 3)).transpose()?;
    Ok(KeyUse {
        key: digest(row, column)?,
        fingerprint: digest(row, column + 1)?,
        operation: word(row, column + 2, Operation::parse)?,
        refund,
    })
}

/// Attempts or refunds of a payment as JSON of their rows.
pub(super) fn rows_of<'a, T: Serialize + 'a>(
    id: &PaymentId,
    parts: impl IntoIterator<Item = &'a T>,
) -> Result<String, LedgerError> {
    let mut rows = Vec::new();
    for part in parts {
        let mut row = serde_json::to_value(part).map_err(unwritable)?;
        without_nul(&mut row);
        row["payment"] = id.as_str().into();
        rows.push(row);
    }
    serde_json::to_string(&rows).map_err(unwritable)
}

/// Records as the journal keeps them.
pub(super) fn texts_of(records: &[Record]) -> Result<Vec<String>, LedgerError> {
    records.iter().map(|record| serde_json::to_string(record).map_err(unwritable)).collect()
}

/// PostgreSQL's text has no NUL. A provider that names a charge with one must not keep its outcome out of the ledger.
fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Object(members) => members.values_mut().for_each(without_nul),
        _ => {}
    }
}

/// An amount as a column takes it.
pub(super) fn signed(amount: u64) -> Result<i64, LedgerError> {
    i64::try_from(amount).map_err(|_| LedgerError::Conflict(format!("amount {amount} is out of range")))
}

fn parts<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Vec<T>, LedgerError> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| unreadable(column, &error))
}

fn word<T>(row: &Row, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, LedgerError> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| unreadable(column, &format!("{text:?} is no word of it")))
}

fn digest(row: &Row, column: usize) -> Result<Digest, LedgerError> {
    row.try_get::<_, &[u8]>(column)?.try_into().map_err(|_| unreadable(column, &"it does not have 32 bytes"))
}

fn small(row: &Row, column: usize) -> Result<u32, LedgerError> {
    u32::try_from(row.try_get::<_, i64>(column)?).map_err(|error| unreadable(column, &error))
}

/// What is in the ledger and makes no sense.
pub(super) fn unreadable(column: usize, error: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Unavailable(format!("column {column} can't be read: {error}"))
}

fn unwritable(error: serde_json::Error) -> LedgerError {
    LedgerError::Unavailable(error.to_string())
}
