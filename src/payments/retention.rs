//! Retention: settled payments are forgotten once they are older than what is configured.
//!
//! In small steps with pauses, so that payments under way hardly wait for it. What is open, waits for a
//! person or is being watched stays for as long as that is so, whatever its age: the ledger sees to it.

use std::sync::Weak;
use std::time::Duration;

use super::distributor::Distributor;
use super::ledger::{Ledger, LedgerError};
use crate::clock::Timestamp;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(3600);
/// Payments and events that one write forgets.
const STEP: u32 = 200;
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(100);

/// Prunes for as long as the distributor lives.
pub(super) async fn run(distributor: Weak<Distributor>) {
    loop {
        // First the pause: a start has better things to do.
        tokio::time::sleep(EVERY).await;
        let Some(distributor) = distributor.upgrade() else { return };
        let Some(settings) = distributor.settings() else { continue };
        let before = oldest_kept(distributor.clock.now(), settings.retention);
        match prune(&*distributor.ledger, before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, before = before.rfc3339(), "Old payments and events were forgotten"),
            Err(error) => {
                distributor.observer.ledger_failed();
                tracing::error!(%error, "Old payments can't be forgotten; it is tried again in an hour");
            }
        }
    }
}

/// Forgets everything settled or noted before this moment; how many payments and events.
async fn prune(ledger: &dyn Ledger, before: Timestamp) -> Result<u64, LedgerError> {
    let mut forgotten = 0;
    loop {
        let step = ledger.prune(before, STEP).await?;
        forgotten += step;
        if step < u64::from(STEP) {
            return Ok(forgotten);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn oldest_kept(now: Timestamp, retention: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::id::PaymentId;
    use crate::payments::ledger::in_memory::InMemoryLedger;
    use crate::payments::ledger::{Filter, Holder, KeyUse, Lease, NewPayment, Save};
    use crate::payments::money::{Currency, Money};
    use crate::payments::record::{Intent, Operation, Record};
    use crate::payments::verdict::{Doubt, Verdict};

    const NOW: Timestamp = Timestamp(1_795_291_200_000);
    const RETENTION: Duration = Duration::from_secs(400 * 86_400);

    async fn stored(ledger: &InMemoryLedger, number: u16, at: Timestamp, verdict: Verdict) -> PaymentId {
        let [high, low] = number.to_be_bytes();
        let id = PaymentId::new(at, [high, low, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut key = [0; 32];
        key[..2].copy_from_slice(&[high, low]);
        let is_open = matches!(verdict, Verdict::Unknown { .. });
        let new = NewPayment {
            id: id.clone(),
            client: [1; 32],
            key: KeyUse { key, fingerprint: [1; 32], operation: Operation::Charge, refund: None },
            order_id: "o".into(),
            money: Money { amount: 1, currency: Currency::parse("EUR").expect("listed") },
            method: "card".into(),
            capture: true,
            intent: Intent {
                attempt: 1,
                operation: Operation::Charge,
                provider: "alpha".into(),
                amount: 1,
                currency: "EUR".into(),
                provider_key: format!("key-{number}"),
                order_reference: id.order_reference(1),
                lookup: id.order_reference(1),
            },
            now: at,
            lease: Lease { holder: Holder(1), until: at.plus(Duration::from_secs(60)) },
        };
        ledger.accept(new).await.expect("accepted");
        let save = Save {
            id: id.clone(),
            holder: Holder(1),
            records: vec![Record::Outcome { attempt: 1, operation: Operation::Charge, verdict }],
            key: None,
            now: at,
            lease_until: None,
            due: is_open.then_some(at),
            due_before: None,
            looks: 0,
        };
        ledger.save(save).await.expect("saved");
        id
    }

    fn succeeded(number: u16) -> Verdict {
        Verdict::Succeeded { provider_ref: format!("ch_{number}"), refunded: None }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_settled_and_old_goes_step_by_step_and_nothing_else() {
        let ledger = InMemoryLedger::new();
        let old = Timestamp(oldest_kept(NOW, RETENTION).0 - 1);
        let count = u16::try_from(STEP).expect("small") + 5;
        for number in 0..count {
            stored(&ledger, number, old, succeeded(number)).await;
        }
        let unknown = Verdict::Unknown { doubt: Doubt::Timeout };
        let open = stored(&ledger, count, old, unknown).await;
        let young = stored(&ledger, count + 1, NOW, succeeded(count + 1)).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(prune(&*ledger, oldest_kept(NOW, RETENTION)).await, Ok(u64::from(count)));
        assert!(begun.elapsed() >= PAUSE, "in more than one step");
        let left = ledger.list(Filter::default()).await.expect("readable");
        let left: Vec<_> = left.into_iter().map(|payment| payment.id).collect();
        assert_eq!(left, [young, open]);
        assert_eq!(prune(&*ledger, oldest_kept(NOW, RETENTION)).await, Ok(0));
    }
}
