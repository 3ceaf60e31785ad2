//! The ledger in PostgreSQL, for several gateways on one set of books.
//!
//! The same records by the same [`super::apply`]: a payment's row is locked while its records are
//! applied, so that writers of one payment take turns and those of others never wait; whoever read or
//! wrote it last tries first whether that still holds, and saves in one round trip. What two
//! gateways could still do to each other is refused by unique constraints. Times are the database's:
//! all gateways count from its clock. Deliberately absent: LISTEN/NOTIFY, whose lock would make all
//! commits wait for each other; and advisory locks for leases, which a pooler in between would lose.

mod address;
mod pool;
mod rows;
mod schema;
mod statements;
mod tls;

use self::pool::Pool;
use super::{
    Accepted, Claimed, Filter, JournalEntry, KeyUse, Lease, Ledger, LedgerFuture, NewPayment, OpenError, Save,
    StoredPayment, Tally, random_secret,
};
use crate::clock::Timestamp;
use crate::payments::id::PaymentId;
use crate::payments::idempotency::Digest;
use crate::types::ProviderName;

pub use address::PostgresAddress;

/// See the module's text.
#[derive(Debug)]
pub struct PostgresLedger {
    pool: Pool,
    secret: [u8; 32],
    opened_at: Timestamp,
}

impl PostgresLedger {
    /// Opens the ledger in this database, or creates it.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and how to mend it.
    pub async fn open(address: PostgresAddress) -> Result<Self, OpenError> {
        if address.is_exposed() {
            tracing::warn!("The payment ledger's connection is not encrypted: add sslmode=verify-full to its URL");
        }
        let client = pool::connect(&address).await?;
        let secret = schema::prepare(&client, random_secret()).await?;
        let opened = client
            .query_one(
                "SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
                 (SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS NULL), \
                 (SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS NOT NULL)), \
                 current_setting('fsync')",
                &[],
            )
            .await?;
        if opened.try_get::<_, &str>(1)? != "on" {
            tracing::warn!("The payment ledger's PostgreSQL has fsync off: after a power failure it may be corrupt");
        }
        Ok(Self { pool: Pool::new(address), secret, opened_at: Timestamp(opened.try_get(0)?) })
    }
}

impl Ledger for PostgresLedger {
    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    fn accept(&self, new: NewPayment) -> LedgerFuture<'_, Accepted> {
        Box::pin(self.pool.run(|session| Box::pin(async move { statements::accept(session, &new).await })))
    }

    fn save(&self, save: Save) -> LedgerFuture<'_, ()> {
        Box::pin(self.pool.run(|session| Box::pin(async move { statements::save(session, &save).await })))
    }

    fn claim(&self, id: PaymentId, lease: Lease, now: Timestamp) -> LedgerFuture<'_, Claimed> {
        Box::pin(
            self.pool.run(move |session| Box::pin(async move { statements::claim(session, &id, lease, now).await })),
        )
    }

    fn claim_due(&self, lease: Lease, now: Timestamp, limit: u32) -> LedgerFuture<'_, Vec<StoredPayment>> {
        Box::pin(self.pool.run(move |session| Box::pin(statements::claim_due(session, lease, now, limit))))
    }

    fn by_key(&self, key: Digest) -> LedgerFuture<'_, Option<(StoredPayment, KeyUse)>> {
        Box::pin(self.pool.run(move |session| Box::pin(async move { statements::by_key(session, &key).await })))
    }

    fn payment(&self, id: PaymentId) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(self.pool.run(|session| Box::pin(async move { statements::payment(session, &id).await })))
    }

    fn by_provider_ref(&self, provider: ProviderName, reference: String) -> LedgerFuture<'_, Option<StoredPayment>> {
        Box::pin(
            self.pool.run(|session| {
                Box::pin(async move { statements::by_provider_ref(session, &provider, &reference).await })
            }),
        )
    }

    fn journal(&self, id: PaymentId) -> LedgerFuture<'_, Vec<JournalEntry>> {
        Box::pin(self.pool.run(|session| Box::pin(async move { statements::journal(session, &id).await })))
    }

    fn list(&self, filter: Filter) -> LedgerFuture<'_, Vec<StoredPayment>> {
        Box::pin(self.pool.run(|session| Box::pin(async move { statements::list(session, &filter).await })))
    }

    fn tally(&self) -> LedgerFuture<'_, Tally> {
        Box::pin(self.pool.run(|session| Box::pin(statements::tally(session))))
    }

    fn note_event(
        &self,
        provider: ProviderName,
        event: Digest,
        about: Option<PaymentId>,
        now: Timestamp,
    ) -> LedgerFuture<'_, bool> {
        Box::pin(self.pool.run(move |session| {
            Box::pin(async move { statements::note_event(session, &provider, &event, about.as_ref(), now).await })
        }))
    }

    fn prune(&self, before: Timestamp, limit: u32) -> LedgerFuture<'_, u64> {
        Box::pin(self.pool.run(move |session| Box::pin(statements::prune(session, before, limit))))
    }
}

#[cfg(test)]
mod tests;
