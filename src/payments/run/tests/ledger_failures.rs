//! A ledger that fails at any save.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::payments::ledger::{Filter, Ledger as _};
use crate::payments::record::Operation;
use crate::payments::rehearsal::{Fault, Shop};

#[tokio::test(start_paused = true)]
async fn a_ledger_that_takes_no_intent_means_no_attempt() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.ledger.failing_accepts.store(1, Ordering::SeqCst);
    let refused = shop.pay("k").await;
    assert_eq!((refused.status, shop.world.all_calls()), (503, 0));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(shop.pay("k").await.status, 201, "the same key works once the ledger does");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_saved_is_pending_until_it_can() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.ledger.failing_saves.store(3, Ordering::SeqCst);
    let pending = shop.pay("k").await;
    assert_eq!(pending.said(), (202, "pending"));
    assert!(pending.body["provider_ref"].is_null(), "nothing is told that is not durable");
    shop.distributor.drained().await;
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), shop.world.captured(), paid.is_replay()), ((201, "succeeded"), 1, true));
    assert_eq!(shop.world.calls("alpha", Operation::Lookup), 0, "what was heard was not forgotten");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_saved_even_after_its_lease_ran_out() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.ledger.failing_saves.store(40, Ordering::SeqCst);
    let pending = shop.pay("k").await;
    assert_eq!(pending.said(), (202, "pending"));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(shop.get(pending.text("id")).await.text("status"), "succeeded");
    assert_eq!(shop.world.captured(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_cannot_be_saved_does_not_happen() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    for name in ["alpha", "beta"] {
        shop.world.set(name, Some(&Fault::Refused));
    }
    shop.ledger.failing_saves.store(1, Ordering::SeqCst);
    let pending = shop.pay("k").await;
    assert_eq!((pending.status, shop.world.all_calls()), (202, 1), "not known to be released, so pending");
    shop.becomes(pending.text("id"), "not_processed", Duration::from_secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn follow_ups_need_a_ledger_before_anything_is_sent() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    for step in ["confirm", "cancel"] {
        shop.ledger.failing_saves.store(1, Ordering::SeqCst);
        assert_eq!(shop.step(id, step, step, "{}").await.status, 503, "{step}");
        // The lease runs out.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(shop.world.calls("alpha", Operation::Confirm) + shop.world.calls("alpha", Operation::Cancel), 0);
    assert_eq!(shop.step(id, "confirm", "confirm", "{}").await.said(), (200, "succeeded"));
    shop.ledger.failing_saves.store(1, Ordering::SeqCst);
    assert_eq!(shop.step(id, "refund", "r", "{}").await.status, 503);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((shop.step(id, "refund", "r", "{}").await.status, shop.world.refunded()), (200, 100));
}

/// Whatever save fails, and for however long: the books balance and nobody is told what is not so.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_fails_at_any_save_costs_no_money() {
    for charge in [Fault::LostAfter, Fault::LostBefore, Fault::Refused, Fault::Late(Duration::from_secs(3))] {
        for works in 0..8_u64 {
            for fails in [1, 5] {
                let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
                for name in ["alpha", "beta"] {
                    shop.world.next(name, Operation::Charge, std::slice::from_ref(&charge));
                }
                let ledger = std::sync::Arc::clone(&shop.ledger);
                let broken = std::sync::Arc::clone(&shop.ledger);
                ledger.on_write(move |ordinal, _| {
                    if ordinal == works + 1 {
                        broken.failing_saves.store(fails, Ordering::SeqCst);
                    }
                    crate::payments::ledger::in_memory::Fate::Live
                });
                let told = shop.pay("k").await;
                let failed = matches!(told.status, 402 | 503);
                let open = shop.ledger.list(Filter::default()).await.expect("readable");
                let may_have_charged = open.iter().any(|payment| payment.live_attempt().is_some());
                assert!(!failed || !may_have_charged, "{charge:?} {works} {fails}: {told:?}");
                tokio::time::sleep(Duration::from_secs(200)).await;
                assert_eq!(shop.ledger.tally().await.expect("readable").pending, 0, "{charge:?} {works} {fails}");
                shop.pay_until_paid("k").await;
                assert_eq!(shop.world.captured(), 1, "{charge:?} {works} {fails}");
            }
        }
    }
}
