//! The load of the payment benchmark: the distributor in this process, on a real ledger, against simulated providers.
//!
//! Usage: `payment_load steady|outage LEDGER RATE SECONDS`, where LEDGER is `embedded:FILE` or a
//! `postgres://` URL. Payments arrive at a fixed rate, however slow their answers are. A provider answers after
//! 50 ms; what a payment takes beside waiting for providers is what is measured, as the distributor itself
//! tells it. `steady` runs two healthy providers; in `outage` the first one swallows every request for SECONDS, then
//! heals. Prints one JSON document. The simulator's books say whether anybody paid twice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use figway::clock::Timestamp;
use figway::payments::adapter::{Answer, WireRequest, built_in};
use figway::payments::{
    ApiRequest, ApiResponse, BaseUrl, CallError, Capacity, Distributor, Doubt, LedgerPlace, Observer, OnUnknown,
    PaymentState, PostgresAddress, Provider as Settled, ProviderTimeouts, Settings, Tally, Transport,
};
use figway::resilience::BreakerState;
use figway::simulator::{Dialect, Fault, Faults, Manners, Outage, Provider, Reply, Request};
use figway::types::ProviderName;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a healthy provider takes.
const WORK: Duration = Duration::from_millis(50);
/// Not measured: connections, caches and the ledger's first pages.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long everything may take to be settled after the outage.
const SETTLING: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, ledger, rate, seconds] = &arguments[..] else {
        panic!("usage: payment_load steady|outage LEDGER RATE SECONDS");
    };
    let (rate, seconds) = (rate.parse().expect("a rate"), Duration::from_secs(seconds.parse().expect("seconds")));
    let place = place(ledger);
    let shop = Shop::open(&place).await;
    let mut report = match what.as_str() {
        "steady" => shop.steady(rate, seconds).await,
        "outage" => shop.outage(rate, seconds).await,
        other => panic!("{other:?} is neither steady nor outage"),
    };
    if let LedgerPlace::Embedded(file) = &place {
        // It is written over, never cut below its bound: so long it has been at most.
        let log = std::fs::metadata(format!("{}-wal", file.display())).expect("the ledger is open");
        report["log_mb"] = json!(log.len() as f64 / 1e6);
    }
    println!("{report}");
}

fn place(text: &str) -> LedgerPlace {
    match text.strip_prefix("embedded:") {
        Some(file) => LedgerPlace::Embedded(PathBuf::from(file)),
        None => LedgerPlace::Postgres(PostgresAddress::parse(text).expect("a PostgreSQL URL")),
    }
}

/// The distributor, its providers, and what it tells.
struct Shop {
    distributor: Arc<Distributor>,
    settings: Arc<Settings>,
    network: Arc<Network>,
    told: Arc<Told>,
}

impl Shop {
    async fn open(place: &LedgerPlace) -> Self {
        let manners = || Manners { work: WORK..WORK, ..Manners::default() };
        let provider = |name: &str| Mutex::new(Provider::new(name, Dialect::Canonical, manners()));
        let network = Arc::new(Network { providers: [provider("alpha"), provider("beta")] });
        let told = Arc::new(Told::default());
        let ledger = place.open().await.expect("the ledger opens");
        let distributor = Distributor::start(ledger, Arc::clone(&network) as _, Arc::clone(&told) as _);
        let settings = Arc::new(Settings {
            path: "/pay".into(),
            deadline: Settings::DEADLINE,
            max_attempts: Settings::MAX_ATTEMPTS,
            retention: Settings::RETENTION,
            weights: None,
            demote: None,
            providers: ["alpha", "beta"].map(|name| Arc::new(settled(name))).into(),
        });
        distributor.configure(Arc::clone(&settings));
        Self { distributor, settings, network, told }
    }

    async fn steady(&self, rate: u32, seconds: Duration) -> Value {
        let answers = self.pay(rate, WARM_UP + seconds).await;
        let mut overheads: Vec<Duration> = self.told.overheads().iter().map(|(_, overhead)| *overhead).collect();
        overheads.drain(..(rate * 2) as usize);
        overheads.sort_unstable();
        let quantile = |share: f64| {
            let place = (overheads.len() - 1) as f64 * share;
            overheads[place as usize].as_secs_f64() * 1e3
        };
        json!({
            "payments": overheads.len(), "statuses": answers, "charged_twice": self.charged_twice(),
            "p50_ms": quantile(0.5), "p99_ms": quantile(0.99), "p999_ms": quantile(0.999), "max_ms": quantile(1.0),
        })
    }

    async fn outage(&self, rate: u32, seconds: Duration) -> Value {
        self.pay(rate, WARM_UP).await;
        let (from, begun) = (Timestamp::now(), Instant::now());
        let outage = Outage { from, until: from.plus(seconds), fault: Fault::BlackHole };
        self.network.provider("alpha").faults = Faults { outages: vec![outage], ..Faults::default() };
        let answers = self.pay(rate, seconds).await;
        let opened = self.told.opened().map(|opened| (opened - begun).as_secs_f64());
        let pending = self.told.pending();
        let healed = Instant::now();
        while self.told.pending() > 0 || healed.elapsed() < Duration::from_secs(2) {
            assert!(healed.elapsed() < SETTLING, "{} payments are still open", self.told.pending());
            sleep(Duration::from_millis(100)).await;
        }
        json!({
            "statuses": answers, "breaker_open_after_s": opened, "pending_when_healed": pending,
            "settled_after_s": healed.elapsed().as_secs_f64(), "charged_twice": self.charged_twice(),
        })
    }

    /// Payments at a rate for a time; how many were answered with each status.
    async fn pay(&self, rate: u32, time: Duration) -> BTreeMap<String, usize> {
        let (mut running, begun) = (JoinSet::new(), Instant::now());
        for number in 0..(f64::from(rate) * time.as_secs_f64()) as u32 {
            sleep_until(begun + Duration::from_secs(1) * number / rate).await;
            let (distributor, settings) = (Arc::clone(&self.distributor), Arc::clone(&self.settings));
            running.spawn(async move {
                match distributor.handle(settings, request()).await {
                    ApiResponse::Json { status, .. } => status,
                    ApiResponse::Problem { problem, .. } => problem.code.status(),
                }
            });
        }
        let mut counts = BTreeMap::new();
        while let Some(status) = running.join_next().await {
            *counts.entry(status.expect("a payment").to_string()).or_default() += 1;
        }
        counts
    }

    /// Payments with more than one capture that was not given back, over all providers.
    fn charged_twice(&self) -> usize {
        let mut captures: BTreeMap<String, usize> = BTreeMap::new();
        for name in ["alpha", "beta"] {
            let provider = self.network.provider(name);
            for charge in provider.books().unreversed("") {
                let payment = charge.reference.trim_end_matches(|last: char| last != '-');
                *captures.entry(payment.to_owned()).or_default() += 1;
            }
        }
        captures.values().filter(|count| **count > 1).count()
    }
}

fn settled(name: &str) -> Settled {
    Settled {
        name: name.into(),
        adapter: built_in("canonical").expect("built in"),
        base_url: BaseUrl::parse("http://127.0.0.1:1").expect("valid"),
        tls: None,
        weight: 1,
        timeouts: ProviderTimeouts { connect: Duration::from_secs(1), response: Duration::from_secs(1) },
        quiesce: Settled::QUIESCE,
        on_unknown: OnUnknown::Resolve,
        resolve_for: Settled::RESOLVE_FOR,
        prepared_for: Settled::PREPARED_FOR,
        currencies: vec![],
        methods: vec![],
        maintenance: vec![],
        capacity: Capacity::default(),
        webhook: None,
    }
}

fn request() -> ApiRequest {
    let mut headers = http::HeaderMap::new();
    let key = format!("{:032x}", fastrand::u128(..));
    headers.insert("idempotency-key", key.parse().expect("a header value"));
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    const BODY: &[u8] = br#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_visa"}"#;
    ApiRequest {
        method: "POST".into(),
        subpath: String::new(),
        client: "load".into(),
        headers,
        body: Bytes::from_static(BODY),
        request_id: "load".into(),
    }
}

/// The way to the providers: no sockets, real time.
#[derive(Debug)]
struct Network {
    providers: [Mutex<Provider>; 2],
}

impl Network {
    fn provider(&self, name: &str) -> MutexGuard<'_, Provider> {
        let place = usize::from(name != "alpha");
        self.providers[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Network {
    fn call<'a>(
        &'a self,
        provider: &'a Settled,
        request: WireRequest,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send + 'a>> {
        Box::pin(async move {
            let (begun, name) = (Instant::now(), provider.name.as_str());
            let request = assemble(request);
            let plan = self.provider(name).receive(&request, Timestamp::now(), &mut fastrand::Rng::new());
            if plan.reply != Reply::Proper {
                sleep_until(deadline.min(begun + provider.timeouts.response)).await;
                return Err(CallError::InDoubt { doubt: Doubt::Timeout, detail: "swallowed".into() });
            }
            sleep_until(begun + plan.after).await;
            let (head, body) = self.provider(name).take_effect(&request, Timestamp::now()).into_parts();
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
    }
}

fn assemble(request: WireRequest) -> Request {
    let mut assembled = Request::new(request.body);
    *assembled.method_mut() = request.method;
    *assembled.uri_mut() = request.path.parse().expect("a request target");
    assembled.headers_mut().extend(request.headers.into_iter().map(|(name, value)| (Some(name), value)));
    assembled
}

/// What the distributor told.
#[derive(Debug, Default)]
struct Told {
    overheads: Mutex<Vec<(Instant, Duration)>>,
    opened: Mutex<Option<Instant>>,
    pending: Mutex<u64>,
}

impl Told {
    fn overheads(&self) -> MutexGuard<'_, Vec<(Instant, Duration)>> {
        self.overheads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Option<Instant> {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> u64 {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Told {
    fn payment_answered(&self, _: Option<&ProviderName>, _: PaymentState, overhead: Duration) {
        self.overheads().push((Instant::now(), overhead));
    }

    fn breaker_changed(&self, _: &ProviderName, state: BreakerState) {
        if state == BreakerState::Open {
            self.opened.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        }
    }

    fn tally(&self, tally: &Tally) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = tally.pending;
    }
}
