//! What the worker is handed, and when.

use super::*;

/// Numbers of the payments that a worker is handed.
async fn handed_out(ledger: &Arc<dyn Ledger>, holder: i64, now: Timestamp, limit: u32) -> Vec<String> {
    let until = Timestamp(now.0 + MINUTE);
    let found = ledger.claim_due(Lease { holder: Holder(holder), until }, now, limit).await.expect("readable");
    for payment in &found {
        assert_eq!(payment.lease, Some(Lease { holder: Holder(holder), until }));
        assert_eq!(payment.attempts.len(), 1, "with all that is known");
    }
    found.into_iter().map(|payment| payment.order_id).collect()
}

pub(in crate::payments::ledger) async fn what_a_holder_left_undone_becomes_due(two: Two) {
    two.one.accept(new_payment(1)).await.expect("accepted");
    assert!(handed_out(&two.other, 50, at(9), 10).await.is_empty(), "its holder may be alive");
    assert_eq!(handed_out(&two.other, 50, at(10), 10).await, ["o-1"]);
    assert_eq!(stored(&two.one, 1).await.attempts[0].state, AttemptState::Intent, "the worker says what it means");
    // What is settled and due no more is not handed out, however much time passes.
    let settled = Save { holder: Holder(50), now: at(10), ..save(1, vec![outcome(1, succeeded(1))]) };
    two.other.save(settled).await.expect("saved");
    assert!(handed_out(&two.other, 51, at(1_000_000), 10).await.is_empty());
}

pub(in crate::payments::ledger) async fn the_longest_overdue_is_looked_at_first(two: Two) {
    for (number, due) in [(1, 3), (2, 1), (3, 2), (4, 9)] {
        ended(&two.one, number, unknown(), Some(at(due))).await;
    }
    assert_eq!(handed_out(&two.one, 50, at(5), 2).await, ["o-2", "o-3"]);
    assert_eq!(handed_out(&two.other, 51, at(5), 2).await, ["o-1"]);
    assert_eq!(handed_out(&two.other, 52, at(9), 9).await.len(), 4, "their leases ended");
}

pub(in crate::payments::ledger) async fn what_is_claimed_is_not_handed_out_again(two: Two) {
    ended(&two.one, 1, unknown(), Some(NOW)).await;
    assert!(matches!(two.one.claim(new_payment(1).id, lease(50, 5), at(1)).await, Ok(Claimed::Yes(_))));
    assert!(handed_out(&two.other, 51, at(2), 10).await.is_empty());
    let later = Save { holder: Holder(50), due: Some(at(4)), looks: 3, ..save(1, Vec::new()) };
    two.one.save(later).await.expect("saved");
    assert!(handed_out(&two.other, 51, at(3), 10).await.is_empty());
    assert_eq!(handed_out(&two.other, 51, at(4), 10).await, ["o-1"]);
    assert_eq!(stored(&two.one, 1).await.looks, 3);
}

pub(in crate::payments::ledger) async fn a_hint_hurries_only_what_waits(two: Two) {
    ended(&two.one, 1, unknown(), Some(at(30))).await;
    ended(&two.one, 2, succeeded(2), None).await;
    ended(&two.one, 3, unknown(), Some(at(1))).await;
    for number in 1..=4 {
        two.other.hurry(new_payment(number).id, at(2)).await.expect("taken");
    }
    let due = async |number| stored(&two.one, number).await.due;
    assert_eq!((due(1).await, due(2).await, due(3).await), (Some(at(2)), None, Some(at(1))));
    assert_eq!(handed_out(&two.one, 50, at(2), 10).await, ["o-3", "o-1"]);
}
