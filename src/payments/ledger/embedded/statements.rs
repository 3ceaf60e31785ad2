//! What each operation of the embedded ledger does to its tables, within a transaction of the caller.

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, ffi, params, params_from_iter};

use super::rows::{insert, is_unchanged, load, load_one, read_entry, read_key, update};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::payments::ledger::known::Known;
use crate::payments::ledger::stored::Loaded;
use crate::payments::ledger::{
    Accepted, Claimed, Filter, JournalEntry, KeyUse, Lease, LedgerError, NewPayment, Save, StoredPayment, Tally,
};
use crate::types::ProviderName;

pub(in crate::payments::ledger) fn accept(
    connection: &Connection,
    known: &Known,
    new: &NewPayment,
) -> Result<Accepted, LedgerError> {
    if let Some((existing, used_for)) = by_key(connection, &new.key.key)? {
        return Ok(Accepted::Existing(Box::new(existing), used_for));
    }
    let (payment, records) = new.open();
    let last_entry = insert(connection, &payment, &new.key.key, &records)?;
    note_key(connection, &new.id, &new.key)?;
    known.remember(Loaded { payment, last_entry });
    Ok(Accepted::New)
}

pub(in crate::payments::ledger) fn save(
    connection: &Connection,
    known: &Known,
    save: &Save,
) -> Result<(), LedgerError> {
    let before = match known.take(&save.id) {
        Some(guess) if is_unchanged(connection, &guess)? => Some(guess),
        _ => load_one(connection, &save.id)?,
    };
    let before = before.ok_or_else(|| LedgerError::Conflict(format!("there is no payment {}", save.id)))?;
    let after = save.applied_to(&before.payment)?;
    let last_entry = update(connection, &before, &after, &save.records)?;
    save.key.iter().try_for_each(|key| note_key(connection, &save.id, key))?;
    // As long as the lease goes on, so does the work.
    if after.lease.is_some() {
        known.remember(Loaded { payment: after, last_entry });
    }
    Ok(())
}

fn note_key(connection: &Connection, id: &PaymentId, used: &KeyUse) -> Result<(), LedgerError> {
    connection
        .prepare_cached("INSERT INTO keys (payment, key, fingerprint, operation, refund) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![id.as_str(), used.key, used.fingerprint, used.operation.as_str(), used.refund])?;
    Ok(())
}

pub(in crate::payments::ledger) fn claim(
    connection: &Connection,
    known: &Known,
    id: &PaymentId,
    lease: Lease,
    now: Timestamp,
) -> Result<Claimed, LedgerError> {
    let Some(found) = load_one(connection, id)? else { return Ok(Claimed::Missing) };
    if found.payment.is_held_from(lease.holder, now) {
        return Ok(Claimed::Held(Box::new(found.payment)));
    }
    Ok(Claimed::Yes(Box::new(lend(connection, known, found, lease)?)))
}

/// Whether [`claim_due`] would find anything.
pub(in crate::payments::ledger) fn is_anything_due(
    connection: &Connection,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let found = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM payments WHERE coalesce(lease_until, due) <= ?1)")?
        .query_row([now.0], |row| row.get(0))?;
    Ok(found)
}

pub(in crate::payments::ledger) fn claim_due(
    connection: &Connection,
    known: &Known,
    lease: Lease,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<StoredPayment>, LedgerError> {
    // Whoever holds a payment is left alone until the lease ends; so that is when it may be looked at.
    let due = "WHERE coalesce(lease_until, due) <= ?1 ORDER BY coalesce(lease_until, due) LIMIT ?2";
    let found = load(connection, due, params![now.0, limit])?;
    found.into_iter().map(|found| lend(connection, known, found, lease)).collect()
}

fn lend(connection: &Connection, known: &Known, mut found: Loaded, lease: Lease) -> Result<StoredPayment, LedgerError> {
    connection.prepare_cached("UPDATE payments SET holder = ?2, lease_until = ?3 WHERE id = ?1")?.execute(params![
        found.payment.id.as_str(),
        lease.holder.0,
        lease.until.0
    ])?;
    found.payment.lease = Some(lease);
    let payment = found.payment.clone();
    known.remember(found);
    Ok(payment)
}

pub(in crate::payments::ledger) fn end_all_leases(connection: &Connection, now: Timestamp) -> Result<u64, LedgerError> {
    let ended = connection.execute("UPDATE payments SET lease_until = ?1 WHERE lease_until > ?1", [now.0])?;
    Ok(ended as u64)
}

/// When anything in the ledger last changed.
pub(in crate::payments::ledger) fn last_change(connection: &Connection) -> Result<Option<Timestamp>, LedgerError> {
    // Each payment is in one of two indexes; those that something is to wake are few.
    let latest = |what| {
        let sql = format!("SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS {what}");
        connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
    };
    Ok(latest("NULL")?.max(latest("NOT NULL")?).map(Timestamp))
}

pub(in crate::payments::ledger) fn by_key(
    connection: &Connection,
    key: &Digest,
) -> Result<Option<(StoredPayment, KeyUse)>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT payment, key, fingerprint, operation, refund FROM keys WHERE key = ?1")?
        .query_row([key], read_key)
        .optional()?;
    let Some((id, used_for)) = found else { return Ok(None) };
    Ok(payment(connection, &id)?.map(|payment| (payment, used_for)))
}

pub(in crate::payments::ledger) fn payment(
    connection: &Connection,
    id: &PaymentId,
) -> Result<Option<StoredPayment>, LedgerError> {
    Ok(load_one(connection, id)?.map(|loaded| loaded.payment))
}

pub(in crate::payments::ledger) fn by_provider_ref(
    connection: &Connection,
    provider: &ProviderName,
    reference: &str,
) -> Result<Option<StoredPayment>, LedgerError> {
    let named = "WHERE id = (SELECT payment FROM attempts WHERE provider_ref = ?1 AND provider = ?2 LIMIT 1)";
    Ok(load(connection, named, [reference, provider.as_str()])?.pop().map(|loaded| loaded.payment))
}

/// The entries of one payment's journal, from its last one back.
const JOURNAL_OF: &str = "WITH RECURSIVE entries (entry, before) AS ( \
    SELECT entry, before FROM journal WHERE entry = (SELECT last_entry FROM payments WHERE id = ?1) \
    UNION ALL \
    SELECT earlier.entry, earlier.before FROM entries \
    JOIN journal AS earlier ON earlier.entry = entries.before AND earlier.entry < entries.entry)";

pub(in crate::payments::ledger) fn journal(
    connection: &Connection,
    id: &PaymentId,
) -> Result<Vec<JournalEntry>, LedgerError> {
    let entries = connection
        .prepare_cached(&format!(
            "{JOURNAL_OF} SELECT at, record FROM journal JOIN entries USING (entry) ORDER BY entry"
        ))?
        .query_map([id.as_str()], read_entry)?
        .collect::<Result<_, _>>()?;
    Ok(entries)
}

pub(in crate::payments::ledger) fn list(
    connection: &Connection,
    filter: &Filter,
) -> Result<Vec<StoredPayment>, LedgerError> {
    let (from, below) = filter.ids();
    let mut values: Vec<Value> = vec![from.into(), below.into()];
    let mut conditions = String::from("WHERE id >= ?1 AND id < ?2");
    let mut only = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            conditions += " AND ";
            conditions += &condition.replace('?', &format!("?{}", values.len()));
        }
    };
    only("order_id = ?", filter.order_id.clone().map(Value::from));
    only("created >= ?", filter.from.map(|from| from.0.into()));
    only("created < ?", filter.to.map(|to| to.0.into()));
    let provider = filter.provider.as_ref().map(|provider| provider.as_str().to_owned().into());
    only("EXISTS (SELECT 1 FROM attempts WHERE payment = id AND provider = ?)", provider);
    // Written out, so that the partial indexes are used.
    if let Some(state) = filter.state {
        conditions += &format!(" AND state = '{}'", state.as_str());
    }
    if filter.manual {
        conditions += " AND manual = 1";
    }
    conditions += &format!(" ORDER BY id DESC LIMIT {}", filter.at_most());
    let found = load(connection, &conditions, params_from_iter(values))?;
    Ok(found.into_iter().map(|loaded| loaded.payment).collect())
}

pub(in crate::payments::ledger) fn tally(connection: &Connection) -> Result<Tally, LedgerError> {
    let tally = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM payments WHERE state = 'pending'), \
             (SELECT count(*) FROM payments WHERE manual = 1), \
             (SELECT count(*) FROM payments WHERE state = 'requires_action')",
        )?
        .query_row([], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(Tally { pending: count(0)?, manual: count(1)?, requires_action: count(2)? })
        })?;
    Ok(tally)
}

pub(in crate::payments::ledger) fn note_event(
    connection: &Connection,
    provider: &ProviderName,
    event: &Digest,
    about: Option<&PaymentId>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let noted = connection
        .prepare_cached("INSERT INTO events (provider, event, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![provider.as_str(), event, now.0])?;
    if let (1, Some(id)) = (noted, about) {
        connection
            .prepare_cached("UPDATE payments SET due = ?2 WHERE id = ?1 AND (due > ?2 OR lease_until IS NOT NULL)")?
            .execute(params![id.as_str(), now.0])?;
    }
    Ok(noted == 1)
}

pub(in crate::payments::ledger) fn prune(
    connection: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, LedgerError> {
    let old: Vec<String> = connection
        .prepare_cached(
            "SELECT id FROM payments WHERE updated < ?1 AND at_rest = 1 AND coalesce(lease_until, due) IS NULL \
             ORDER BY updated LIMIT ?2",
        )?
        .query_map(params![before.0, limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let deletions = [
        &format!("{JOURNAL_OF} DELETE FROM journal WHERE entry IN (SELECT entry FROM entries)"),
        "DELETE FROM refunds WHERE payment = ?1 || ''",
        "DELETE FROM attempts WHERE payment = ?1 || ''",
        "DELETE FROM keys WHERE payment = ?1 || '' AND operation <> 'charge'",
        "DELETE FROM keys WHERE key = (SELECT key FROM payments WHERE id = ?1)",
        "DELETE FROM payments WHERE id = ?1",
    ];
    for id in &old {
        for deletion in deletions {
            connection.prepare_cached(deletion)?.execute([id])?;
        }
    }
    let events = connection
        .prepare_cached(
            "DELETE FROM events WHERE (provider, event) IN \
             (SELECT provider, event FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![before.0, i64::from(limit) - old.len() as i64])?;
    Ok((old.len() + events) as u64)
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
