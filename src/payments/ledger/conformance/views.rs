//! What is found, listed, counted and forgotten.

use super::*;

pub(in crate::payments::ledger) async fn a_payment_is_found_by_its_providers_name_for_it(two: Two) {
    ended(&two.one, 1, succeeded(1), None).await;
    ended(&two.one, 2, succeeded(2), None).await;
    let find = async |provider: &str, name: &str| {
        let found = two.other.by_provider_ref(provider.into(), name.into()).await.expect("readable");
        found.map(|payment| payment.order_id)
    };
    assert_eq!(find("alpha", "ch_2").await.as_deref(), Some("o-2"));
    assert_eq!(find("beta", "ch_2").await, None, "names are the provider's own");
    assert_eq!(find("alpha", "ch_3").await, None);
}

pub(in crate::payments::ledger) async fn an_event_is_noted_once(two: Two) {
    assert_eq!(two.one.note_event("alpha".into(), [1; 32], None, NOW).await, Ok(true));
    assert_eq!(two.other.note_event("alpha".into(), [1; 32], None, at(1)).await, Ok(false));
    assert_eq!(two.other.note_event("beta".into(), [1; 32], None, NOW).await, Ok(true));
    assert_eq!(two.other.note_event("alpha".into(), [2; 32], None, NOW).await, Ok(true));
}

pub(in crate::payments::ledger) async fn an_event_hurries_its_payment_once(two: Two) {
    ended(&two.one, 1, unknown(), Some(at(30))).await;
    let about = || Some(new_payment(1).id);
    assert_eq!(two.one.note_event("alpha".into(), [1; 32], about(), at(2)).await, Ok(true));
    assert_eq!(stored(&two.other, 1).await.due, Some(at(2)));
    assert!(matches!(two.one.claim(new_payment(1).id, lease(1, 10), at(2)).await, Ok(Claimed::Yes(_))));
    let later = Save { due: Some(at(40)), due_before: Some(at(2)), ..save(1, Vec::new()) };
    two.one.save(later).await.expect("saved");
    assert_eq!(two.other.note_event("alpha".into(), [1; 32], about(), at(3)).await, Ok(false));
    assert_eq!(stored(&two.other, 1).await.due, Some(at(40)), "a repetition hastens nothing");
    let nobody = Some(new_payment(9).id);
    assert_eq!(two.one.note_event("alpha".into(), [2; 32], nobody, at(3)).await, Ok(true));
}

fn resolved(state: AttemptState) -> Record {
    let (by, reason) = ("alice".into(), "the settlement file says so".into());
    Record::Resolved { attempt: 1, state, provider_ref: None, code: None, by, reason }
}

/// Payments of all kinds: 1 pending, 2 succeeded, 3 for a person, 4 prepared, 5 not processed, 6 succeeded with a
/// refund for a person.
async fn of_all_kinds(two: &Two) {
    ended(&two.one, 1, unknown(), Some(at(1))).await;
    ended(&two.one, 2, succeeded(2), None).await;
    two.one.accept(new_payment(3)).await.expect("accepted");
    let manual = vec![outcome(1, unknown()), resolved(AttemptState::Manual)];
    two.one.save(save(3, manual)).await.expect("saved");
    let prepared = Verdict::Prepared { provider_ref: Some("pi_4".into()), next_action: Default::default() };
    ended(&two.one, 4, prepared, Some(at(30))).await;
    ended(&two.one, 5, not_processed(), None).await;
    two.one.accept(new_payment(6)).await.expect("accepted");
    let (provider_key, reference) = ("rk".into(), "r-1".into());
    let refund = RefundIntent { refund: 1, amount: 10, provider_key, reference, refunded_before: 0 };
    let (by, reason) = ("lookup".into(), "never found".into());
    let records = vec![
        outcome(1, succeeded(6)),
        Record::RefundIntent(refund),
        Record::RefundOutcome { refund: 1, verdict: unknown() },
        Record::RefundResolved { refund: 1, state: AttemptState::Manual, by, reason },
    ];
    two.one.save(save(6, records)).await.expect("saved");
}

pub(in crate::payments::ledger) async fn open_payments_are_counted(two: Two) {
    assert_eq!(two.one.tally().await, Ok(Tally::default()));
    of_all_kinds(&two).await;
    assert_eq!(two.other.tally().await, Ok(Tally { pending: 2, manual: 2, requires_action: 1 }));
}

pub(in crate::payments::ledger) async fn lists_are_filtered_and_come_in_pages(two: Two) {
    of_all_kinds(&two).await;
    let later = NewPayment {
        now: at(5),
        intent: Intent { provider: "beta".into(), ..intent(&new_payment(7).id, 1) },
        ..new_payment(7)
    };
    let later = NewPayment { id: PaymentId::new(at(5), [7; 10]), ..later };
    two.one.accept(later).await.expect("accepted");
    let list = async |filter| {
        let found = two.other.list(filter).await.expect("readable");
        found.into_iter().map(|payment| payment.order_id[2..].parse().expect("a number")).collect::<Vec<u8>>()
    };
    let all = Filter::default();
    assert_eq!(list(all.clone()).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list(Filter { limit: Some(2), ..all.clone() }).await, [7, 6]);
    let before = Some(new_payment(6).id);
    assert_eq!(list(Filter { limit: Some(2), before: before.clone(), ..all.clone() }).await, [5, 4]);
    assert_eq!(list(Filter { state: Some(PaymentState::Succeeded), ..all.clone() }).await, [6, 2]);
    assert_eq!(list(Filter { state: Some(PaymentState::Pending), before, ..all.clone() }).await, [3, 1]);
    assert_eq!(list(Filter { manual: true, ..all.clone() }).await, [6, 3]);
    assert_eq!(list(Filter { order_id: Some("o-3".into()), ..all.clone() }).await, [3]);
    assert_eq!(list(Filter { provider: Some("beta".into()), ..all.clone() }).await, [7]);
    assert_eq!(list(Filter { from: Some(at(5)), ..all.clone() }).await, [7]);
    assert_eq!(list(Filter { to: Some(at(5)), limit: Some(3), ..all.clone() }).await, [6, 5, 4]);
    let nobody = Filter { from: Some(at(1)), to: Some(at(5)), ..all };
    assert!(list(nobody).await.is_empty());
}

pub(in crate::payments::ledger) async fn only_what_is_old_and_at_rest_is_forgotten(two: Two) {
    of_all_kinds(&two).await;
    two.one.accept(new_payment(7)).await.expect("accepted");
    ended(&two.one, 8, succeeded(8), Some(at(60))).await;
    for event in 1..=3 {
        two.one.note_event("alpha".into(), [event; 32], None, NOW).await.expect("noted");
    }
    assert_eq!(two.other.prune(NOW, 100).await, Ok(0), "nothing is older than that");
    assert_eq!(two.other.prune(at(1), 1).await, Ok(1), "in small portions");
    assert_eq!(two.other.prune(at(1), 3).await, Ok(3), "another payment and two events");
    assert_eq!(two.other.prune(at(1), 100).await, Ok(1), "however few payments there are");
    assert_eq!(two.other.prune(at(1), 100).await, Ok(0));
    let left: Vec<_> =
        two.one.list(Filter::default()).await.expect("readable").into_iter().map(|left| left.order_id).collect();
    assert_eq!(left, ["o-8", "o-7", "o-6", "o-4", "o-3", "o-1"], "neither 2, succeeded, nor 5, not processed");
    assert!(two.one.journal(new_payment(2).id).await.expect("readable").is_empty());
    assert_eq!(two.one.note_event("alpha".into(), [1; 32], None, at(1)).await, Ok(true), "events are forgotten too");
    assert_eq!(two.one.accept(NewPayment { now: at(1), ..new_payment(2) }).await, Ok(Accepted::New), "and keys");
}
