use std::time::Duration;

use super::*;
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
