//! The demo's payment providers: simulated ones ([`crate::simulator`]) behind sockets, broken and mended by people.
//!
//! Everything that they say and book is the simulator's; here are only the waiting, the hanging up, and the few outages
//! that a visitor can switch on. Kept in memory, so a new demo begins with empty books.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::server::{self, Answer, HangUp, Service};
use crate::clock::Timestamp;
use crate::simulator::{self, Charge, ChargeState, Dialect, Effect, Fault, Faults, Manners, Reply};

pub(super) use crate::simulator::DECLINED_TOKEN;

/// How long a slow provider takes: longer than the gateway waits, by the sample configuration.
const SLOW: Duration = Duration::from_secs(8);
/// Charges that a look at the books shows; the sums count all.
const SHOWN: usize = 20;

/// How a provider is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Outage {
    /// Not at all.
    #[default]
    Off,
    /// It does not listen: connections are refused, provably nothing is charged.
    Down,
    /// It is at its rate limit and says so with 429, nothing is charged.
    Full,
    /// It answers 500; the gateway can't know what happened.
    Errors,
    /// It charges and answers after eight seconds, when nobody waits any more.
    Slow,
    /// It charges and closes the connection without an answer: the worst of all.
    Lost,
}

impl Outage {
    /// Every mode with its name and what it does.
    pub(super) const ALL: &[(Self, &str, &str)] = &[
        (Self::Off, "off", "works"),
        (Self::Down, "down", "refuses connections: provably nothing is charged"),
        (Self::Full, "full", "answers 429: at its rate limit, nothing is charged"),
        (Self::Errors, "errors", "answers 500: the gateway can't know what happened"),
        (Self::Slow, "slow", "charges, and answers when nobody waits any more"),
        (Self::Lost, "lost", "charges, and hangs up without an answer"),
    ];

    /// The mode of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(mode, _, _)| *mode)
    }

    /// Its name and what it does.
    pub(super) fn describe(self) -> (&'static str, &'static str) {
        Self::ALL.iter().find(|(mode, _, _)| *mode == self).map_or(("off", "works"), |(_, name, does)| (name, does))
    }

    fn faults(self) -> Faults {
        let fault = match self {
            Self::Off => return Faults::default(),
            // The listener is closed; a request that slips through before meets a closed connection.
            Self::Down => Fault::Refused,
            Self::Full => Fault::Full,
            Self::Errors => Fault::ErrorBefore(500),
            Self::Slow => Fault::Slow(SLOW),
            Self::Lost => Fault::AnswerLost,
        };
        let (from, until) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        Faults { outages: vec![simulator::Outage { from, until, fault }], ..Faults::default() }
    }
}

/// A pretended provider.
#[derive(Debug)]
pub(super) struct Provider {
    name: &'static str,
    simulated: Arc<Mutex<simulator::Provider>>,
    outage: Mutex<Outage>,
}

impl Provider {
    /// A healthy provider with empty books.
    pub(super) fn new(name: &'static str) -> Self {
        let simulated = simulator::Provider::new(name, Dialect::Canonical, Manners::default());
        Self { name, simulated: Arc::new(Mutex::new(simulated)), outage: Mutex::default() }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// How it is broken at the moment.
    pub(super) fn outage(&self) -> Outage {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks or mends it. [`Outage::Down`] is the listener's part: see the desk.
    pub(super) fn set_outage(&self, outage: Outage) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
        self.simulated().faults = outage.faults();
    }

    /// The books as people read them: sums, and the newest charges first.
    pub(super) fn statement(&self) -> Value {
        let simulated = self.simulated();
        let books = simulated.books();
        let count = |effect: Effect| books.entries().iter().filter(|entry| entry.effect == effect).count();
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for charge in books.charges().iter().filter(|charge| charge.state == ChargeState::Captured) {
            let sum = sums.entry(&charge.currency).or_default();
            *sum = sum.saturating_add(charge.amount - charge.refunded());
        }
        let newest: Vec<Value> = books.charges().iter().rev().take(SHOWN).map(line).collect();
        json!({
            "provider": self.name,
            "charged": count(Effect::Captured),
            "declined": count(Effect::Declined),
            "voided": count(Effect::Voided) + count(Effect::Reversed),
            "refunds": count(Effect::Refunded),
            "sums": sums,
            "newest": newest,
        })
    }

    /// Orders whose money is really here, one entry a charge.
    pub(super) fn charged_orders(&self) -> Vec<String> {
        let simulated = self.simulated();
        let charged = simulated.books().charges().iter().filter(|charge| charge.is_unreversed());
        charged.filter_map(|charge| charge.order.clone()).collect()
    }

    fn simulated(&self) -> MutexGuard<'_, simulator::Provider> {
        self.simulated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Provider {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer, HangUp> {
        if request.uri().path() == "/books" {
            return Ok(server::json(StatusCode::OK, &self.statement()));
        }
        let plan = self.simulated().receive(&request, Timestamp::now(), &mut fastrand::Rng::new());
        let begun = tokio::time::Instant::now();
        // A task of its own: what was begun takes effect, though the caller may have gone.
        let simulated = Arc::clone(&self.simulated);
        let effect = plan.effect.map(|effect| {
            let request = request.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(begun + effect).await;
                let mut simulated = simulated.lock().unwrap_or_else(PoisonError::into_inner);
                simulated.take_effect(&request, Timestamp::now())
            })
        });
        tokio::time::sleep_until(begun + plan.after).await;
        // Whoever hears of the end of a call finds in the books what was done before it.
        let done = match effect {
            Some(task) if plan.effect.is_some_and(|at| at <= plan.after) => Some(task.await.map_err(|_| HangUp)?),
            _ => None,
        };
        let told = match (&plan.reply, done) {
            (Reply::Proper, Some(answer)) => answer,
            (Reply::Error(status), _) => simulator::unexplained(*status),
            // The switches of the demo's desk lead to no other.
            _ => return Err(HangUp),
        };
        Ok(told.map(Full::new))
    }
}

/// One charge, for people.
fn line(charge: &Charge) -> Value {
    let status = match charge.state {
        ChargeState::Prepared => "prepared",
        ChargeState::Captured => "succeeded",
        ChargeState::Declined => "declined",
        ChargeState::Voided => "voided",
    };
    let mut line = json!({
        "id": charge.id, "status": status, "order_reference": charge.reference, "amount": charge.amount,
        "currency": charge.currency,
    });
    if charge.refunded() > 0 {
        line["refunded"] = charge.refunded().into();
    }
    if let Some(order) = &charge.order {
        line["order"] = order.as_str().into();
    }
    line
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const BODY: &str = r#"{"order_reference":"ref-001","amount":1000,"currency":"KRW","method":"card","token":"tok_demo","capture":true,"metadata":{"order":"o-1"}}"#;

    async fn charge(provider: &Provider, key: &str, body: &str) -> Result<(u16, Bytes), HangUp> {
        let request = Request::post("/charges").header("idempotency-key", key);
        let answer = provider.answer(request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a request")).await?;
        let (head, body) = answer.into_parts();
        Ok((head.status.as_u16(), body.collect().await.expect("a whole body").to_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_charge_is_booked_with_its_order() {
        let provider = Provider::new("alpha");
        assert_eq!(charge(&provider, "k1", BODY).await.expect("an answer").0, 201);
        let statement = provider.statement();
        assert_eq!((&statement["charged"], &statement["sums"]["KRW"]), (&json!(1), &json!(1000)));
        assert_eq!(statement["newest"][0]["order"], "o-1");
        assert_eq!(provider.charged_orders(), ["o-1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_outage_does_to_the_books_what_it_says() {
        for (outage, status, charged) in [
            (Outage::Down, None, 0),
            (Outage::Full, Some(429), 0),
            (Outage::Errors, Some(500), 0),
            (Outage::Slow, Some(201), 1),
            (Outage::Lost, None, 1),
        ] {
            let provider = Provider::new("alpha");
            provider.set_outage(outage);
            let answer = charge(&provider, "k1", BODY).await;
            assert_eq!(answer.ok().map(|(status, _)| status), status, "{outage:?}");
            assert_eq!(provider.statement()["charged"], charged, "{outage:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_provider_has_charged_long_before_it_answers() {
        let provider = Provider::new("alpha");
        provider.set_outage(Outage::Slow);
        let gave_up = tokio::time::timeout(Duration::from_secs(5), charge(&provider, "k1", BODY)).await;
        assert!(gave_up.is_err());
        assert_eq!(provider.statement()["charged"], 1);
    }

    #[test]
    fn every_outage_has_a_name_of_its_own() {
        for (mode, name, _) in Outage::ALL {
            assert_eq!(Outage::parse(name), Some(*mode));
            assert_eq!(mode.describe().0, *name);
        }
        assert_eq!(Outage::parse("broken"), None);
    }
}
