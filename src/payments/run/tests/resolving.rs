//! What becomes of an outcome that nobody knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::payments::ledger::{Filter, Ledger as _};
use crate::payments::observer::NoObserver;
use crate::payments::record::{AttemptState, Operation, Record};
use crate::payments::rehearsal::{Fault, Shop, Talk, provider};
use crate::payments::settings::{OnUnknown, Provider};
use crate::payments::verdict::{Doubt, Verdict};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// One provider or two, whose next charge goes wrong in this way.
fn shop(providers: &[(&str, u32)], fault: &Fault) -> Shop {
    let shop = Shop::new(providers);
    for (name, _) in providers {
        shop.world.next(name, Operation::Charge, std::slice::from_ref(fault));
    }
    shop
}

/// A provider that is asked for a quarter of an hour at most.
fn hasty(talk: Talk) -> Shop {
    let mut alpha = provider("alpha", 1, &talk);
    alpha.resolve_for = 15 * MINUTE;
    Shop::of(vec![Arc::new(alpha)], Arc::new(NoObserver))
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_and_never_charged_elsewhere() {
    let shop = shop(&[("alpha", 1), ("beta", 1)], &Fault::LostAfter);
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), shop.world.captured()), ((201, "succeeded"), 1));
    assert_eq!(shop.world.calls("alpha", Operation::Charge) + shop.world.calls("beta", Operation::Charge), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_released_after_quiesce_void_and_look_and_then_charged_elsewhere() {
    let shop = Shop::new(&[("alpha", 1000), ("beta", 1)]);
    shop.world.next("alpha", Operation::Charge, &[Fault::LostBefore]);
    let begun = tokio::time::Instant::now();
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), paid.text("provider")), ((201, "succeeded"), "beta"));
    assert!(begun.elapsed() >= Provider::QUIESCE, "not before the provider is quiet");
    assert_eq!((shop.world.calls("alpha", Operation::Void), shop.world.captured()), (1, 1));
    let journal = shop.journal(paid.text("id")).await;
    let voided =
        journal.iter().position(|record| matches!(record, Record::Resolved { state: AttemptState::Voided, .. }));
    let second = journal.iter().position(|record| matches!(record, Record::Intent(intent) if intent.attempt == 2));
    assert!(voided.expect("released") < second.expect("begun"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_late_is_found_before_anything_else_is_tried() {
    let shop = shop(&[("alpha", 1), ("beta", 1)], &Fault::Late(Duration::from_secs(4)));
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), shop.world.captured()), ((201, "succeeded"), 1));
    assert_eq!(shop.world.calls("alpha", Operation::Charge) + shop.world.calls("beta", Operation::Charge), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_after_its_void_is_an_alarm_and_taken_back() {
    let shop = Shop::new(&[("alpha", 1000), ("beta", 1)]);
    shop.world.next("alpha", Operation::Charge, &[Fault::Late(Duration::from_secs(20))]);
    let paid = shop.pay("k").await;
    assert_eq!(paid.text("provider"), "beta");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(shop.world.captured(), 2, "the provider broke its word");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(shop.world.captured(), 1);
    let stored = shop.stored(paid.text("id")).await;
    assert_eq!(stored.attempts[0].late_capture, Some(AttemptState::Voided));
    assert_eq!(stored.attempts[0].state, AttemptState::Voided, "what was released stays released");
    tokio::time::sleep(7 * HOUR).await;
    assert_eq!(shop.stored(paid.text("id")).await.due, None, "it is not watched for ever");
}

#[tokio::test(start_paused = true)]
async fn the_client_is_not_kept_waiting_for_a_provider_that_is_silent() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.world.set("alpha", Some(&Fault::Swallowed));
    let begun = tokio::time::Instant::now();
    let pending = shop.pay("k").await;
    assert_eq!(pending.said(), (202, "pending"));
    assert!(begun.elapsed() < Duration::from_secs(11), "one charge and one look");
    let id = pending.text("id");
    assert!(shop.pay("k").await.is_replay());
    tokio::time::sleep(HOUR).await;
    shop.world.set("alpha", None);
    shop.becomes(id, "not_processed", 2 * MINUTE).await;
    let paid = shop.pay("k").await;
    assert_eq!((paid.said(), paid.text("id"), shop.world.captured()), ((201, "succeeded"), id, 1));
}

#[tokio::test(start_paused = true)]
async fn an_authorised_charge_that_nobody_captured_is_taken_back() {
    let shop = Shop::new(&[("alpha", 1)]);
    let open = Verdict::Prepared { provider_ref: Some("x".into()), next_action: BTreeMap::new() };
    shop.world.next("alpha", Operation::Charge, &[Fault::LostBefore]);
    shop.world.next("alpha", Operation::Lookup, &[Fault::Says(open.clone()), Fault::Says(open)]);
    let refused = shop.pay("k").await;
    assert_eq!((refused.status, shop.world.calls("alpha", Operation::Void)), (503, 1));
}

#[tokio::test(start_paused = true)]
async fn a_void_that_is_lost_is_repeated_and_one_that_is_under_way_is_waited_for() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Refused, Fault::Late(Duration::from_secs(3))] {
        let shop = shop(&[("alpha", 1)], &Fault::LostBefore);
        shop.world.next("alpha", Operation::Void, std::slice::from_ref(&fault));
        let pending = shop.pay("k").await;
        assert_eq!(pending.said(), (202, "pending"), "{fault:?}");
        shop.becomes(pending.text("id"), "not_processed", MINUTE).await;
        assert_eq!(shop.world.captured(), 0);
        let journal = shop.journal(pending.text("id")).await;
        let announced = journal.iter().filter(|record| matches!(record, Record::VoidIntent { .. })).count();
        assert_eq!(announced, shop.world.calls("alpha", Operation::Void), "each void, also a repeated one: {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_capture_is_not_told_while_a_void_of_it_may_be_under_way() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
    // The provider's looks lag: the charge is there and can't be seen.
    let lag = [Fault::Says(Verdict::NotFound), Fault::Says(Verdict::NotFound)];
    shop.world.next("alpha", Operation::Lookup, &lag);
    shop.world.next("alpha", Operation::Void, &[Fault::Late(Duration::from_secs(4))]);
    let pending = shop.pay("k").await;
    let id = pending.text("id");
    assert_eq!((pending.said(), shop.world.captured()), ((202, "pending"), 1));
    tokio::time::sleep(MINUTE).await;
    assert_eq!(shop.get(id).await.text("status"), "not_processed");
    assert_eq!(shop.world.captured(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_settled_in_its_time_is_left_to_a_person() {
    let doubts = [Doubt::StillOpen, Doubt::Mismatch, Doubt::Timeout];
    for doubt in doubts {
        let shop = hasty(Talk::everything());
        shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
        shop.world.always("alpha", Operation::Lookup, Some(Fault::Says(Verdict::Unknown { doubt })));
        let pending = shop.pay("k").await;
        assert_eq!(pending.said(), (202, "pending"));
        tokio::time::sleep(14 * MINUTE).await;
        assert_eq!(shop.ledger.tally().await.expect("readable").manual, 0);
        tokio::time::sleep(2 * MINUTE).await;
        let manual = shop.ledger.list(Filter { manual: true, ..Filter::default() }).await.expect("readable");
        assert_eq!((manual.len(), manual[0].due), (1, None), "{doubt:?}");
        assert_eq!(shop.get(pending.text("id")).await.text("status"), "pending", "never told as failed");
        assert_eq!(shop.world.captured(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_void_what_is_not_found_is_looked_for_until_a_person_has_to() {
    let shop = hasty(Talk::everything().without(&[Operation::Void]));
    shop.world.next("alpha", Operation::Charge, &[Fault::LostBefore]);
    let pending = shop.pay("k").await;
    assert_eq!(pending.said(), (202, "pending"));
    tokio::time::sleep(16 * MINUTE).await;
    assert_eq!(shop.stored(pending.text("id")).await.attempts[0].state, AttemptState::Manual);
}

#[tokio::test(start_paused = true)]
async fn where_the_settings_say_hold_nothing_is_asked() {
    let mut alpha = provider("alpha", 1, &Talk::everything());
    alpha.on_unknown = OnUnknown::Hold;
    let shop = Shop::of(vec![Arc::new(alpha)], Arc::new(NoObserver));
    shop.world.next("alpha", Operation::Charge, &[Fault::LostAfter]);
    let pending = shop.pay("k").await;
    tokio::time::sleep(HOUR).await;
    assert_eq!((pending.said(), shop.world.all_calls()), ((202, "pending"), 1));
    assert_eq!(shop.stored(pending.text("id")).await.attempts[0].state, AttemptState::Manual);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_get_through_says_nothing_of_the_attempt() {
    let shop = shop(&[("alpha", 1), ("beta", 1)], &Fault::LostAfter);
    for name in ["alpha", "beta"] {
        shop.world.next(name, Operation::Lookup, &[Fault::Refused, Fault::Refused, Fault::Refused]);
    }
    let pending = shop.pay("k").await;
    assert_eq!(pending.said(), (202, "pending"));
    shop.becomes(pending.text("id"), "succeeded", MINUTE).await;
    assert_eq!(shop.world.captured(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_open_payments_do_not_storm_the_provider() {
    let shop = Arc::new(Shop::new(&[("alpha", 1)]));
    shop.world.always("alpha", Operation::Charge, Some(Fault::LostAfter));
    shop.world.always("alpha", Operation::Lookup, Some(Fault::Swallowed));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..60 {
        let shop = Arc::clone(&shop);
        clients.spawn(async move { shop.pay(&number.to_string()).await.status });
    }
    let statuses = clients.join_all().await;
    let pending = statuses.iter().filter(|status| **status == 202).count();
    assert!(pending > 20, "{pending}");
    let looks = shop.world.calls("alpha", Operation::Lookup);
    tokio::time::sleep(10 * MINUTE).await;
    let more = shop.world.calls("alpha", Operation::Lookup) - looks;
    assert!((60..=150).contains(&more), "{more} looks in ten minutes: about one at a time, each 5 s");
    shop.world.set("alpha", None);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(shop.ledger.tally().await.expect("readable").pending, 0);
}

#[tokio::test(start_paused = true)]
async fn the_negative_control_fails_over_on_unknown_and_is_noticed() {
    let shop = shop(&[("alpha", 1), ("beta", 1)], &Fault::LostAfter);
    shop.distributor.fail_over_on_unknown();
    shop.pay("k").await;
    assert_eq!(shop.world.captured(), 2, "the books show what the rule prevents");
}
