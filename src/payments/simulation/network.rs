//! A transport over simulated providers, in virtual time.
//!
//! What was sent takes effect whether or not its sender still waits, or lives: a dead gateway's
//! requests stay under way. Of a dead gateway nothing new leaves, and nothing reaches it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::postman::Noted;
use super::story::Story;
use crate::clock::Timestamp;
use crate::payments::adapter::{Answer, WireRequest};
use crate::payments::ledger::in_memory::{InMemoryLedger, OPENED};
use crate::payments::settings::Provider as Settled;
use crate::payments::transport::{CallError, CallFuture, Transport};
use crate::payments::verdict::{Doubt, Proof};
use crate::simulator::{Provider, Reply, Request};

/// Largest answer that the real transport reads.
const MAX_ANSWER: usize = 256 << 10;

/// The providers of one run, by name.
#[derive(Debug)]
pub(super) struct Providers {
    all: Vec<(String, Mutex<Provider>)>,
    rng: Mutex<fastrand::Rng>,
    /// Tells of every entry in anybody's books.
    noted: UnboundedSender<Noted>,
    /// Requests that will take effect, whoever sent them.
    under_way: AtomicUsize,
    pub(super) story: Arc<Story>,
}

impl Providers {
    pub(super) fn new(all: Vec<Provider>, seed: u64, noted: UnboundedSender<Noted>, story: Arc<Story>) -> Self {
        Self {
            all: all.into_iter().map(|provider| (provider.name().to_owned(), Mutex::new(provider))).collect(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed ^ 0x6e65_7477)),
            noted,
            under_way: AtomicUsize::new(0),
            story,
        }
    }

    /// Time as everybody in the run has it.
    pub(super) fn now(&self) -> Timestamp {
        OPENED.plus(self.story.elapsed())
    }

    pub(super) fn get(&self, name: &str) -> MutexGuard<'_, Provider> {
        let found = self.all.iter().find(|(known, _)| known == name);
        let (_, provider) = found.expect("settings and simulation name the same providers");
        provider.lock().expect("no test panicked in here")
    }

    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Provider>> {
        self.all.iter().map(|(_, provider)| provider.lock().expect("no test panicked in here"))
    }

    /// Whether some request has still to take effect.
    pub(super) fn is_anything_under_way(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0
    }

    /// Does what a request asks for, and tells the story of what that changed.
    fn take_effect(&self, name: &str, request: &Request) -> crate::simulator::Answer {
        let mut provider = self.get(name);
        let before = provider.books().entries().len();
        let answer = provider.take_effect(request, self.now());
        let books = provider.books();
        for (number, entry) in books.entries().iter().enumerate().skip(before) {
            let charge = &books.charges()[entry.charge];
            self.story.tell(format!("{name} books: {:?} {} of {}", entry.effect, entry.amount, charge.reference));
            let (provider, reference) = (name.to_owned(), charge.reference.clone());
            let what = format!("{:?}", entry.effect).to_lowercase();
            // Nobody listens any more when the run ends.
            let _ = self.noted.send(Noted { provider, entry: number, reference, what });
        }
        answer
    }
}

/// One gateway's way to the providers.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) providers: Arc<Providers>,
    pub(super) gateway: usize,
    /// Says whether the gateway lives.
    pub(super) ledger: Arc<InMemoryLedger>,
}

impl Transport for Network {
    fn call<'a>(&'a self, provider: &'a Settled, request: WireRequest, deadline: Instant) -> CallFuture<'a> {
        Box::pin(async move {
            self.die_if_dead().await;
            let answer = self.exchange(provider, request, deadline).await;
            self.die_if_dead().await;
            answer
        })
    }
}

impl Network {
    async fn die_if_dead(&self) {
        if self.ledger.is_dead() {
            std::future::pending().await
        }
    }

    async fn exchange(&self, settled: &Settled, request: WireRequest, deadline: Instant) -> Result<Answer, CallError> {
        let (begun, name) = (Instant::now(), settled.name.as_str());
        let (method, path) = (request.method.clone(), request.path.clone());
        let request = Arc::new(assemble(request));
        let plan = {
            let mut rng = self.providers.rng.lock().expect("no test panicked in here");
            self.providers.get(name).receive(&request, self.providers.now(), &mut rng)
        };
        {
            let provider = self.providers.get(name);
            let received = provider.received().last().expect("just received");
            let (wish, reference) = (received.wish, received.reference.as_deref().unwrap_or("?"));
            let fault = received.fault.map_or(String::new(), |fault| format!(": {fault:?}"));
            self.providers
                .story
                .tell(format!("gateway {} asks {name} to {wish:?} {reference} ({method} {path}){fault}", self.gateway));
        }
        if plan.reply == Reply::Refused {
            return Err(CallError::NotSent { proof: Proof::Connect, detail: "refused".into() });
        }
        let (done, effect) = oneshot::channel();
        if let Some(after) = plan.effect {
            let (providers, name, request) = (Arc::clone(&self.providers), name.to_owned(), Arc::clone(&request));
            providers.under_way.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                sleep_until(begun + after).await;
                // The caller may have gone.
                let _ = done.send(providers.take_effect(&name, &request));
                providers.under_way.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let until = deadline.min(begun + settled.timeouts.response);
        if plan.reply == Reply::Never || begun + plan.after > until {
            sleep_until(until).await;
            return doubt(Doubt::Timeout);
        }
        sleep_until(begun + plan.after).await;
        let proper = async { effect.await.expect("a proper answer has an effect before it") };
        let answer = match plan.reply {
            Reply::Proper => proper.await,
            Reply::Spoilt(garble) => garble.spoil(&proper.await),
            Reply::Pretended => self.providers.get(name).pretend(&request, self.providers.now()),
            Reply::Error(status) => crate::simulator::unexplained(status),
            Reply::CutBefore | Reply::CutWithin | Reply::Refused | Reply::Never => return doubt(Doubt::Lost),
        };
        if answer.body().len() > MAX_ANSWER {
            return doubt(Doubt::Unreadable);
        }
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

fn doubt(doubt: Doubt) -> Result<Answer, CallError> {
    Err(CallError::InDoubt { doubt, detail: doubt.as_str().into() })
}

/// The request as it arrives.
pub(super) fn assemble(request: WireRequest) -> Request {
    let mut assembled = Request::new(request.body);
    *assembled.method_mut() = request.method;
    *assembled.uri_mut() = request.path.parse().expect("adapters write valid request targets");
    for (name, value) in request.headers {
        assembled.headers_mut().append(name, value);
    }
    assembled
}
