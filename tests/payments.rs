//! Payments against providers on loopback: their own books say what was charged, whatever the gateway believes.

#[path = "payments/provider.rs"]
mod provider;
#[path = "payments/shop.rs"]
mod shop;

use std::time::Duration;

use provider::{Does, Provider};
use shop::{CHARGE, PATH, Reply, Shop, request};

/// Both providers' books together.
fn charges(providers: &[&Provider]) -> usize {
    providers.iter().map(|provider| provider.charged().len()).sum()
}

#[tokio::test]
async fn a_charge_succeeds_and_can_be_looked_up() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let paid = shop.pay("k-1").await;
    assert_eq!(paid.status, 201);
    for (member, value) in [
        ("order_id", "o-1"),
        ("status", "succeeded"),
        ("currency", "EUR"),
        ("provider", "alpha"),
        ("provider_ref", "ch_1"),
    ] {
        assert_eq!(paid.text(member), value);
    }
    assert_eq!((paid.body["amount"].as_u64(), paid.body["attempts"].as_u64()), (Some(1234), Some(1)));
    assert_eq!(paid.header("location"), Some(&*format!("{PATH}/{}", paid.text("id"))));
    let found = shop.get("shop", paid.text("id")).await;
    assert_eq!((found.status, &found.body), (200, &paid.body));
    let books = alpha.charged();
    assert_eq!((books.len(), books[0].amount), (1, 1234));
    assert_ne!(books[0].key, "k-1", "the client's key is never forwarded");
}

#[tokio::test]
async fn a_decline_is_the_clients_answer_and_is_tried_nowhere_else() {
    let (alpha, beta) = (Provider::start(Does::Declines).await, Provider::start(Does::Declines).await);
    let shop = Shop::open(&[("alpha", 1, &alpha), ("beta", 1, &beta)]).await;
    for number in 0..8 {
        let declined = shop.pay(&format!("k-{number}")).await;
        assert_eq!((declined.status, declined.text("decline_code")), (402, "do_not_honor"));
    }
    assert_eq!(alpha.requests() + beta.requests(), 8);
    assert!(alpha.requests() > 0 && beta.requests() > 0, "declines open no breaker");
}

#[tokio::test]
async fn while_one_provider_is_down_every_payment_goes_through_the_other() {
    let (alpha, beta) = (Provider::down(), Provider::start(Does::Charges).await);
    let shop = Shop::open(&[("alpha", 1000, &alpha), ("beta", 1, &beta)]).await;
    for number in 0..20 {
        let paid = shop.pay(&format!("k-{number}")).await;
        assert_eq!((paid.status, paid.text("provider")), (201, "beta"), "{paid:?}");
    }
    assert_eq!(beta.charged().len(), 20);
}

#[tokio::test]
async fn a_breaker_that_is_open_keeps_new_payments_away() {
    const NOT_PROCESSED: &str = r#"{"error":{"code":"not_processed"}}"#;
    let (alpha, beta) = (Provider::start(Does::Says(503, NOT_PROCESSED)).await, Provider::start(Does::Charges).await);
    let shop = Shop::open(&[("alpha", 1000, &alpha), ("beta", 1, &beta)]).await;
    for number in 0..30 {
        assert_eq!(shop.pay(&format!("k-{number}")).await.status, 201);
    }
    assert_eq!((alpha.requests(), beta.charged().len()), (5, 30));
}

#[tokio::test]
async fn a_provider_at_its_rate_limit_is_passed_over_but_not_held_for_broken() {
    let (alpha, beta) = (Provider::start(Does::Says(429, "")).await, Provider::start(Does::Charges).await);
    let shop = Shop::open(&[("alpha", 1000, &alpha), ("beta", 1, &beta)]).await;
    let begun = std::time::Instant::now();
    let mut paid = 0;
    // A broken one would be left alone for five seconds after the fifth failure; a full one is asked once a second.
    while alpha.requests() < 3 {
        assert_eq!(shop.pay(&format!("k-{paid}")).await.status, 201);
        paid += 1;
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "asked {} times only", alpha.requests());
    }
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2), "asked three times at once");
    assert_eq!(beta.charged().len(), paid);
}

#[tokio::test]
async fn what_may_have_been_charged_is_pending_and_never_tried_elsewhere() {
    for does in [
        Does::Waits,
        Does::ChargesAndCloses,
        Does::ChargesTooMuch,
        Does::ChargesAndSays(500, ""),
        Does::ChargesAndSays(503, ""),
        Does::ChargesAndSays(201, ""),
        Does::ChargesAndSays(201, "{\"id\":\"ch_9\",\"status\":\"succeeded\"}"),
        Does::ChargesAndSays(400, "<html>"),
        Does::ChargesAndSays(302, ""),
    ] {
        let (alpha, beta) = (Provider::start(does.clone()).await, Provider::start(does.clone()).await);
        let shop = Shop::open(&[("alpha", 1, &alpha), ("beta", 1, &beta)]).await;
        let pending = shop.pay("k").await;
        assert_eq!((pending.status, pending.text("status")), (202, "pending"), "{does:?}");
        assert!(pending.header("retry-after").is_some() && pending.header("location").is_some());
        let again = shop.pay("k").await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
        assert_eq!(shop.get("shop", pending.text("id")).await.text("status"), "pending");
        assert_eq!(charges(&[&alpha, &beta]), 1, "{does:?}");
    }
}

#[tokio::test]
async fn many_clients_with_one_key_make_one_charge() {
    let alpha = Provider::start(Does::Waits).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let clients: Vec<_> = (0..20).map(|_| shop.begin("k")).collect();
    alpha.arrived().await;
    let mut settled = tokio::task::JoinSet::new();
    for client in clients {
        settled.spawn(client);
    }
    let mut refused = 0;
    while refused < 19 {
        let reply: Reply = settled.join_next().await.expect("a client").expect("a task").expect("an answer");
        assert_eq!((reply.status, reply.header("retry-after")), (409, Some("1")));
        refused += 1;
    }
    alpha.release();
    let winner = settled.join_next().await.expect("a client").expect("a task").expect("an answer");
    assert_eq!((winner.status, alpha.charged().len()), (201, 1));
    let replayed = shop.pay("k").await;
    assert_eq!((replayed.status, &replayed.body), (201, &winner.body));
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(alpha.charged().len(), 1);
}

#[tokio::test]
async fn a_key_with_other_content_is_refused_and_the_same_content_is_recognised() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    assert_eq!(shop.pay("k").await.status, 201);
    assert_eq!(shop.post("k", &CHARGE.replace("1234", "1235")).await.status, 422);
    assert_eq!(shop.post("k", &CHARGE.replace("tok_visa", "tok_other")).await.status, 422);
    let spaced = CHARGE.replace(',', " , ");
    assert_eq!(shop.post("k", &spaced).await.header("idempotent-replayed"), Some("true"));
    assert_eq!(alpha.charged().len(), 1);
}

#[tokio::test]
async fn keys_and_payments_belong_to_their_client() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let first = shop.pay("k").await;
    let other = shop.call(request("POST", "", "other", &[("idempotency-key", "k")], CHARGE)).await;
    assert_eq!((other.status, alpha.charged().len()), (201, 2), "another client's key is another key");
    assert_eq!(shop.get("other", first.text("id")).await.status, 404);
    assert_eq!(shop.get("shop", other.text("id")).await.status, 404);
    assert_eq!(shop.get("shop", "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV").await.status, 404);
    assert_eq!(shop.get("shop", "nonsense").await.status, 404);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let alpha = Provider::start(Does::Waits).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let client = shop.begin("k");
    alpha.arrived().await;
    client.abort();
    alpha.release();
    shop.distributor().drained().await;
    let replayed = shop.pay("k").await;
    assert_eq!((replayed.status, replayed.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(alpha.charged().len(), 1);
}

#[tokio::test]
async fn finished_payments_are_replayed_after_a_restart() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let before = shop.pay("k").await;
    let shop = shop.open_again().await;
    let after = shop.pay("k").await;
    assert_eq!((after.status, &after.body), (201, &before.body));
    assert_eq!(alpha.charged().len(), 1);
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_pending_after_a_restart() {
    let (alpha, beta) = (Provider::start(Does::Charges).await, Provider::start(Does::Charges).await);
    let shop = Shop::open(&[("alpha", 1, &alpha), ("beta", 1, &beta)]).await;
    let paid = shop.pay("k").await;
    // The ledger as a process leaves it that is killed after the charge and before its outcome.
    let ledger = rusqlite::Connection::open(shop.ledger()).expect("opens");
    ledger
        .execute_batch(
            "UPDATE attempts SET state = 'intent', provider_ref = NULL, ended = NULL;
             UPDATE payments SET state = 'pending', holder = 1, lease_until = 9999999999999, last_entry = 2;
             DELETE FROM journal WHERE entry = 3;",
        )
        .expect("changed");
    drop(ledger);
    let shop = shop.open_again().await;
    let found = shop.get("shop", paid.text("id")).await;
    assert_eq!((found.status, found.text("status")), (200, "pending"));
    assert_eq!(shop.pay("k").await.status, 202);
    assert_eq!(charges(&[&alpha, &beta]), 1);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_means_503_and_empty_books() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let ledger = rusqlite::Connection::open(shop.ledger()).expect("opens");
    for (broken, mended) in [
        (
            "CREATE TRIGGER full BEFORE INSERT ON payments BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END",
            "DROP TRIGGER full",
        ),
        (
            "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'disk full'); END",
            "DROP TRIGGER full",
        ),
        ("BEGIN IMMEDIATE", "ROLLBACK"),
    ] {
        ledger.execute_batch(broken).expect("broken");
        let refused = shop.pay("k").await;
        assert_eq!((refused.status, alpha.requests()), (503, 0), "{broken}");
        assert!(refused.header("retry-after").is_some());
        ledger.execute_batch(mended).expect("mended");
    }
    assert_eq!(shop.pay("k").await.status, 201);
}

#[tokio::test]
async fn a_ledger_whose_file_is_gone_means_503_until_it_is_back() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let before = shop.pay("k-1").await;
    let (file, aside) = (shop.ledger(), shop.ledger().with_extension("aside"));
    std::fs::rename(&file, &aside).expect("moved away");
    for key in ["k-1", "k-2"] {
        let refused = shop.pay(key).await;
        assert_eq!((refused.status, alpha.requests()), (503, 1), "{refused:?}");
        assert!(refused.header("retry-after").is_some());
    }
    let told = format!("{} was removed or replaced while in use", file.display());
    assert!(shop::logs().contains(&told), "the log says what to do");
    std::fs::rename(&aside, &file).expect("put back");
    assert_eq!(shop.pay("k-1").await.body, before.body);
    assert_eq!((shop.pay("k-2").await.status, alpha.charged().len()), (201, 2));
}

#[tokio::test]
async fn an_outcome_that_cannot_be_saved_is_told_as_pending_and_saved_later() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let ledger = rusqlite::Connection::open(shop.ledger()).expect("opens");
    ledger
        .execute_batch("CREATE TRIGGER full BEFORE UPDATE ON attempts BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .expect("broken");
    let pending = shop.pay("k").await;
    assert_eq!((pending.status, pending.text("status"), alpha.charged().len()), (202, "pending", 1));
    ledger.execute_batch("DROP TRIGGER full").expect("mended");
    tokio::time::timeout(Duration::from_secs(10), shop.distributor().drained()).await.expect("saved in the end");
    assert_eq!(shop.get("shop", pending.text("id")).await.text("status"), "succeeded");
    assert_eq!(alpha.charged().len(), 1);
}

#[tokio::test]
async fn requests_that_are_no_charges_are_refused_before_anything_happens() {
    let alpha = Provider::start(Does::Charges).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let long = "k".repeat(256);
    let big = CHARGE.replace("tok_visa", &"x".repeat(70_000));
    let json = ("content-type", "application/json; charset=utf-8");
    for (status, headers, body) in [
        (400, vec![], CHARGE),
        (400, vec![("idempotency-key", "")], CHARGE),
        (400, vec![("idempotency-key", "two words")], CHARGE),
        (400, vec![("idempotency-key", "schlüssel")], CHARGE),
        (400, vec![("idempotency-key", &*long)], CHARGE),
        (400, vec![("idempotency-key", "a"), ("idempotency-key", "a")], CHARGE),
        (400, vec![("idempotency-key", "k"), json], "{}"),
        (413, vec![("idempotency-key", "k")], &*big),
        (415, vec![("idempotency-key", "k"), ("content-type", "text/plain")], CHARGE),
        (415, vec![("idempotency-key", "k"), ("content-type", "")], CHARGE),
        (415, vec![("idempotency-key", "k"), json, json], CHARGE),
        (415, vec![("idempotency-key", "k"), ("content-type", "application/json; charset=euc-kr")], CHARGE),
        (415, vec![("idempotency-key", "k"), ("content-type", "application/json; charset")], CHARGE),
        (400, vec![("idempotency-key", "k"), ("content-type", "Application/JSON;Charset=\"UTF-8\"")], "{}"),
    ] {
        let reply = shop.call(request("POST", "", "shop", &headers, body)).await;
        assert_eq!(reply.status, status, "{headers:?} {reply:?}");
    }
    for (status, method, path) in [
        (405, "GET", ""),
        (405, "DELETE", "/pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (400, "POST", "/pay_01ARZ3NDEKTSV4RRFFQ69G5FAV/refund"),
        (404, "POST", "/webhooks/alpha"),
        (404, "POST", "/pay_01ARZ3NDEKTSV4RRFFQ69G5FAV/steal"),
        (404, "POST", "/"),
        (404, "GET", "//"),
    ] {
        let reply = shop.call(request(method, path, "shop", &[("idempotency-key", "k")], CHARGE)).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
    }
    assert_eq!(alpha.requests(), 0);
    assert!(shop.distributor().list(figway::payments::Filter::default()).await.expect("readable").is_empty());
}

#[tokio::test]
async fn neither_card_numbers_nor_tokens_reach_the_log_or_the_ledger() {
    const CARD: &str = "5105 1051 0510 5100";
    const SECRET: &str = "tok_secret_of_the_customer";
    let alpha = Provider::start(Does::ChargesAndSays(500, "boom")).await;
    let shop = Shop::open(&[("alpha", 1, &alpha)]).await;
    let refused = shop.post("k-1", &CHARGE.replace("tok_visa", CARD)).await;
    assert_eq!((refused.status, alpha.requests()), (400, 0));
    let body = CHARGE.replace("tok_visa", SECRET).replace('}', r#","metadata":{"note":"a private note"}}"#);
    let held = shop.post("k-secret-key", &body).await;
    assert_eq!(held.status, 202);
    let (logs, ledger) = (shop::logs(), shop.ledger_bytes());
    assert!(logs.contains(held.text("id")), "the payment itself is logged");
    let contains = |text: &str| ledger.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains(held.text("id")) && contains("o-1"), "the ledger was looked at in the right place");
    for secret in [CARD, &CARD.replace(' ', ""), SECRET, "a private note", "k-secret-key"] {
        assert!(!logs.contains(secret), "{secret:?} is in the log");
        assert!(!contains(secret), "{secret:?} is in the ledger");
        assert!(!refused.body.to_string().contains(secret) && !held.body.to_string().contains(secret));
    }
}

#[tokio::test]
async fn operators_see_attempts_and_journal() {
    let (alpha, beta) = (Provider::down(), Provider::start(Does::Charges).await);
    let shop = Shop::open(&[("alpha", 1_000_000, &alpha), ("beta", 1, &beta)]).await;
    let paid = shop.pay("k").await;
    let shown = shop.distributor().get(paid.text("id")).await.expect("readable").expect("known");
    let shown = serde_json::to_value(shown).expect("JSON");
    assert_eq!(shown["money"], "12.34 EUR");
    assert_eq!(shown["attempts"][0]["status"], "not_processed");
    assert_eq!(shown["attempts"][0]["reason"], "connect");
    assert_eq!(shown["attempts"][1]["provider_ref"], "ch_1");
    let words: Vec<_> = shown["journal"].as_array().expect("a list").iter().map(|line| &line["record"]).collect();
    assert_eq!(words, ["accepted", "intent", "outcome", "intent", "outcome"]);
    assert_eq!(shop.distributor().get("pay_0").await, Ok(None));
}
