//! Keys, leases, and writes at once.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::*;

pub(in crate::payments::ledger) async fn a_key_names_one_payment(two: Two) {
    let first = new_payment(1);
    let second = NewPayment { key: first.key, ..new_payment(2) };
    assert_eq!(two.one.accept(first.clone()).await, Ok(Accepted::New));
    let Ok(Accepted::Existing(existing, used_for)) = two.other.accept(second.clone()).await else {
        panic!("the first one");
    };
    assert_eq!((&existing.id, used_for), (&first.id, first.key));
    assert_eq!(*existing, first.open().0);
    assert_eq!(two.one.payment(second.id).await, Ok(None));
    assert_eq!(two.other.by_key(first.key.key).await, Ok(Some((*existing, first.key))));
    assert_eq!(two.other.by_key([99; 32]).await, Ok(None));
}

pub(in crate::payments::ledger) async fn a_key_of_a_later_operation_names_one_use(two: Two) {
    ended(&two.one, 1, succeeded(1), None).await;
    let refund = KeyUse { key: [50; 32], fingerprint: [4; 32], operation: Operation::Refund, refund: Some(1) };
    let begin = |number| {
        let (provider_key, reference) = ("rk".into(), format!("r-{number}"));
        Record::RefundIntent(RefundIntent { refund: number, amount: 10, provider_key, reference, refunded_before: 0 })
    };
    let done = Record::RefundOutcome { refund: 1, verdict: succeeded(9) };
    let with_key = |records| Save { key: Some(refund), ..save(1, records) };
    let id = new_payment(1).id;
    assert!(matches!(two.one.claim(id.clone(), lease(1, 5), NOW).await, Ok(Claimed::Yes(_))));
    two.one.save(with_key(vec![begin(1), done])).await.expect("saved");
    let (payment, used_for) = two.other.by_key(refund.key).await.expect("readable").expect("noted");
    assert_eq!((payment.refunds.len(), used_for), (1, refund));
    // A second request with the same key that began its work before it could see the first.
    assert!(matches!(two.other.claim(id.clone(), lease(1, 5), NOW).await, Ok(Claimed::Yes(_))));
    let again = two.other.save(with_key(vec![begin(2)])).await;
    assert!(matches!(again, Err(LedgerError::Conflict(_))), "{again:?}");
    assert_eq!(stored(&two.one, 1).await.refunds.len(), 1, "all of a write or nothing of it");
    assert_eq!(two.one.journal(id).await.expect("readable").len(), 5);
}

pub(in crate::payments::ledger) async fn one_of_many_with_one_key_is_accepted(two: Two) {
    let mut requests = JoinSet::new();
    for number in 0..20 {
        let ledger = Arc::clone(if number % 2 == 0 { &two.one } else { &two.other });
        requests.spawn(async move { ledger.accept(NewPayment { key: key(77), ..new_payment(number) }).await });
    }
    let (mut accepted, mut named) = (0, BTreeSet::new());
    for answer in requests.join_all().await {
        match answer.expect("nobody fails") {
            Accepted::New => accepted += 1,
            Accepted::Existing(payment, _) => drop(named.insert(payment.id)),
        }
    }
    assert_eq!((accepted, named.len()), (1, 1));
}

pub(in crate::payments::ledger) async fn one_of_many_gets_the_lease(two: Two) {
    ended(&two.one, 1, unknown(), Some(NOW)).await;
    let mut claims = JoinSet::new();
    for number in 0..20_i64 {
        let ledger = Arc::clone(if number % 2 == 0 { &two.one } else { &two.other });
        let (lease, id) = (lease(100 + number, 5), new_payment(1).id);
        claims.spawn(async move {
            if number % 3 == 0 {
                return ledger.claim_due(lease, NOW, 10).await.expect("readable").len();
            }
            let claimed = ledger.claim(id, lease, NOW).await.expect("readable");
            usize::from(matches!(claimed, Claimed::Yes(payment) if payment.lease == Some(lease)))
        });
    }
    assert_eq!(claims.join_all().await.into_iter().sum::<usize>(), 1);
}

pub(in crate::payments::ledger) async fn only_the_holder_saves(two: Two) {
    let id = new_payment(1).id;
    two.one.accept(new_payment(1)).await.expect("accepted");
    let refused = async |ledger: &Arc<dyn Ledger>, holder| {
        let records = vec![outcome(1, succeeded(1))];
        let saved = ledger.save(Save { holder: Holder(holder), ..save(1, records) }).await;
        assert!(matches!(saved, Err(LedgerError::Conflict(_))), "{saved:?}");
    };
    refused(&two.other, 2).await;
    let Ok(Claimed::Held(held)) = two.other.claim(id.clone(), lease(2, 30), at(9)).await else { panic!("held") };
    assert_eq!(held.lease, Some(lease(1, 10)));
    let Ok(Claimed::Yes(mine)) = two.other.claim(id.clone(), lease(2, 30), at(10)).await else { panic!("free") };
    assert_eq!((mine.lease, mine.attempts[0].state), (Some(lease(2, 30)), AttemptState::Intent));
    refused(&two.one, 1).await;
    two.other.save(Save { holder: Holder(2), ..save(1, vec![outcome(1, unknown())]) }).await.expect("saved");
    refused(&two.other, 2).await;
    assert_eq!(two.one.claim(new_payment(2).id, lease(2, 30), NOW).await, Ok(Claimed::Missing));
    let Err(LedgerError::Conflict(_)) = two.one.save(save(2, Vec::new())).await else { panic!("no such payment") };
}

pub(in crate::payments::ledger) async fn a_lease_that_ran_out_is_its_holders_until_somebody_comes(two: Two) {
    two.one.accept(new_payment(1)).await.expect("accepted");
    let late = Save { now: at(11), lease_until: Some(at(20)), ..save(1, vec![outcome(1, not_processed())]) };
    two.one.save(late).await.expect("nobody came");
    assert_eq!(stored(&two.other, 1).await.lease, Some(lease(1, 20)));
    assert!(matches!(two.one.claim(new_payment(1).id, lease(1, 30), at(12)).await, Ok(Claimed::Yes(_))));
}

pub(in crate::payments::ledger) async fn many_writes_at_once_are_all_durable_and_a_bad_one_hurts_only_itself(two: Two) {
    let mut writes = JoinSet::new();
    for number in 0..60 {
        let ledger = Arc::clone(if number % 3 == 0 { &two.one } else { &two.other });
        writes.spawn(async move {
            let new = new_payment(number);
            ledger.accept(new.clone()).await.expect("accepted");
            // The second attempt breaks the release rule for every other payment.
            let verdict = if number % 2 == 0 { succeeded(number) } else { not_processed() };
            let records = vec![outcome(1, verdict), Record::Intent(intent(&new.id, 2))];
            (number, ledger.save(save(number, records)).await)
        });
    }
    for (number, saved) in writes.join_all().await {
        assert_eq!(saved.is_ok(), number % 2 == 1, "{number}: {saved:?}");
        let states: Vec<_> = stored(&two.one, number).await.attempts.iter().map(|attempt| attempt.state).collect();
        let expected: &[_] =
            if number % 2 == 0 { &[AttemptState::Intent] } else { &[AttemptState::NotProcessed, AttemptState::Intent] };
        assert_eq!(states, expected, "all of a write or nothing of it");
    }
}

pub(in crate::payments::ledger) async fn what_is_stored_is_what_the_records_say(two: Two) {
    let mut runner = TestRunner::deterministic();
    for number in 1..=12 {
        let mut expected = new_payment(number).open().0;
        let mut said = 2;
        two.one.accept(new_payment(number)).await.expect("accepted");
        for step in 1..=30 {
            let mut record = records(&mut runner);
            if let Record::Intent(intent) = &mut record {
                intent.order_reference = expected.id.order_reference(intent.attempt);
            }
            let (now, due) = (Timestamp(NOW.0 + step), (step % 2 == 0).then_some(at(step)));
            let records = vec![record.clone()];
            let looks = u32::try_from(step).expect("small");
            let (due_before, lease_until) = (expected.due, Some(at(10)));
            let saved = two.one.save(Save { now, due, due_before, looks, lease_until, ..save(number, records) }).await;
            match expected.apply(&record, now) {
                Ok(()) => {
                    (said, expected.due, expected.looks) = (said + 1, due, looks);
                    assert_eq!(saved, Ok(()), "{record:?}");
                }
                Err(misfit) => assert_eq!(saved, Err(LedgerError::Conflict(misfit))),
            }
        }
        assert_eq!(stored(&two.other, number).await, expected);
        let journal = two.other.journal(expected.id).await.expect("readable");
        assert_eq!(journal.len(), said);
        assert!(journal.is_sorted_by_key(|entry| entry.at));
    }
}
