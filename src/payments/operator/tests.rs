use std::time::Duration;

use super::*;
use crate::payments::ledger::Ledger as _;
use crate::payments::record::Operation;
use crate::payments::rehearsal::{Fault, Shop, Talk};

fn decision(state: AttemptState) -> Decision {
    Decision { target: None, state, provider_ref: None, reason: "asked them".into(), by: "alice".into() }
}

/// A charge whose outcome only a person can find out.
async fn held() -> (Shop, String) {
    let shop = Shop::with(&[("alpha", 1)], Talk::everything().without(&[Operation::Lookup]));
    shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
    let held = shop.pay("k").await;
    let id = held.text("id").to_owned();
    (shop, id)
}

#[tokio::test(start_paused = true)]
async fn a_decision_settles_the_payment_under_the_name_of_its_maker() {
    let (shop, id) = held().await;
    let unnamed = shop.distributor.resolve(&id, &decision(AttemptState::Succeeded)).await;
    assert!(matches!(unnamed, Err(DecisionError::Unfit(_))), "refunds need the charge's name: {unnamed:?}");
    let named = Decision { provider_ref: Some("ch_7".into()), ..decision(AttemptState::Succeeded) };
    let view = shop.distributor.resolve(&id, &named).await.expect("taken");
    assert_eq!((view.status.as_str(), view.manual), ("succeeded", false));
    let told = shop.pay("k").await;
    assert_eq!((told.said(), told.text("provider_ref")), ((201, "succeeded"), "ch_7"));
    let last = shop.journal(&id).await.pop();
    assert!(matches!(last, Some(Record::Resolved { by, reason, .. }) if by == "alice" && reason == "asked them"));
}

#[tokio::test(start_paused = true)]
async fn what_a_person_found_not_processed_may_be_tried_again() {
    let (shop, id) = held().await;
    shop.distributor.resolve(&id, &decision(AttemptState::NotProcessed)).await.expect("taken");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.pay("k").await.said(), (201, "succeeded"));
}

#[tokio::test(start_paused = true)]
async fn nothing_settled_is_decided_again() {
    let shop = Shop::new(&[("alpha", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    for target in [None, Some(Target::Attempt(1)), Some(Target::Attempt(2)), Some(Target::Refund(1))] {
        let refused = shop.distributor.resolve(id, &Decision { target, ..decision(AttemptState::Voided) }).await;
        assert!(matches!(refused, Err(DecisionError::Unfit(_))), "{target:?} {refused:?}");
    }
    let missing = shop.distributor.resolve("pay_0", &decision(AttemptState::Voided)).await;
    assert!(matches!(missing, Err(DecisionError::Missing(_))));
    assert_eq!(shop.step(id, "refund", "r", "{}").await.status, 200, "the lease was given back");
}

/// A refund of 40 whose outcome only a person can find out.
async fn held_refund() -> (Shop, String) {
    let shop = Shop::with(&[("alpha", 1)], Talk::everything().without(&[Operation::Lookup]));
    let paid = shop.pay("k").await;
    let id = paid.text("id").to_owned();
    shop.world.next("alpha", Operation::Refund, &[Fault::LostAfter]);
    assert_eq!(shop.step(&id, "refund", "r", r#"{"amount":40}"#).await.status, 202);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.stored(&id).await.refunds[0].state, AttemptState::Manual);
    (shop, id)
}

#[tokio::test(start_paused = true)]
async fn a_decision_settles_a_refund_and_frees_the_next() {
    for (state, status, refunded) in
        [(AttemptState::Succeeded, 200, 40), (AttemptState::NotProcessed, 503, 0), (AttemptState::Declined, 402, 0)]
    {
        let (shop, id) = held_refund().await;
        let view = shop.distributor.get(&id).await.expect("readable").expect("known");
        assert!(view.manual, "{view:?}");
        let view = shop.distributor.resolve(&id, &decision(state)).await.expect("taken");
        assert_eq!((view.refunds[0].status, view.refunded, view.manual), (state.as_str(), refunded, false));
        assert_eq!(view.refunds[0].reason.as_deref(), Some("asked them"));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(shop.step(&id, "refund", "r", r#"{"amount":40}"#).await.status, status, "its key says so too");
        assert_eq!(shop.step(&id, "refund", "r2", r#"{"amount":60}"#).await.status, 200);
        let by = shop.journal(&id).await.into_iter().find_map(|record| match record {
            Record::RefundResolved { by, state: said, .. } if said == state => Some(by),
            _ => None,
        });
        assert_eq!(by.as_deref(), Some("alice"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_no_attempt_and_can_not_be_voided() {
    let (shop, id) = held_refund().await;
    for (target, state) in [
        (None, AttemptState::Voided),
        (Some(Target::Refund(1)), AttemptState::Voided),
        (Some(Target::Refund(2)), AttemptState::Succeeded),
        (Some(Target::Attempt(1)), AttemptState::Succeeded),
    ] {
        let refused = shop.distributor.resolve(&id, &Decision { target, ..decision(state) }).await;
        assert!(matches!(refused, Err(DecisionError::Unfit(_))), "{target:?} {refused:?}");
    }
    assert_eq!(shop.stored(&id).await.refunds[0].state, AttemptState::Manual);
    let named = Decision { target: Some(Target::Refund(1)), ..decision(AttemptState::Succeeded) };
    shop.distributor.resolve(&id, &named).await.expect("taken");
}

#[tokio::test(start_paused = true)]
async fn a_late_capture_that_only_a_person_can_take_back_is_ended_as_voided_and_nothing_else() {
    // It can be looked at and not be taken back once it is captured.
    let shop = Shop::new(&[("alpha", 1_000), ("beta", 1)]);
    shop.world.next("alpha", Operation::Charge, &[Fault::Late(Duration::from_secs(30))]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    assert_eq!(paid.text("provider"), "beta");
    shop.world.always("alpha", Operation::Void, Some(Fault::LostBefore));
    tokio::time::sleep(Duration::from_secs(40 * 3_600)).await;
    let view = shop.distributor.get(id).await.expect("readable").expect("known");
    assert_eq!((view.attempts[0].late_capture, view.manual, shop.world.captured()), (Some("manual"), true, 2));
    for state in [AttemptState::Succeeded, AttemptState::NotProcessed, AttemptState::Declined] {
        let named = Decision { target: Some(Target::Attempt(1)), ..decision(state) };
        let refused = shop.distributor.resolve(id, &named).await;
        assert!(matches!(refused, Err(DecisionError::Unfit(_))), "{state:?} {refused:?}");
    }
    let view = shop.distributor.resolve(id, &decision(AttemptState::Voided)).await.expect("taken");
    assert_eq!((view.attempts[0].late_capture, view.attempts[0].status), (Some("voided"), "voided"));
    assert_eq!((view.status.as_str(), view.manual), ("succeeded", false), "what beta has is untouched");
    let last = shop.journal(id).await.pop();
    assert!(matches!(last, Some(Record::LateCaptureEnded { by, attempt: 1, .. }) if by == "alice"));
}

#[tokio::test(start_paused = true)]
async fn a_decision_waits_for_a_look_and_not_for_ever() {
    for (held_for, taken) in [(3, true), (3_600, false)] {
        let (shop, id) = held().await;
        let (payment, now) = (shop.stored(&id).await.id, shop.distributor.clock.now());
        let lease = Lease { holder: Distributor::holder(), until: now.plus(Duration::from_secs(held_for)) };
        assert!(matches!(shop.ledger.claim(payment, lease, now).await, Ok(Claimed::Yes(_))));
        let decided = shop.distributor.resolve(&id, &decision(AttemptState::Declined)).await;
        assert_eq!((decided.is_ok(), matches!(decided, Err(DecisionError::Busy))), (taken, !taken), "{decided:?}");
    }
}
