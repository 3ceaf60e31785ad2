//! Prepare, confirm, cancel: each step at the owner, and never twice.

use std::time::Duration;

use serde_json::json;

use crate::payments::ledger::Ledger as _;
use crate::payments::record::Operation;
use crate::payments::rehearsal::{Fault, Shop, Talk};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_payment_is_prepared_and_confirmed_at_its_owner() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    let prepared = shop.prepare("k").await;
    assert_eq!(prepared.said(), (202, "requires_action"));
    assert_eq!(prepared.body["next_action"], json!({"secret": "s"}));
    assert_eq!(shop.world.captured(), 0);
    let (id, owner) = (prepared.text("id"), prepared.text("provider"));
    assert!(shop.prepare("k").await.is_replay());
    let confirmed = shop.step(id, "confirm", "c", r#"{"token":"3ds"}"#).await;
    assert_eq!((confirmed.said(), confirmed.text("provider")), ((200, "succeeded"), owner));
    assert_eq!((shop.world.captured(), shop.world.calls(owner, Operation::Confirm)), (1, 1));
    let again = shop.step(id, "confirm", "c", r#"{"token":"3ds"}"#).await;
    assert_eq!((again.status, again.is_replay(), shop.world.all_calls()), (200, true, 2));
    assert_eq!(shop.step(id, "confirm", "c", r#"{"token":"other"}"#).await.status, 422);
    let late = shop.step(id, "confirm", "c2", "{}").await;
    assert_eq!(late.status, 409);
    assert!(late.body.as_str().expect("a detail").contains("status is succeeded"), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_step_in_the_browser_needs_no_call() {
    let shop = Shop::with(&[("alpha", 1)], Talk::in_the_browser());
    let prepared = shop.pay("k").await;
    assert_eq!(prepared.said(), (202, "requires_action"));
    assert!(prepared.body["next_action"]["order"].is_string() && shop.world.all_calls() == 0);
    let confirmed = shop.step(prepared.text("id"), "confirm", "c", r#"{"token":"key"}"#).await;
    assert_eq!((confirmed.said(), shop.world.captured()), ((200, "succeeded"), 1));
}

#[tokio::test(start_paused = true)]
async fn the_gateway_itself_takes_both_steps_where_the_adapter_says_so() {
    let shop = Shop::with(&[("alpha", 1)], Talk::by_itself());
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), shop.world.captured()), ((201, "succeeded"), 1));
    assert_eq!(shop.prepare("k2").await.said(), (202, "requires_action"), "not when the client wants two steps");
}

#[tokio::test(start_paused = true)]
async fn a_harmless_prepare_whose_answer_is_lost_is_tried_elsewhere() {
    let shop = Shop::with(&[("alpha", 1), ("beta", 1)], Talk::by_itself());
    for name in ["alpha", "beta"] {
        shop.world.next(name, Operation::Prepare, &[Fault::LostAfter]);
    }
    let second = Shop::with(&[("alpha", 1), ("beta", 1)], Talk::by_itself());
    second.world.next("alpha", Operation::Prepare, &[Fault::LostAfter]);
    let paid = second.pay("k").await;
    assert_eq!((paid.status, second.world.captured()), (201, 1));
    assert_eq!((shop.pay("k").await.status, shop.world.captured()), (503, 0), "both were lost");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_provably_did_nothing_goes_on_with_the_next_provider() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    let prepared = shop.prepare("k").await;
    let (id, owner) = (prepared.text("id"), prepared.text("provider").to_owned());
    shop.world.next(&owner, Operation::Confirm, &[Fault::Refused]);
    let again = shop.step(id, "confirm", "c", "{}").await;
    assert_eq!(again.said(), (202, "requires_reauth"));
    assert_ne!(again.text("provider"), owner);
    assert_eq!(again.body["next_action"], json!({"secret": "s"}));
    assert_eq!(shop.get(id).await.text("status"), "requires_reauth");
    assert!(shop.step(id, "confirm", "c", "{}").await.is_replay());
    let confirmed = shop.step(id, "confirm", "c2", "{}").await;
    assert_eq!((confirmed.said(), shop.world.captured()), ((200, "succeeded"), 1));
    tokio::time::sleep(MINUTE).await;
    assert_eq!((shop.world.prepared(), shop.world.captured()), (0, 1), "what the first had prepared is taken back");
}

#[tokio::test(start_paused = true)]
async fn without_another_provider_a_failed_confirmation_may_be_repeated_with_its_key() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    shop.world.next("alpha", Operation::Confirm, &[Fault::Refused]);
    assert_eq!(shop.step(id, "confirm", "c", "{}").await.status, 503);
    assert_eq!(shop.get(id).await.text("status"), "not_processed");
    assert_eq!(shop.step(id, "confirm", "c", "{}").await.said(), (202, "requires_reauth"));
    assert_eq!(shop.step(id, "confirm", "c2", "{}").await.said(), (200, "succeeded"));
    assert_eq!(shop.world.captured(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_confirmation_is_never_repeated_elsewhere() {
    for (fault, status, captured) in [(Fault::LostAfter, "succeeded", 1), (Fault::LostBefore, "requires_action", 0)] {
        let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
        let prepared = shop.prepare("k").await;
        let (id, owner) = (prepared.text("id"), prepared.text("provider").to_owned());
        shop.world.next(&owner, Operation::Confirm, &[fault]);
        let confirmed = shop.step(id, "confirm", "c", "{}").await;
        assert_eq!((confirmed.text("status"), confirmed.text("provider")), (status, &*owner));
        assert_eq!(shop.world.captured(), captured);
        assert_eq!(shop.world.calls("alpha", Operation::Prepare) + shop.world.calls("beta", Operation::Prepare), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_give_up_what_is_prepared() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    assert_eq!(shop.step(id, "cancel", "x", r#"{"why":1}"#).await.status, 400);
    let cancelled = shop.step(id, "cancel", "x", "{}").await;
    assert_eq!((cancelled.said(), shop.world.prepared()), ((200, "cancelled"), 0));
    assert!(shop.step(id, "cancel", "x", "{}").await.is_replay());
    assert_eq!(shop.step(id, "confirm", "c", "{}").await.status, 409);
    let replayed = shop.prepare("k").await;
    assert_eq!((replayed.said(), replayed.is_replay()), ((200, "cancelled"), true), "nothing begins again");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_finds_the_money_taken_says_so() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    shop.world.captures_by_itself("alpha");
    let cancelled = shop.step(prepared.text("id"), "cancel", "x", "{}").await;
    assert_eq!((cancelled.said(), shop.world.captured()), ((200, "succeeded"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_whose_answer_is_lost_goes_on_by_itself() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Refused, Fault::Late(Duration::from_secs(2))] {
        let shop = Shop::new(&[("alpha", 1)]);
        let prepared = shop.prepare("k").await;
        let id = prepared.text("id");
        shop.world.next("alpha", Operation::Cancel, std::slice::from_ref(&fault));
        let cancelled = shop.step(id, "cancel", "x", "{}").await;
        assert_eq!(cancelled.said(), (202, "pending"), "{fault:?}");
        shop.becomes(id, "cancelled", MINUTE).await;
        assert_eq!((shop.world.prepared(), shop.world.captured()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_prepared_and_never_confirmed_is_given_up() {
    for talk in [Talk::everything(), Talk::in_the_browser(), Talk::everything().without(&[Operation::Lookup])] {
        let shop = Shop::with(&[("alpha", 1)], talk);
        let prepared = shop.prepare("k").await;
        let id = prepared.text("id");
        tokio::time::sleep(29 * MINUTE).await;
        assert_eq!(shop.get(id).await.text("status"), "requires_action");
        shop.becomes(id, "cancelled", 2 * MINUTE).await;
        assert_eq!(shop.world.prepared(), 0);
        assert_eq!(shop.step(id, "confirm", "c", "{}").await.status, 409);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_finds_out_what_the_customer_did_alone() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    shop.hint(id).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.get(id).await.text("status"), "requires_action", "nothing has happened yet");
    shop.world.captures_by_itself("alpha");
    shop.hint(id).await;
    shop.becomes(id, "succeeded", Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn follow_ups_of_nothing_and_of_the_wrong_state_are_refused() {
    let shop = Shop::new(&[("alpha", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    for step in ["confirm", "cancel"] {
        assert_eq!(shop.step(id, step, step, "{}").await.status, 409, "{step}");
    }
    let prepared = shop.prepare("p").await;
    assert_eq!(shop.step(prepared.text("id"), "refund", "r", "{}").await.status, 409);
    for step in ["confirm", "cancel", "refund"] {
        assert_eq!(shop.step("pay_01ARZ3NDEKTSV4RRFFQ69G5FAV", step, "n", "{}").await.status, 404, "{step}");
        assert_eq!(shop.step("nonsense", step, "n", "{}").await.status, 404, "{step}");
        assert_eq!(shop.step(id, step, "", "{}").await.status, 400, "no key: {step}");
        assert_eq!(shop.call("GET", &format!("/{id}/{step}"), "shop", "n", "").await.status, 405, "{step}");
    }
    assert_eq!(shop.call("POST", "/webhooks/alpha", "shop", "", "{}").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_client_notices_nothing_of_a_look_that_it_meets() {
    let shop = Shop::new(&[("alpha", 1)]);
    let (prepared, other) = (shop.prepare("k").await, shop.prepare("o").await);
    let (id, other) = (prepared.text("id"), other.text("id"));
    for id in [id, other] {
        shop.world.next("alpha", Operation::Lookup, &[Fault::Swallowed]);
        shop.hint(id).await;
    }
    // The worker holds both, and asks a provider that says nothing for five seconds.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(shop.world.calls("alpha", Operation::Lookup), 2);
    let begun = tokio::time::Instant::now();
    let (confirmed, cancelled) =
        tokio::join!(shop.step(id, "confirm", "c", "{}"), shop.step(other, "cancel", "x", "{}"));
    assert_eq!((confirmed.said(), cancelled.said()), ((200, "succeeded"), (200, "cancelled")));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waited_in_vain_is_told_when_to_ask_again() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    let lease = shop.distributor.client_lease(&shop.settings);
    let held = shop.ledger.claim(shop.stored(id).await.id, lease, shop.distributor.clock.now()).await;
    assert!(held.is_ok());
    let begun = tokio::time::Instant::now();
    let told = shop.step(id, "confirm", "c", "{}").await;
    assert_eq!((told.status, told.headers.get("retry-after").map(String::as_str)), (409, Some("1")));
    assert!(begun.elapsed() <= shop.settings.deadline / 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_comes_during_a_look_leads_to_another() {
    let shop = Shop::new(&[("alpha", 1)]);
    let prepared = shop.prepare("k").await;
    let id = prepared.text("id");
    shop.world.next("alpha", Operation::Lookup, &[Fault::Swallowed]);
    shop.hint(id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(shop.world.calls("alpha", Operation::Lookup), 1, "the worker is at it");
    shop.world.captures_by_itself("alpha");
    shop.hint(id).await;
    shop.becomes(id, "succeeded", Duration::from_secs(7)).await;
}
