//! One charge at a time, many at once, and providers that are down.

use std::sync::Arc;
use std::time::Duration;

use crate::payments::ledger::{Filter, Ledger as _};
use crate::payments::record::{Operation, Record};
use crate::payments::rehearsal::{Fault, Shop, Talk};
use crate::payments::verdict::Verdict;
use crate::resilience::BreakerState;

const NO_LOOKS: &[Operation] = &[Operation::Lookup, Operation::Void, Operation::Cancel];

#[tokio::test(start_paused = true)]
async fn what_nobody_processed_may_be_asked_for_again_with_the_same_key() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    for name in ["alpha", "beta"] {
        shop.world.set(name, Some(&Fault::Refused));
    }
    let refused = shop.pay("k").await;
    assert_eq!((refused.status, shop.world.all_calls()), (503, 2));
    for name in ["alpha", "beta"] {
        shop.world.set(name, None);
    }
    let paid = shop.pay("k").await;
    assert_eq!((paid.status, shop.world.captured(), paid.body["attempts"].as_u64()), (201, 1, Some(3)));
    assert_eq!(refused.headers["location"], format!("/pay/{}", paid.text("id")), "the same payment goes on");
}

#[tokio::test(start_paused = true)]
async fn two_requests_that_go_on_with_one_payment_make_one_attempt() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.world.set("alpha", Some(&Fault::Refused));
    assert_eq!(shop.pay("k").await.status, 503);
    shop.world.set("alpha", None);
    let (one, other) = tokio::join!(shop.pay("k"), shop.pay("k"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!((statuses, shop.world.captured()), ([201, 409], 1));
}

#[tokio::test(start_paused = true)]
async fn many_requests_with_one_key_at_two_gateways_make_one_charge() {
    let shop = Arc::new(Shop::new(&[("alpha", 1), ("beta", 1)]));
    let other = Arc::new(shop.another(false));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..20 {
        let shop = Arc::clone(if number % 2 == 0 { &shop } else { &other });
        clients.spawn(async move { shop.pay("k").await.status });
    }
    let mut statuses = clients.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 19][..]));
    assert_eq!(shop.world.captured(), 1);
    assert!(shop.pay("k").await.is_replay() && other.pay("k").await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_can_not_look_leaves_the_unknown_to_a_person_at_once() {
    let shop = Shop::with(&[("alpha", 1), ("beta", 1)], Talk::everything().without(NO_LOOKS));
    for name in ["alpha", "beta"] {
        shop.world.always(name, Operation::Charge, Some(Fault::LostAfter));
    }
    let held = shop.pay("k").await;
    assert_eq!(held.said(), (202, "pending"));
    assert_eq!((shop.world.all_calls(), shop.world.captured()), (1, 1));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let manual = Filter { manual: true, ..Filter::default() };
    assert_eq!(shop.ledger.list(manual).await.expect("readable").len(), 1);
    assert_eq!(shop.world.all_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_black_holed_provider_costs_two_seconds_of_payments_and_all_settle_when_it_heals() {
    let shop = Arc::new(Shop::new(&[("alpha", 70), ("beta", 30)]));
    let pay_for = async |from: u32, seconds: u32| {
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..seconds * 40 {
            let shop = Arc::clone(&shop);
            clients.spawn(async move { shop.pay(&format!("{}", from + number)).await });
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        clients
    };
    let healthy = pay_for(0, 3).await.join_all().await;
    assert!(healthy.iter().all(|paid| paid.status == 201));
    shop.world.set("alpha", Some(&Fault::Swallowed));
    let clients = pay_for(1000, 2).await;
    assert!(shop.distributor.health.states().contains(&("alpha".into(), BreakerState::Open)), "open within 2 s");
    let pending: Vec<_> = clients.join_all().await.into_iter().filter(|paid| paid.status == 202).collect();
    assert!((20..=80).contains(&pending.len()), "{} payments are left pending", pending.len());
    let later = pay_for(2000, 1).await.join_all().await;
    let kept = later.iter().filter(|paid| paid.status == 201).count();
    assert!(kept >= 38, "{kept} of 40: new payments go to the other provider, but for a probe");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let looks = shop.world.calls("alpha", Operation::Lookup);
    assert!(looks < 400, "{looks} looks: a dead provider is not probed to death");
    shop.world.set("alpha", None);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(shop.ledger.tally().await.expect("readable").pending, 0, "all settled within two minutes");
    for payment in &pending {
        assert_eq!(shop.get(payment.text("id")).await.text("status"), "not_processed");
    }
}

#[tokio::test(start_paused = true)]
async fn no_provider_at_all_means_nothing_attempted_and_a_time_to_come_back() {
    let shop = Shop::new(&[("alpha", 1)]);
    shop.world.set("alpha", Some(&Fault::Refused));
    for key in ["1", "2", "3", "4", "5"] {
        assert_eq!(shop.pay(key).await.status, 503);
    }
    let (calls, stored) = (shop.world.all_calls(), shop.ledger.list(Filter::default()).await.expect("readable").len());
    let refused = shop.pay("6").await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "5"));
    assert_eq!(shop.world.all_calls(), calls);
    assert_eq!(shop.ledger.list(Filter::default()).await.expect("readable").len(), stored);
}

#[tokio::test(start_paused = true)]
async fn a_finished_payment_is_replayed_even_when_no_provider_is_left() {
    let shop = Shop::new(&[("alpha", 1)]);
    let first = shop.pay("k").await;
    shop.world.set("alpha", Some(&Fault::Refused));
    for key in 0..6 {
        shop.pay(&format!("{key}")).await;
    }
    let again = shop.pay("k").await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert!(again.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_shared_over_operations_and_never_over_clients() {
    let shop = Shop::new(&[("alpha", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    assert_eq!(shop.step(id, "refund", "k", "{}").await.status, 422, "the charge's key");
    assert_eq!(shop.step(id, "refund", "r", "{}").await.status, 200);
    assert_eq!(shop.pay("r").await.status, 422, "the refund's key");
    let theirs = shop.call("POST", &format!("/{id}/refund"), "other", "r", "{}").await;
    assert_eq!(theirs.status, 404);
    assert_eq!(shop.call("GET", &format!("/{id}"), "other", "", "").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_soft_decline_is_tried_elsewhere_and_a_hard_one_is_not() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    let declined = |soft| Verdict::Declined { code: "no".into(), provider_ref: None, soft };
    for name in ["alpha", "beta"] {
        shop.world.next(name, Operation::Charge, &[Fault::Says(declined(false))]);
    }
    assert_eq!((shop.pay("hard").await.said(), shop.world.all_calls()), ((402, "declined"), 1));
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    for name in ["alpha", "beta"] {
        shop.world.next(name, Operation::Charge, &[Fault::Says(declined(true))]);
    }
    let soft = shop.pay("soft").await;
    assert_eq!((soft.said(), shop.world.all_calls()), ((402, "declined"), 2));
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_every_step_in_order() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    for name in ["alpha", "beta"] {
        shop.world.set(name, Some(&Fault::Refused));
    }
    shop.pay("k").await;
    let payment = shop.ledger.list(Filter::default()).await.expect("readable").remove(0);
    let words: Vec<_> = shop.journal(payment.id.as_str()).await.iter().map(word).collect();
    assert_eq!(words, ["accepted", "intent", "not_processed", "intent", "not_processed"]);
}

fn word(record: &Record) -> &'static str {
    match record {
        Record::Accepted { .. } => "accepted",
        Record::Intent(_) => "intent",
        Record::Outcome { verdict, .. } => verdict.class(),
        _ => "other",
    }
}
