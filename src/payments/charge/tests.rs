use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::payments::adapter::{Answer, WireRequest, built_in};
use crate::payments::ledger::in_memory::InMemoryLedger;
use crate::payments::ledger::{Filter, Ledger};
use crate::payments::observer::NoObserver;
use crate::payments::record::Record;
use crate::payments::settings::{BaseUrl, OnUnknown, Provider, ProviderTimeouts};
use crate::payments::transport::{CallError, CallFuture, Transport};
use crate::payments::verdict::{Doubt, Proof};
use crate::payments::{ApiRequest, ApiResponse};
use crate::resilience::BreakerState;

/// How a pretended provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Charges,
    Refuses,
    /// Swallows the request: nothing until the timeout.
    Swallows,
    /// Charges, and the answer is lost.
    ChargesAndBreaks,
}

/// Providers without sockets, in virtual time, with books of their own.
#[derive(Debug)]
struct Providers {
    behaviour: Mutex<HashMap<String, Behaviour>>,
    /// Order references charged, by provider.
    books: Mutex<Vec<(String, String)>>,
    calls: AtomicU64,
    /// Asked on every call, whether its intent is durable.
    ledger: Arc<InMemoryLedger>,
}

impl Transport for Providers {
    fn call<'a>(&'a self, provider: &'a Provider, request: WireRequest, deadline: Instant) -> CallFuture<'a> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            let reference = body["order_reference"].as_str().expect("text").to_owned();
            assert!(self.has_intent(&reference).await, "called before the intent was durable");
            let behaviour = self.behaviour.lock().expect("free")[provider.name.as_str()];
            let charge = || self.books.lock().expect("free").push((provider.name.as_str().into(), reference.clone()));
            match behaviour {
                Behaviour::Charges => {
                    tokio::time::sleep(Duration::from_millis(80)).await;
                    charge();
                    let mut answer = body;
                    answer["id"] = "ch_1".into();
                    answer["status"] = "succeeded".into();
                    let body = Bytes::from(answer.to_string());
                    Ok(Answer { status: http::StatusCode::CREATED, headers: http::HeaderMap::new(), body })
                }
                Behaviour::Refuses => Err(CallError::NotSent { proof: Proof::Connect, detail: "refused".into() }),
                Behaviour::Swallows => {
                    tokio::time::sleep_until(deadline.min(Instant::now() + provider.timeouts.response)).await;
                    Err(CallError::InDoubt { doubt: Doubt::Timeout, detail: String::new() })
                }
                Behaviour::ChargesAndBreaks => {
                    charge();
                    Err(CallError::InDoubt { doubt: Doubt::Lost, detail: String::new() })
                }
            }
        })
    }
}

impl Providers {
    async fn has_intent(&self, reference: &str) -> bool {
        let (id, _) = reference.split_once('-').expect("a payment's name and a number");
        let id = PaymentId::parse(&format!("pay_{id}")).expect("a payment's name");
        let stored = self.ledger.payment(id).await.expect("readable");
        stored.is_some_and(|payment| payment.attempts.iter().any(|attempt| attempt.order_reference == reference))
    }
}

struct Shop {
    distributor: Arc<Distributor>,
    settings: Arc<Settings>,
    providers: Arc<Providers>,
    ledger: Arc<InMemoryLedger>,
}

impl Shop {
    fn new(providers: &[(&str, u32, Behaviour)]) -> Self {
        let settings = Settings {
            path: "/pay".into(),
            deadline: Settings::DEADLINE,
            max_attempts: 2,
            providers: providers.iter().map(|(name, weight, _)| Arc::new(provider(name, *weight))).collect(),
        };
        let ledger = InMemoryLedger::new();
        let behaviour = providers.iter().map(|(name, _, behaviour)| ((*name).to_owned(), *behaviour)).collect();
        let providers = Arc::new(Providers {
            behaviour: Mutex::new(behaviour),
            books: Mutex::default(),
            calls: AtomicU64::new(0),
            ledger: Arc::clone(&ledger),
        });
        let transport: Arc<dyn Transport> = Arc::clone(&providers) as _;
        let distributor = Distributor::start(Arc::clone(&ledger) as _, transport, Arc::new(NoObserver));
        Self { distributor, settings: Arc::new(settings), providers, ledger }
    }

    fn set(&self, provider: &str, behaviour: Behaviour) {
        self.providers.behaviour.lock().expect("free").insert(provider.into(), behaviour);
    }

    async fn pay(&self, key: &str) -> (u16, serde_json::Value, HashMap<&'static str, String>) {
        let body = r#"{"order_id":"o-1","amount":100,"currency":"EUR","method":"card","token":"tok"}"#;
        let mut headers = http::HeaderMap::new();
        headers.insert("idempotency-key", key.parse().expect("a key"));
        let request = ApiRequest {
            method: "POST".into(),
            subpath: String::new(),
            client: "shop".into(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            request_id: "r".into(),
        };
        match Arc::clone(&self.distributor).handle(Arc::clone(&self.settings), request).await {
            ApiResponse::Json { status, headers, body } => {
                (status, serde_json::from_str(&body).expect("JSON"), headers.into_iter().collect())
            }
            ApiResponse::Problem { problem, headers } => {
                (problem.code.status(), problem.detail.into(), headers.into_iter().collect())
            }
        }
    }

    fn charged(&self) -> usize {
        self.providers.books.lock().expect("free").len()
    }

    fn calls(&self) -> u64 {
        self.providers.calls.load(Ordering::SeqCst)
    }
}

fn provider(name: &str, weight: u32) -> Provider {
    Provider {
        name: name.into(),
        adapter: built_in("canonical").expect("built in"),
        base_url: BaseUrl::parse("http://127.0.0.1:1").expect("valid"),
        tls: None,
        weight,
        timeouts: ProviderTimeouts::default(),
        quiesce: Provider::QUIESCE,
        on_unknown: OnUnknown::Hold,
        currencies: vec![],
        methods: vec![],
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_takes_no_intent_means_no_attempt() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Charges)]);
    shop.ledger.failing_accepts.store(1, Ordering::SeqCst);
    let (status, _, headers) = shop.pay("k").await;
    assert_eq!((status, shop.calls()), (503, 0));
    assert!(headers.contains_key("retry-after"));
    assert_eq!(shop.pay("k").await.0, 201, "the same key works once the ledger does");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_saved_is_pending_until_it_can() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Charges)]);
    shop.ledger.failing_saves.store(3, Ordering::SeqCst);
    let (status, payment, _) = shop.pay("k").await;
    assert_eq!((status, payment["status"].as_str()), (202, Some("pending")));
    assert!(payment["provider_ref"].is_null(), "nothing is told that is not durable");
    shop.distributor.drained().await;
    let (status, payment, headers) = shop.pay("k").await;
    assert_eq!((status, payment["status"].as_str(), shop.charged()), (201, Some("succeeded"), 1));
    assert_eq!(headers["idempotent-replayed"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_cannot_be_saved_does_not_happen() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Refuses), ("beta", 1, Behaviour::Refuses)]);
    shop.ledger.failing_saves.store(1, Ordering::SeqCst);
    assert_eq!(shop.pay("k").await.0, 202, "not known to be released, so pending");
    assert_eq!(shop.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_processed_may_be_asked_for_again_with_the_same_key() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Refuses), ("beta", 1, Behaviour::Refuses)]);
    let (status, _, headers) = shop.pay("k").await;
    assert_eq!((status, shop.calls()), (503, 2));
    let place = headers["location"].clone();
    shop.set("alpha", Behaviour::Charges);
    shop.set("beta", Behaviour::Charges);
    let (status, payment, _) = shop.pay("k").await;
    assert_eq!((status, shop.charged()), (201, 1));
    assert_eq!(place, format!("/pay/{}", payment["id"].as_str().expect("text")), "the same payment goes on");
    assert_eq!(payment["attempts"], 3);
}

#[tokio::test(start_paused = true)]
async fn two_requests_that_go_on_with_one_payment_make_one_attempt() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Refuses)]);
    assert_eq!(shop.pay("k").await.0, 503);
    shop.set("alpha", Behaviour::Charges);
    let (one, other) = tokio::join!(shop.pay("k"), shop.pay("k"));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!((statuses, shop.charged()), ([201, 409], 1));
}

#[tokio::test(start_paused = true)]
async fn an_intent_whose_gateway_is_gone_becomes_unknown_and_is_never_tried_again() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Swallows), ("beta", 1, Behaviour::Charges)]);
    shop.set("beta", Behaviour::Swallows);
    let lost = tokio::time::timeout(Duration::from_secs(1), shop.pay("k")).await;
    assert!(lost.is_err(), "the client gave up");
    assert_eq!(shop.pay("k").await.0, 409, "its payment is still at work");
    // As if the process had been killed: nobody will ever save the outcome.
    shop.ledger.recover(Timestamp(i64::MAX)).await.expect("recovered");
    let (status, payment, headers) = shop.pay("k").await;
    assert_eq!((status, payment["status"].as_str()), (202, Some("pending")));
    assert_eq!((headers["retry-after"].as_str(), shop.calls()), ("2", 1));
}

#[tokio::test(start_paused = true)]
async fn a_black_holed_provider_costs_two_seconds_of_payments() {
    let shop = Arc::new(Shop::new(&[("alpha", 70, Behaviour::Charges), ("beta", 30, Behaviour::Charges)]));
    let pay_for = async |from: u32, seconds: u32| {
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..seconds * 40 {
            let shop = Arc::clone(&shop);
            clients.spawn(async move { shop.pay(&format!("{}", from + number)).await.0 });
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        clients
    };
    let healthy = pay_for(0, 3).await.join_all().await;
    assert!(healthy.iter().all(|status| *status == 201));
    shop.set("alpha", Behaviour::Swallows);
    let clients = pay_for(1000, 2).await;
    assert!(shop.distributor.breakers().contains(&("alpha".into(), BreakerState::Open)), "open within 2 s");
    let pending = clients.join_all().await.iter().filter(|status| **status == 202).count();
    assert!((20..=80).contains(&pending), "{pending} payments are left pending");
    let charged = shop.charged();
    let later = pay_for(2000, 1).await.join_all().await;
    let kept = later.iter().filter(|status| **status == 201).count();
    assert!(kept >= 38, "{kept} of 40: new payments go to the other provider, but for a probe");
    assert_eq!(shop.charged(), charged + kept);
}

#[tokio::test(start_paused = true)]
async fn no_provider_at_all_means_nothing_attempted_and_a_time_to_come_back() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Refuses)]);
    for key in ["1", "2", "3", "4", "5"] {
        assert_eq!(shop.pay(key).await.0, 503);
    }
    let (calls, stored) = (shop.calls(), shop.ledger.list(Filter::default()).await.expect("readable").len());
    let (status, _, headers) = shop.pay("6").await;
    assert_eq!((status, headers["retry-after"].as_str()), (503, "5"));
    assert_eq!(shop.calls(), calls);
    assert_eq!(shop.ledger.list(Filter::default()).await.expect("readable").len(), stored);
}

#[tokio::test(start_paused = true)]
async fn a_finished_payment_is_replayed_even_when_no_provider_is_left() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Charges)]);
    let first = shop.pay("k").await;
    shop.set("alpha", Behaviour::Refuses);
    for key in 0..6 {
        shop.pay(&format!("{key}")).await;
    }
    let again = shop.pay("k").await;
    assert_eq!((first.0, &first.1), (again.0, &again.1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_held_although_another_provider_is_well() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::ChargesAndBreaks), ("beta", 1, Behaviour::ChargesAndBreaks)]);
    assert_eq!(shop.pay("k").await.0, 202);
    assert_eq!((shop.calls(), shop.charged()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_every_step_in_order() {
    let shop = Shop::new(&[("alpha", 1, Behaviour::Refuses), ("beta", 1, Behaviour::Refuses)]);
    shop.pay("k").await;
    let payment = shop.ledger.list(Filter::default()).await.expect("readable").remove(0);
    let journal = shop.ledger.journal(payment.id).await.expect("readable");
    let words: Vec<_> = journal
        .iter()
        .map(|entry| match &entry.record {
            Record::Accepted { .. } => "accepted".to_owned(),
            Record::Intent(intent) => format!("intent {}", intent.attempt),
            Record::Outcome { attempt, verdict, .. } => format!("{} {attempt}", verdict.class()),
        })
        .collect();
    assert_eq!(words, ["accepted", "intent 1", "not_processed 1", "intent 2", "not_processed 2"]);
}
