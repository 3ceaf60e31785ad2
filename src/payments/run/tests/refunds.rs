//! Money given back: in parts, at once, and when the answer is lost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::payments::record::Operation;
use crate::payments::rehearsal::{Ears, Fault, Shop, Talk, provider};
use crate::payments::verdict::Verdict;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn money_is_given_back_in_parts_and_never_more_than_was_taken() {
    let shop = Shop::new(&[("alpha", 1), ("beta", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    let first = shop.step(id, "refund", "r1", r#"{"amount":30}"#).await;
    assert_eq!((first.said(), &first.body["refunded"]), ((200, "succeeded"), &json!(30)));
    assert_eq!(first.body["refund"], json!({"number": 1, "status": "succeeded", "amount": 30}));
    let again = shop.step(id, "refund", "r1", r#"{"amount":30}"#).await;
    assert_eq!((again.is_replay(), &again.body["refund"]["number"]), (true, &json!(1)));
    assert_eq!(shop.step(id, "refund", "r1", r#"{"amount":31}"#).await.status, 422, "another amount");
    assert_eq!(shop.step(id, "refund", "r2", r#"{"amount":71}"#).await.status, 422, "too much");
    let rest = shop.step(id, "refund", "r3", "{}").await;
    assert_eq!(rest.body["refund"], json!({"number": 2, "status": "succeeded", "amount": 70}));
    assert_eq!(shop.step(id, "refund", "r4", "{}").await.status, 409, "all of it was given back");
    assert_eq!(shop.world.refunded(), 100);
    let owner = paid.text("provider");
    assert_eq!(shop.world.calls(owner, Operation::Refund), 2, "only the owner is asked");
    assert_eq!(shop.get(id).await.body["refunded"], json!(100));
}

#[tokio::test(start_paused = true)]
async fn refunds_at_once_are_one_after_the_other() {
    let shop = Shop::new(&[("alpha", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    let (one, other) = tokio::join!(
        shop.step(id, "refund", "r1", r#"{"amount":60}"#),
        shop.step(id, "refund", "r2", r#"{"amount":60}"#)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!((statuses, shop.world.refunded()), ([200, 409], 60));
    let gateway = shop.another(false);
    let (one, other) = tokio::join!(shop.step(id, "refund", "r3", "{}"), gateway.step(id, "refund", "r3", "{}"));
    assert!([one.status, other.status].contains(&200), "{one:?} {other:?}");
    assert_eq!(shop.world.refunded(), 100, "one key, one refund");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_refund_is_found_out_and_blocks_the_next_until_then() {
    for (fault, given_back, status) in [
        (Fault::LostAfter, 40, "succeeded"),
        (Fault::LostBefore, 0, "not_processed"),
        (Fault::Late(Duration::from_secs(2)), 40, "succeeded"),
        (Fault::Swallowed, 0, "not_processed"),
    ] {
        let shop = Shop::new(&[("alpha", 1)]);
        let paid = shop.pay("k").await;
        let id = paid.text("id");
        shop.world.next("alpha", Operation::Refund, std::slice::from_ref(&fault));
        // A silent provider: the client is told at once.
        shop.world.next("alpha", Operation::Lookup, &[Fault::LostBefore]);
        let pending = shop.step(id, "refund", "r", r#"{"amount":40}"#).await;
        assert_eq!((pending.status, &pending.body["refund"]["status"]), (202, &json!("pending")), "{fault:?}");
        assert_eq!(shop.step(id, "refund", "r2", r#"{"amount":1}"#).await.status, 409, "one is open");
        tokio::time::sleep(MINUTE).await;
        let refund = shop.stored(id).await.refunds.remove(0);
        assert_eq!((refund.state.as_str(), shop.world.refunded()), (status, given_back), "{fault:?}");
        let replay = shop.step(id, "refund", "r", r#"{"amount":40}"#).await;
        assert_eq!(replay.status, if status == "succeeded" { 200 } else { 503 }, "{fault:?}");
        assert_eq!(shop.world.refunded(), given_back, "a replay gives nothing back");
        assert_eq!(shop.step(id, "refund", "r3", "{}").await.status, 200);
        assert_eq!(shop.world.refunded(), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_is_declined_or_not_taken_says_so() {
    let shop = Shop::new(&[("alpha", 1)]);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    let declined = Verdict::Declined { code: "too_old".into(), provider_ref: None, soft: false };
    shop.world.next("alpha", Operation::Refund, &[Fault::Says(declined), Fault::Refused]);
    let refused = shop.step(id, "refund", "r1", "{}").await;
    assert_eq!((refused.status, &refused.body["refund"]["decline_code"]), (402, &json!("too_old")));
    assert_eq!(shop.step(id, "refund", "r2", "{}").await.status, 503);
    assert_eq!(shop.step(id, "refund", "r3", "{}").await.status, 200);
    assert_eq!(shop.world.refunded(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_comes_late_counts_with_an_alarm_and_no_more_is_given_back_than_was_taken() {
    let ears = Arc::new(Ears::default());
    let alpha = provider("alpha", 1, &Talk::everything());
    let shop = Shop::of(vec![Arc::new(alpha)], Arc::clone(&ears) as _);
    let paid = shop.pay("k").await;
    let id = paid.text("id");
    shop.world.next("alpha", Operation::Refund, &[Fault::Late(Duration::from_secs(30)), Fault::Refused]);
    let told = shop.step(id, "refund", "r1", r#"{"amount":40}"#).await;
    assert_eq!((told.status, shop.world.refunded()), (503, 0), "not within quiesce, so it counts as not made");
    assert_eq!(shop.step(id, "refund", "r2", r#"{"amount":10}"#).await.status, 503);
    tokio::time::sleep(2 * MINUTE).await;
    let states: Vec<_> = shop.stored(id).await.refunds.iter().map(|refund| refund.state.as_str()).collect();
    assert_eq!((states, shop.world.refunded()), (vec!["succeeded", "not_processed"], 40));
    assert_eq!(ears.count("alpha alarm"), 1);
    assert_eq!(shop.get(id).await.body["refunded"], json!(40));
    assert_eq!(shop.step(id, "refund", "r1", r#"{"amount":40}"#).await.status, 200, "a replay says how it stands");
    assert_eq!(shop.step(id, "refund", "r3", r#"{"amount":61}"#).await.status, 422, "more than is left");
    assert_eq!(shop.step(id, "refund", "r4", "{}").await.status, 200);
    let looks = shop.world.calls("alpha", Operation::Lookup);
    tokio::time::sleep(8 * 60 * MINUTE).await;
    assert_eq!((shop.world.refunded(), shop.stored(id).await.due), (100, None), "and it is not watched for ever");
    assert!(shop.world.calls("alpha", Operation::Lookup) - looks <= 4);
}
