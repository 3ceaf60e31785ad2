//! A shop, a distributor and providers without sockets, in virtual time: for tests.
//!
//! The providers keep books of their own and do every kind of harm on demand. On each call they ask
//! the ledger whether what allows it is durable.

mod adapter;
mod ears;
mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::distributor::Distributor;
use super::id::PaymentId;
use super::ledger::in_memory::InMemoryLedger;
use super::ledger::{Ledger, StoredPayment};
use super::observer::{NoObserver, Observer};
use super::record::Record;
use super::settings::{OnUnknown, Provider, Settings};
use super::transport::Transport;
use super::{ApiRequest, ApiResponse};

pub(super) use adapter::Talk;
pub(super) use ears::Ears;
pub(super) use world::{Fault, World};

/// An answer of the client API: status, document or the problem's detail, headers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: HashMap<&'static str, String>,
}

impl Reply {
    pub(super) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    /// Status code and the payment's own status.
    pub(super) fn said(&self) -> (u16, &str) {
        (self.status, self.text("status"))
    }

    pub(super) fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}

/// See the module's text.
pub(super) struct Shop {
    pub(super) distributor: Arc<Distributor>,
    pub(super) settings: Arc<Settings>,
    pub(super) world: Arc<World>,
    pub(super) ledger: Arc<InMemoryLedger>,
}

impl Shop {
    /// Providers with their weights, all of which can do everything.
    pub(super) fn new(providers: &[(&str, u32)]) -> Self {
        Self::with(providers, Talk::everything())
    }

    pub(super) fn with(providers: &[(&str, u32)], talk: Talk) -> Self {
        let providers = providers.iter().map(|(name, weight)| Arc::new(provider(name, *weight, &talk))).collect();
        Self::of(providers, Arc::new(NoObserver))
    }

    pub(super) fn of(providers: Vec<Arc<Provider>>, observer: Arc<dyn Observer>) -> Self {
        let settings = Arc::new(Settings { path: "/pay".into(), providers, ..Settings::sample(Vec::new()) });
        let ledger = InMemoryLedger::new();
        let world = Arc::new(World::new(Arc::clone(&ledger)));
        let transport: Arc<dyn Transport> = Arc::clone(&world) as _;
        let distributor = Distributor::start(Arc::clone(&ledger) as _, transport, observer);
        distributor.configure(Arc::clone(&settings));
        Self { distributor, settings, world, ledger }
    }

    /// Another process on the same ledger and providers; `alone` if this one is dead.
    pub(super) fn another(&self, alone: bool) -> Self {
        let ledger = self.ledger.open_again(self.distributor.clock.now(), alone);
        self.world.watch(Arc::clone(&ledger));
        let transport: Arc<dyn Transport> = Arc::clone(&self.world) as _;
        let distributor = Distributor::start(Arc::clone(&ledger) as _, transport, Arc::new(NoObserver));
        distributor.configure(Arc::clone(&self.settings));
        Self { distributor, settings: Arc::clone(&self.settings), world: Arc::clone(&self.world), ledger }
    }

    pub(super) async fn call(&self, method: &str, subpath: &str, client: &str, key: &str, body: &str) -> Reply {
        let mut headers = http::HeaderMap::new();
        if !key.is_empty() {
            headers.insert("idempotency-key", key.parse().expect("a key"));
        }
        let request = ApiRequest {
            method: method.into(),
            subpath: subpath.into(),
            client: client.into(),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            request_id: "r".into(),
        };
        match Arc::clone(&self.distributor).handle(Arc::clone(&self.settings), request).await {
            ApiResponse::Json { status, headers, body } => {
                assert!(body.ends_with("}\n"), "a document is a whole line");
                let body = serde_json::from_str(&body).expect("JSON");
                Reply { status, body, headers: headers.into_iter().collect() }
            }
            ApiResponse::Problem { problem, headers } => Reply {
                status: problem.code.status(),
                body: problem.detail.into(),
                headers: headers.into_iter().collect(),
            },
        }
    }

    /// A charge of 1.00 EUR.
    pub(super) async fn pay(&self, key: &str) -> Reply {
        self.call("POST", "", "shop", key, CHARGE).await
    }

    /// Asks as a client does that is told to ask again, until it is paid.
    pub(super) async fn pay_until_paid(&self, key: &str) -> Reply {
        self.until(|| self.pay(key), 201).await
    }

    /// Asks again and again, as long as the answer has another status.
    pub(super) async fn until<A: Future<Output = Reply>>(&self, ask: impl Fn() -> A, status: u16) -> Reply {
        let mut replies = Vec::new();
        for _ in 0..10 {
            let reply = ask().await;
            assert!(self.world.captured() <= 1, "charged twice: {reply:?}");
            if reply.status == status {
                return reply;
            }
            replies.push((reply.status, reply.body));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        panic!("never answered with {status}: {replies:?}");
    }

    /// The first of two steps.
    pub(super) async fn prepare(&self, key: &str) -> Reply {
        self.call("POST", "", "shop", key, &CHARGE.replace('}', r#","capture":false}"#)).await
    }

    /// `confirm`, `cancel` or `refund`.
    pub(super) async fn step(&self, id: &str, step: &str, key: &str, body: &str) -> Reply {
        self.call("POST", &format!("/{id}/{step}"), "shop", key, body).await
    }

    pub(super) async fn get(&self, id: &str) -> Reply {
        self.call("GET", &format!("/{id}"), "shop", "", "").await
    }

    pub(super) async fn stored(&self, id: &str) -> StoredPayment {
        let id = PaymentId::parse(id).expect("an id");
        self.ledger.payment(id).await.expect("readable").expect("known")
    }

    /// The names of the journal's records, in order.
    pub(super) async fn journal(&self, id: &str) -> Vec<Record> {
        let journal = self.ledger.journal(PaymentId::parse(id).expect("an id")).await.expect("readable");
        journal.into_iter().map(|entry| entry.record).collect()
    }

    /// The provider tells that something about the payment has changed.
    pub(super) async fn hint(&self, id: &str) {
        let (event, now) = (std::array::from_fn(|_| fastrand::u8(..)), self.distributor.clock.now());
        let noted = self.ledger.note_event("alpha".into(), event, PaymentId::parse(id), now).await;
        assert_eq!(noted, Ok(true));
    }

    /// Lets time pass until the payment says this, for so long at most.
    pub(super) async fn becomes(&self, id: &str, status: &str, within: Duration) {
        let limit = tokio::time::Instant::now() + within;
        loop {
            let now = self.get(id).await;
            if now.text("status") == status {
                return;
            }
            assert!(tokio::time::Instant::now() < limit, "still {now:?} and not {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(super) const CHARGE: &str = r#"{"order_id":"o-1","amount":100,"currency":"EUR","method":"card","token":"tok"}"#;

pub(super) fn provider(name: &str, weight: u32, talk: &Talk) -> Provider {
    Provider { adapter: Arc::new(talk.clone()), on_unknown: OnUnknown::usual(talk), ..Provider::sample(name, weight) }
}
