//! A process that dies at any write, and the one that comes after it.

use std::time::Duration;

use crate::payments::ledger::Ledger as _;
use crate::payments::ledger::in_memory::{Fate, Side};
use crate::payments::record::Operation;
use crate::payments::rehearsal::{Fault, Reply, Shop};

const PATIENCE: Duration = Duration::from_secs(120);

/// Kills the process at the `ordinal`th write from now on, on one side of it.
fn die_at(shop: &Shop, ordinal: u64, side: Side) {
    let before = shop.ledger.writes();
    shop.ledger.on_write(move |write, at| if (write - before, at) == (ordinal, side) { Fate::Die } else { Fate::Live });
}

/// What the client hears, unless the process dies first.
async fn heard(reply: impl Future<Output = Reply>) -> Option<Reply> {
    tokio::time::timeout(PATIENCE, reply).await.ok()
}

/// The process after this one, which is dead by now in any case.
fn successor(shop: &Shop) -> Shop {
    die_at(shop, 1, Side::Before);
    shop.another(true)
}

async fn all_settled(shop: &Shop) {
    for _ in 0..600 {
        if shop.ledger.tally().await.expect("readable").pending == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("something stays open: {:?}", shop.ledger.list(crate::payments::Filter::default()).await);
}

#[tokio::test(start_paused = true)]
async fn a_charge_whose_gateway_dies_at_any_write_is_charged_once_in_the_end() {
    for fault in [None, Some(Fault::LostAfter), Some(Fault::LostBefore), Some(Fault::Refused)] {
        for ordinal in 1..10 {
            for side in [Side::Before, Side::After] {
                let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
                for name in ["alpha", "beta"] {
                    shop.world.next(name, Operation::Charge, fault.as_slice());
                }
                die_at(&shop, ordinal, side);
                let told = heard(shop.pay("k")).await;
                let next = successor(&shop);
                all_settled(&next).await;
                let case = format!("{fault:?} at {ordinal} {side:?}: {told:?}");
                if told.is_some_and(|told| told.status == 201) {
                    assert_eq!(next.world.captured(), 1, "{case}");
                }
                next.pay_until_paid("k").await;
                assert_eq!(next.world.captured(), 1, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_whose_gateway_dies_at_any_write_is_carried_out_once() {
    for fault in [None, Some(Fault::LostAfter), Some(Fault::LostBefore), Some(Fault::Refused)] {
        for ordinal in 1..8 {
            for side in [Side::Before, Side::After] {
                let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
                let prepared = shop.prepare("k").await;
                let id = prepared.text("id");
                for name in ["alpha", "beta"] {
                    shop.world.next(name, Operation::Confirm, fault.as_slice());
                }
                die_at(&shop, ordinal, side);
                let told = heard(shop.step(id, "confirm", "c", "{}")).await;
                let next = successor(&shop);
                all_settled(&next).await;
                let case = format!("{fault:?} at {ordinal} {side:?}: {told:?}");
                let keys = std::cell::Cell::new(0);
                let confirm = || {
                    keys.set(keys.get() + 1);
                    let (key, next) = (format!("again-{}", keys.get()), &next);
                    async move { next.step(id, "confirm", &key, "{}").await }
                };
                let confirmed = match next.get(id).await.text("status") {
                    "succeeded" => next.get(id).await,
                    "not_processed" => {
                        next.until(|| next.step(id, "confirm", "c", "{}"), 202).await;
                        next.until(confirm, 200).await
                    }
                    _ => next.until(confirm, 200).await,
                };
                assert_eq!((confirmed.said(), next.world.captured()), ((200, "succeeded"), 1), "{case}");
                tokio::time::sleep(PATIENCE).await;
                assert_eq!(next.world.prepared(), 0, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_or_refund_whose_gateway_dies_at_any_write_is_settled() {
    for fault in [None, Some(Fault::LostAfter), Some(Fault::LostBefore)] {
        for ordinal in 1..8 {
            for side in [Side::Before, Side::After] {
                let case = format!("{fault:?} at {ordinal} {side:?}");
                let shop = Shop::new(&[("alpha", 1)]);
                let prepared = shop.prepare("k").await;
                let paid = shop.pay("p").await;
                shop.world.next("alpha", Operation::Cancel, fault.as_slice());
                shop.world.next("alpha", Operation::Refund, fault.as_slice());
                die_at(&shop, ordinal, side);
                heard(shop.step(prepared.text("id"), "cancel", "x", "{}")).await;
                heard(shop.step(paid.text("id"), "refund", "r", r#"{"amount":40}"#)).await;
                let next = successor(&shop);
                all_settled(&next).await;
                tokio::time::sleep(PATIENCE).await;
                next.step(prepared.text("id"), "cancel", "x", "{}").await;
                next.step(paid.text("id"), "refund", "r", r#"{"amount":40}"#).await;
                let refunded = next.world.refunded();
                let stored = next.stored(paid.text("id")).await;
                assert_eq!(stored.refunded(), refunded, "{case}");
                assert!(refunded <= 40 && stored.open_refund().is_none(), "{case}: {stored:?}");
                next.becomes(prepared.text("id"), "cancelled", PATIENCE).await;
                assert_eq!((next.world.prepared(), next.world.captured()), (0, 1), "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_whose_gateway_is_gone_is_resolved_by_the_others() {
    let shop = Shop::new(&[("alpha", 1)]);
    let other = shop.another(false);
    shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
    die_at(&shop, 2, Side::Before);
    assert!(heard(shop.pay("k")).await.is_none());
    // Its lease has run out by now, and the other gateway has seen to it.
    all_settled(&other).await;
    assert_eq!((other.pay("k").await.status, other.world.captured()), (201, 1));
    assert_eq!(other.world.calls("alpha", Operation::Charge), 1);
}

#[tokio::test(start_paused = true)]
async fn the_worker_ends_in_order() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.world.set("alpha", Some(&Fault::Swallowed));
    assert_eq!(shop.pay("k").await.status, 202);
    shop.distributor.drain().await;
    let looks = shop.world.all_calls();
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(shop.world.all_calls(), looks, "nothing begins after the end");
    shop.world.set("alpha", None);
    let next = successor(&shop);
    all_settled(&next).await;
}
