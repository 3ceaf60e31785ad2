//! What each operation of the embedded ledger does to its tables, within a transaction of the caller.
//!
//! `payment = ?1 || ''` instead of `payment = ?1` where that is no unique key: its planner looks at
//! a bare parameter's value (`sqlite3ExprIsInteger`), and SQLite then compiles the statement anew
//! for every other value, which took a third of the writer's time.

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ffi, params};

use super::{Accepted, Filter, JournalEntry, LedgerError, NewPayment, Save, StoredAttempt, StoredPayment};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::money::{Currency, Money};
use crate::payments::record::{AttemptState, Operation, PaymentState, Record};
use crate::payments::verdict::{Doubt, Verdict};

/// Attempts that one call of [`recover`] looks at, so that no write waits long behind it.
const RECOVER_AT_ONCE: u32 = 500;

const PAYMENT_COLUMNS: &str =
    "id, client, fingerprint, order_id, amount, currency, method, state, lease_until, created, updated";

pub(super) fn accept(connection: &Connection, new: &NewPayment) -> Result<Accepted, LedgerError> {
    if let Some(existing) = by_key(connection, &new.key)? {
        return Ok(Accepted::Existing(Box::new(existing)));
    }
    let (id, now, currency) = (new.id.as_str(), new.now.0, new.money.currency.code());
    let amount = stored_amount(new.money.amount)?;
    connection
        .prepare_cached(
            "INSERT INTO payments (id, client, fingerprint, order_id, amount, currency, method, state, lease_until, \
             created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?9)",
        )?
        .execute(params![
            id,
            new.client,
            new.fingerprint,
            new.order_id,
            amount,
            currency,
            new.method,
            new.lease_until.0,
            now
        ])?;
    connection.prepare_cached("INSERT INTO keys (key, payment) VALUES (?1, ?2)")?.execute(params![new.key, id])?;
    let accepted = Record::Accepted {
        order_id: new.order_id.clone(),
        amount: new.money.amount,
        currency: currency.into(),
        method: new.method.clone(),
    };
    let mut journal = JournalEnd::of_new_payment(connection, &new.id, new.now);
    journal.add(&accepted)?;
    apply(&mut journal, &Record::Intent(new.intent.clone()), &mut Vec::new())?;
    Ok(Accepted::New)
}

pub(super) fn save(connection: &Connection, save: &Save) -> Result<(), LedgerError> {
    let mut attempts = attempts(connection, &save.id)?;
    let mut journal = JournalEnd::find(connection, &save.id, save.now)?;
    for record in &save.records {
        apply(&mut journal, record, &mut attempts)?;
    }
    let state = PaymentState::of(attempts.iter().map(|attempt| attempt.state)).as_str();
    let changed = connection
        .prepare_cached("UPDATE payments SET state = ?2, lease_until = ?3, updated = ?4 WHERE id = ?1")?
        .execute(params![save.id.as_str(), state, save.lease_until.map(|until| until.0), save.now.0])?;
    if changed == 1 { Ok(()) } else { Err(LedgerError::Conflict(format!("there is no payment {}", save.id))) }
}

/// Whether [`recover`] would find anything.
pub(super) fn has_expired(connection: &Connection, now: Timestamp) -> Result<bool, LedgerError> {
    let found = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM payments WHERE state = 'pending' AND lease_until <= ?1)")?
        .query_row([now.0], |row| row.get(0))?;
    Ok(found)
}

pub(super) fn recover(connection: &Connection, now: Timestamp) -> Result<u64, LedgerError> {
    let left: Vec<(String, u32)> = connection
        .prepare_cached(
            "SELECT payment, number FROM payments JOIN attempts ON payment = id \
             WHERE payments.state = 'pending' AND lease_until <= ?1 AND attempts.state = 'intent' LIMIT ?2",
        )?
        .query_map(params![now.0, RECOVER_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (payment, attempt) in &left {
        let id = read_id(payment)?;
        let verdict = Verdict::Unknown { doubt: Doubt::Interrupted };
        let records = vec![Record::Outcome { attempt: *attempt, operation: Operation::Charge, verdict }];
        save(connection, &Save { id, records, now, lease_until: None })?;
    }
    Ok(left.len() as u64)
}

/// Writes one record, and repeats it in `attempts`.
fn apply(journal: &mut JournalEnd<'_>, record: &Record, attempts: &mut Vec<StoredAttempt>) -> Result<(), LedgerError> {
    let JournalEnd { connection, id, now, .. } = *journal;
    match record {
        Record::Accepted { .. } => return Err(LedgerError::Conflict(format!("{id} is accepted already"))),
        Record::Intent(intent) => insert_attempt(connection, id, StoredAttempt::begin(intent, now), attempts)?,
        Record::Outcome { attempt, verdict, .. } => {
            let Some(stored) = attempts.iter_mut().find(|stored| stored.number == *attempt) else {
                return Err(LedgerError::Conflict(format!("{id} has no attempt {attempt}")));
            };
            settle_attempt(connection, id, now, stored, verdict)?;
        }
    }
    journal.add(record)
}

fn insert_attempt(
    connection: &Connection,
    id: &PaymentId,
    new: StoredAttempt,
    attempts: &mut Vec<StoredAttempt>,
) -> Result<(), LedgerError> {
    let (number, provider, state) = (new.number, new.provider.as_str(), new.state.as_str());
    connection
        .prepare_cached(
            "INSERT INTO attempts (payment, number, provider, state, order_reference, started) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![id.as_str(), number, provider, state, new.order_reference, new.started.0])?;
    attempts.push(new);
    Ok(())
}

fn settle_attempt(
    connection: &Connection,
    id: &PaymentId,
    now: Timestamp,
    stored: &mut StoredAttempt,
    verdict: &Verdict,
) -> Result<(), LedgerError> {
    let (attempt, next) = (stored.number, AttemptState::of(verdict));
    if !stored.state.may_become(next) {
        let (current, next) = (stored.state.as_str(), next.as_str());
        return Err(LedgerError::Conflict(format!("attempt {attempt} of {id} is {current} and can't become {next}")));
    }
    stored.settle(verdict, now);
    connection
        .prepare_cached(
            "UPDATE attempts SET state = ?3, provider_ref = ?4, decline_code = ?5, reason = ?6, ended = ?7 \
             WHERE payment = ?1 AND number = ?2",
        )?
        .execute(params![
            id.as_str(),
            attempt,
            next.as_str(),
            stored.provider_ref,
            stored.decline_code,
            stored.reason,
            now.0
        ])?;
    Ok(())
}

/// The end of a payment's journal, where records are added.
struct JournalEnd<'a> {
    connection: &'a Connection,
    id: &'a PaymentId,
    now: Timestamp,
    last_entry: i64,
}

impl<'a> JournalEnd<'a> {
    fn of_new_payment(connection: &'a Connection, id: &'a PaymentId, now: Timestamp) -> Self {
        Self { connection, id, now, last_entry: 0 }
    }

    fn find(connection: &'a Connection, id: &'a PaymentId, now: Timestamp) -> Result<Self, LedgerError> {
        let last_entry = connection
            .prepare_cached("SELECT entry FROM journal WHERE payment = ?1 || '' ORDER BY entry DESC LIMIT 1")?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        Ok(Self { connection, id, now, last_entry: last_entry.unwrap_or(0) })
    }

    fn add(&mut self, record: &Record) -> Result<(), LedgerError> {
        let text = serde_json::to_string(record).map_err(|error| LedgerError::Unavailable(error.to_string()))?;
        self.last_entry += 1;
        self.connection
            .prepare_cached("INSERT INTO journal (payment, entry, at, record) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![self.id.as_str(), self.last_entry, self.now.0, text])?;
        Ok(())
    }
}

pub(super) fn by_key(connection: &Connection, key: &Digest) -> Result<Option<StoredPayment>, LedgerError> {
    let id: Option<String> = connection
        .prepare_cached("SELECT payment FROM keys WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match id {
        Some(id) => payment(connection, &read_id(&id)?),
        None => Ok(None),
    }
}

pub(super) fn payment(connection: &Connection, id: &PaymentId) -> Result<Option<StoredPayment>, LedgerError> {
    let found = connection
        .prepare_cached(&format!("SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = ?1"))?
        .query_row([id.as_str()], read_payment)
        .optional()?;
    found.map(|found| with_attempts(connection, found)).transpose()
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> Result<Vec<StoredPayment>, LedgerError> {
    let sql = format!(
        "SELECT {PAYMENT_COLUMNS} FROM payments WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR order_id = ?2) \
         AND (?3 IS NULL OR id < ?3) \
         AND (?4 IS NULL OR EXISTS (SELECT 1 FROM attempts WHERE payment = id AND provider = ?4)) \
         ORDER BY id DESC LIMIT ?5"
    );
    let state = filter.state.map(PaymentState::as_str);
    let provider = filter.provider.as_ref().map(|provider| provider.as_str());
    let before = filter.before.as_ref().map(PaymentId::as_str);
    let limit = filter.limit.unwrap_or(100).clamp(1, 1000);
    let found: Vec<_> = connection
        .prepare_cached(&sql)?
        .query_map(params![state, filter.order_id, before, provider, limit], read_payment)?
        .collect::<Result<_, _>>()?;
    found.into_iter().map(|payment| with_attempts(connection, payment)).collect()
}

pub(super) fn journal(connection: &Connection, id: &PaymentId) -> Result<Vec<JournalEntry>, LedgerError> {
    let entries = connection
        .prepare_cached("SELECT at, record FROM journal WHERE payment = ?1 ORDER BY entry")?
        .query_map([id.as_str()], |row| {
            let text: String = row.get(1)?;
            let record = serde_json::from_str(&text)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
            Ok(JournalEntry { at: Timestamp(row.get(0)?), record })
        })?
        .collect::<Result<_, _>>()?;
    Ok(entries)
}

pub(super) fn count_pending(connection: &Connection) -> Result<u64, LedgerError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM payments WHERE state = 'pending'")?
        .query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn with_attempts(connection: &Connection, mut payment: StoredPayment) -> Result<StoredPayment, LedgerError> {
    payment.attempts = attempts(connection, &payment.id)?;
    Ok(payment)
}

fn attempts(connection: &Connection, id: &PaymentId) -> Result<Vec<StoredAttempt>, LedgerError> {
    let found = connection
        .prepare_cached(
            "SELECT number, provider, state, order_reference, provider_ref, decline_code, reason, started, ended \
             FROM attempts WHERE payment = ?1 || '' ORDER BY number",
        )?
        .query_map([id.as_str()], |row| {
            Ok(StoredAttempt {
                number: row.get(0)?,
                provider: row.get::<_, String>(1)?.into(),
                state: word(row, 2, AttemptState::parse)?,
                order_reference: row.get(3)?,
                provider_ref: row.get(4)?,
                decline_code: row.get(5)?,
                reason: row.get(6)?,
                started: Timestamp(row.get(7)?),
                ended: row.get::<_, Option<i64>>(8)?.map(Timestamp),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn read_payment(row: &Row<'_>) -> rusqlite::Result<StoredPayment> {
    Ok(StoredPayment {
        id: word(row, 0, PaymentId::parse)?,
        client: row.get(1)?,
        fingerprint: row.get(2)?,
        order_id: row.get(3)?,
        money: Money { amount: row.get::<_, i64>(4)?.unsigned_abs(), currency: word(row, 5, Currency::parse)? },
        method: row.get(6)?,
        state: word(row, 7, PaymentState::parse)?,
        lease_until: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        created: Timestamp(row.get(9)?),
        updated: Timestamp(row.get(10)?),
        attempts: Vec::new(),
    })
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        let error = format!("{text:?} is no word of this column");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

fn read_id(text: &str) -> Result<PaymentId, LedgerError> {
    PaymentId::parse(text).ok_or_else(|| LedgerError::Unavailable(format!("{text:?} is no payment's name")))
}

fn stored_amount(amount: u64) -> Result<i64, LedgerError> {
    i64::try_from(amount).map_err(|_| LedgerError::Conflict(format!("amount {amount} is out of range")))
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        let extended = error.sqlite_error().map_or(0, |detail| detail.extended_code);
        match (error.sqlite_error_code(), extended) {
            (
                Some(ErrorCode::ConstraintViolation),
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ) => Self::Conflict(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
