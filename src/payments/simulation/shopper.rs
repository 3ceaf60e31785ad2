//! One customer's client: sends, repeats, hangs up, polls, confirms, cancels and asks money back.
//!
//! It behaves as the documentation asks: the same key for the same wish, until it is answered. What
//! it hears is held against the books at that moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::judge;
use super::schedule::{Ending, Errand};
use super::world::World;
use crate::payments::{ApiRequest, ApiResponse};
use crate::simulator::{CustomersPayment, DECLINED_TOKEN};

/// How often a client comes back for one wish before it leaves it to the gateway.
const TRIES: u32 = 12;

/// What a client heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) document: Value,
}

impl Heard {
    fn new(answer: ApiResponse) -> Self {
        match answer {
            ApiResponse::Json { status, body, .. } => {
                Self { status, document: serde_json::from_str(&body).expect("answers are JSON") }
            }
            ApiResponse::Problem { problem, .. } => {
                Self { status: problem.code.status(), document: json!({"problem": problem.detail}) }
            }
        }
    }

    /// Whether a client has no reason to ask the same again.
    fn is_an_answer(&self) -> bool {
        match self.status {
            200..=202 => !matches!(self.text("status"), "pending" | "not_processed"),
            409 => false,
            status => (400..500).contains(&status),
        }
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.document[member].as_str().unwrap_or_default()
    }
}

struct Shopper {
    world: Arc<World>,
    order: String,
    errand: Errand,
    rng: fastrand::Rng,
    /// Once it is known.
    id: Option<String>,
}

/// Runs one errand to its end.
pub(super) async fn shop(world: Arc<World>, number: usize, errand: Errand, rng: fastrand::Rng) {
    sleep(errand.at).await;
    let mut shopper = Shopper { world, order: format!("order-{number}"), errand, rng, id: None };
    let Some(mut stands) = shopper.pay().await else { return };
    if matches!(stands.text("status"), "requires_action" | "requires_reauth") {
        let Some(ended) = shopper.end(stands).await else { return };
        stands = ended;
    }
    if stands.text("status") == "succeeded" {
        shopper.ask_back().await;
    }
}

impl Shopper {
    /// Pays until the answer is one to go on with.
    async fn pay(&mut self) -> Option<Heard> {
        let token = if self.errand.declined { DECLINED_TOKEN } else { "tok_good" };
        let body = json!({
            "order_id": self.order, "amount": self.errand.amount, "currency": "EUR", "method": "card",
            "token": token, "capture": self.errand.capture, "metadata": {"order": self.order},
        });
        let key = format!("{}-pay", self.order);
        let mut heard = self.first(&key, &body).await;
        if let Some(heard) = &heard {
            self.world.note_first_answer(heard.status);
        }
        for _ in 0..TRIES {
            if heard.as_ref().is_some_and(Heard::is_an_answer) {
                return heard;
            }
            sleep(Duration::from_millis(self.rng.u64(500..4_000))).await;
            let pending = heard.as_ref().is_some_and(|heard| heard.text("status") == "pending");
            heard = match self.id.clone().filter(|_| pending && self.rng.bool()) {
                Some(id) => self.say("GET", &format!("/{id}"), None, &Value::Null).await,
                None => self.say("POST", "", Some(&key), &body).await,
            };
        }
        heard
    }

    /// The first request: perhaps several at once, perhaps with a client that leaves.
    async fn first(&mut self, key: &str, body: &Value) -> Option<Heard> {
        let mut twins = JoinSet::new();
        for _ in 1..self.errand.twins {
            let (world, order) = (Arc::clone(&self.world), self.order.clone());
            let (gateway, request) = (self.rng.usize(..world.gateways()), request("POST", "", Some(key), body));
            twins.spawn(async move { exchange(&world, gateway, &order, request).await });
        }
        let hangs_up = self.errand.hangs_up;
        let own = self.say("POST", "", Some(key), body);
        let heard = match hangs_up {
            Some(after) => timeout(after, own).await.ok().flatten(),
            None => own.await,
        };
        if heard.is_none() && hangs_up.is_some() {
            self.world.story.tell(format!("the client of {} has hung up", self.order));
        }
        while let Some(twin) = twins.join_next().await {
            let twin = twin.expect("a twin never panics");
            if let (Some(own), Some(twin)) = (&heard, &twin) {
                judge::same_answer(&self.world, &self.order, own, twin);
            }
        }
        heard
    }

    /// The second step of a prepared payment, or its end; each new provider wants its own.
    async fn end(&mut self, mut stands: Heard) -> Option<Heard> {
        for round in 0..3 {
            let id = self.id.clone()?;
            let (path, body) = match self.errand.ending {
                Ending::Forgotten => return Some(stands),
                Ending::Cancelled => (format!("/{id}/cancel"), json!({})),
                Ending::Confirmed => (format!("/{id}/confirm"), json!({"token": self.authenticate(&stands)})),
            };
            let key = format!("{}-end-{round}", self.order);
            stands = self.insist(&path, &key, &body).await?;
            if stands.text("status") != "requires_reauth" {
                return Some(stands);
            }
        }
        Some(stands)
    }

    /// What the customer's device does: at some providers it is the first that they hear of the payment.
    fn authenticate(&self, stands: &Heard) -> String {
        let reference = judge::reference_of(&stands.document);
        let payment = CustomersPayment {
            reference: &reference,
            amount: self.errand.amount,
            currency: "EUR",
            token: if self.errand.declined { DECLINED_TOKEN } else { "tok_good" },
            order: Some(&self.order),
        };
        let mut provider = self.world.providers.get(stands.text("provider"));
        let brought = provider.customer_pays(&payment, self.world.providers.now());
        brought.unwrap_or_else(|| "tok_authenticated".into())
    }

    async fn ask_back(&mut self) {
        let Some(id) = self.id.clone() else { return };
        for (number, amount) in self.errand.refunds.clone().into_iter().enumerate() {
            let body = amount.map_or(json!({}), |amount| json!({"amount": amount}));
            let key = format!("{}-back-{number}", self.order);
            self.insist(&format!("/{id}/refund"), &key, &body).await;
        }
    }

    /// Repeats a wish until its outcome is known.
    async fn insist(&mut self, path: &str, key: &str, body: &Value) -> Option<Heard> {
        let mut heard = None;
        for _ in 0..TRIES {
            heard = self.say("POST", path, Some(key), body).await;
            match &heard {
                Some(heard) if heard.status == 202 && heard.text("status") == "requires_reauth" => break,
                Some(heard) if !matches!(heard.status, 202 | 409 | 503) => break,
                _ => sleep(Duration::from_millis(self.rng.u64(500..5_000))).await,
            }
        }
        heard
    }

    async fn say(&mut self, method: &str, path: &str, key: Option<&str>, body: &Value) -> Option<Heard> {
        let gateway = self.rng.usize(..self.world.gateways());
        let heard = exchange(&self.world, gateway, &self.order, request(method, path, key, body)).await;
        if let Some(id) = heard.as_ref().and_then(|heard| heard.document["id"].as_str()) {
            if self.id.as_deref().is_some_and(|known| known != id) {
                self.world.accuse(format!("{} has two payments", self.order));
            }
            self.id = Some(id.to_owned());
        }
        heard
    }
}

async fn exchange(world: &World, gateway: usize, order: &str, request: ApiRequest) -> Option<Heard> {
    let what = format!("{} {}", request.method, request.subpath);
    world.story.tell(format!("client of {order}: {what} at gateway {gateway}"));
    let heard = world.call(gateway, request).await.map(Heard::new);
    match &heard {
        Some(heard) => {
            let (status, word, problem) = (heard.status, heard.text("status"), heard.text("problem"));
            world.story.tell(format!("client of {order} hears {status} {word}{problem}"));
            judge::hold_against_books(world, order, heard).await;
        }
        None => world.story.tell(format!("client of {order} hears nothing")),
    }
    heard
}

fn request(method: &str, path: &str, key: Option<&str>, body: &Value) -> ApiRequest {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = key {
        headers.insert("idempotency-key", HeaderValue::from_str(key).expect("a header value"));
    }
    ApiRequest {
        method: method.into(),
        subpath: path.into(),
        client: "shop".into(),
        headers,
        body: if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) },
        request_id: "simulated".into(),
    }
}
