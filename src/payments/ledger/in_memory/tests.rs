use std::task::Poll;

use super::*;
use crate::payments::ledger::conformance::{NOW, Two, at, conforms, lease, new_payment, outcome, save, succeeded};

async fn two() -> Option<(Two, ())> {
    let one = InMemoryLedger::new();
    let other = one.open_again(NOW, false);
    Some((Two { one, other }, ()))
}

conforms!(super::two);

/// Whether an answer comes within more turns than any answer takes.
async fn is_answered<T>(mut answer: LedgerFuture<'_, T>) -> bool {
    for _ in 0..10 {
        let polled = std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        if polled.is_ready() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_process_that_dies_at_a_write_is_never_answered_again() {
    for (side, saved) in [(Side::Before, false), (Side::After, true)] {
        let ledger = InMemoryLedger::new();
        ledger.accept(new_payment(1)).await.expect("accepted");
        assert_eq!(ledger.writes(), 1);
        ledger.on_write(move |ordinal, at| if (ordinal, at) == (2, side) { Fate::Die } else { Fate::Live });
        assert!(!is_answered(ledger.save(save(1, vec![outcome(1, succeeded(1))]))).await);
        assert!(ledger.is_dead());
        assert!(!is_answered(ledger.payment(new_payment(1).id)).await);
        assert!(!is_answered(ledger.accept(new_payment(2))).await);
        let next = ledger.open_again(at(1), true);
        let found = next.claim_due(lease(7, 9), at(1), 10).await.expect("readable");
        assert_eq!(found.is_empty(), saved, "what was held by the dead is due at once");
        assert_eq!(next.payment(new_payment(2).id).await, Ok(None));
    }
}
