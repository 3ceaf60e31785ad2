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

/// The provider tells something about the payment of this number.
async fn hint(ledger: &Arc<dyn Ledger>, number: u8, now: Timestamp) {
    let mut event = [number; 32];
    event[..8].copy_from_slice(&now.0.to_be_bytes());
    assert_eq!(ledger.note_event("alpha".into(), event, Some(new_payment(number).id), now).await, Ok(true));
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
    let later = Save { holder: Holder(50), due: Some(at(4)), due_before: Some(NOW), looks: 3, ..save(1, Vec::new()) };
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
        hint(&two.other, number, at(2)).await;
    }
    let due = async |number| stored(&two.one, number).await.due;
    assert_eq!((due(1).await, due(2).await, due(3).await), (Some(at(2)), None, Some(at(1))));
    assert_eq!(handed_out(&two.one, 50, at(2), 10).await, ["o-3", "o-1"]);
}

pub(in crate::payments::ledger) async fn a_hint_outlasts_the_work_that_it_meets(two: Two) {
    // One that began with the payment, and one that took it over, save twice each and know nothing of the hint.
    two.one.accept(new_payment(1)).await.expect("accepted");
    ended(&two.one, 2, unknown(), Some(at(1))).await;
    assert!(matches!(two.one.claim(new_payment(2).id, lease(2, 10), at(1)).await, Ok(Claimed::Yes(_))));
    for (number, due_before, records) in [(1, None, vec![outcome(1, unknown())]), (2, Some(at(1)), Vec::new())] {
        hint(&two.other, number, at(2)).await;
        let more = Save { due: Some(at(30)), due_before, lease_until: Some(at(10)), ..save(number, records) };
        two.one.save(more).await.expect("saved");
        let last = Save { due: Some(at(40)), due_before: Some(at(30)), ..save(number, Vec::new()) };
        two.one.save(last).await.expect("saved");
        assert_eq!(stored(&two.one, number).await.due, Some(at(2)), "{number}");
    }
    assert_eq!(handed_out(&two.one, 50, at(2), 10).await.len(), 2);
    // Without a hint the holder decides; and of what is settled nothing is to be looked at.
    let later = Save { holder: Holder(50), due: Some(at(40)), due_before: Some(at(2)), ..save(1, Vec::new()) };
    two.one.save(later).await.expect("saved");
    assert_eq!(stored(&two.one, 1).await.due, Some(at(40)));
    hint(&two.other, 2, at(3)).await;
    let settled = Save { holder: Holder(50), ..save(2, vec![outcome(1, succeeded(2))]) };
    two.one.save(settled).await.expect("saved");
    assert_eq!(stored(&two.one, 2).await.due, None);
}
