//! Pretended payment providers: they speak the canonical protocol, keep their own books and can be broken on purpose.
//!
//! The books are the judge: what they say was charged was charged, whatever the gateway believes. Kept in memory, so a
//! new demo begins with empty books. `docs/payments-canonical.md` specifies the protocol.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::server::{self, Answer, HangUp, Service};

/// A token that the pretended card's issuer always declines.
pub(super) const DECLINED_TOKEN: &str = "tok_declined";

/// How long a slow provider takes: longer than the gateway waits, by the sample configuration.
const SLOW: Duration = Duration::from_secs(8);
/// How long a healthy one takes.
const USUAL: Duration = Duration::from_millis(40);
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
}

/// What a charge asks for, as the canonical protocol writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Wanted {
    order_reference: String,
    amount: u64,
    currency: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    metadata: serde_json::Map<String, Value>,
}

/// One line of the books.
#[derive(Debug, Clone, Serialize)]
struct Charge {
    id: String,
    status: &'static str,
    order_reference: String,
    amount: u64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    /// The shop's own order, if its metadata names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
}

#[derive(Debug, Default)]
struct Books {
    charges: Vec<Charge>,
    /// By idempotency key: what was asked, and which line answered it.
    by_key: HashMap<String, (Wanted, usize)>,
    outage: Outage,
}

/// A pretended provider.
#[derive(Debug)]
pub(super) struct Provider {
    name: &'static str,
    books: Mutex<Books>,
}

impl Provider {
    /// A healthy provider with empty books.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, books: Mutex::default() }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// How it is broken at the moment.
    pub(super) fn outage(&self) -> Outage {
        self.books().outage
    }

    /// Breaks or mends it. [`Outage::Down`] is the listener's part: see the desk.
    pub(super) fn set_outage(&self, outage: Outage) {
        self.books().outage = outage;
    }

    /// The books as people read them: sums, and the newest charges first.
    pub(super) fn statement(&self) -> Value {
        let books = self.books();
        let charged: Vec<&Charge> = books.charges.iter().filter(|charge| charge.status == "succeeded").collect();
        let mut sums = serde_json::Map::new();
        for charge in &charged {
            let sum = sums.get(&charge.currency).and_then(Value::as_u64).unwrap_or(0);
            sums.insert(charge.currency.clone(), sum.saturating_add(charge.amount).into());
        }
        let newest: Vec<&Charge> = books.charges.iter().rev().take(SHOWN).collect();
        json!({
            "provider": self.name,
            "charged": charged.len(),
            "declined": books.charges.len() - charged.len(),
            "sums": sums,
            "newest": newest,
        })
    }

    /// Orders that were really charged, one entry a charge.
    pub(super) fn charged_orders(&self) -> Vec<String> {
        let books = self.books();
        let charged = books.charges.iter().filter(|charge| charge.status == "succeeded");
        charged.filter_map(|charge| charge.order.clone()).collect()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges once per key: a repetition gets the first answer again.
    fn charge(&self, key: &str, wanted: Wanted) -> Answer {
        let mut books = self.books();
        if let Some((first, line)) = books.by_key.get(key) {
            return if *first == wanted {
                charge_answer(StatusCode::OK, &books.charges[*line])
            } else {
                refusal(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", "this key was used for another charge")
            };
        }
        if books.charges.iter().any(|charge| charge.order_reference == wanted.order_reference) {
            return refusal(StatusCode::CONFLICT, "reference_reused", "this order reference was used before");
        }
        let declined = wanted.token == DECLINED_TOKEN;
        let line = books.charges.len();
        let charge = Charge {
            id: format!("{}_{}", self.name, line + 1),
            status: if declined { "declined" } else { "succeeded" },
            order_reference: wanted.order_reference.clone(),
            amount: wanted.amount,
            currency: wanted.currency.clone(),
            decline_code: declined.then_some("do_not_honor"),
            order: wanted.metadata.get("order").and_then(Value::as_str).map(str::to_owned),
        };
        let answer = charge_answer(StatusCode::CREATED, &charge);
        books.charges.push(charge);
        books.by_key.insert(key.into(), (wanted, line));
        answer
    }

    fn respond(&self, request: &Request<Bytes>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/charges") => {
                let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
                let Some(key) = key.filter(|key| !key.is_empty()) else {
                    return refusal(StatusCode::BAD_REQUEST, "invalid_request", "Idempotency-Key is missing");
                };
                match serde_json::from_slice::<Wanted>(request.body()) {
                    Ok(wanted) if wanted.amount > 0 => self.charge(key, wanted),
                    Ok(_) => refusal(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", "amount must be above 0"),
                    Err(error) => refusal(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string()),
                }
            }
            (&Method::GET, "/books") => server::json(StatusCode::OK, &self.statement()),
            _ => refusal(StatusCode::NOT_FOUND, "not_found", "there is POST /charges and GET /books"),
        }
    }
}

impl Service for Provider {
    async fn answer(&self, request: Request<Bytes>) -> Result<Answer, HangUp> {
        if request.uri().path() == "/books" {
            return Ok(self.respond(&request));
        }
        match self.outage() {
            Outage::Off => {
                tokio::time::sleep(USUAL).await;
                Ok(self.respond(&request))
            }
            // The listener goes away; a request that slips through before meets a closed connection, uncharged.
            Outage::Down => Err(HangUp),
            Outage::Full => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "come back later")),
            Outage::Errors => Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke")),
            Outage::Slow => {
                let answer = self.respond(&request);
                tokio::time::sleep(SLOW).await;
                Ok(answer)
            }
            Outage::Lost => {
                let _nobody_hears_it = self.respond(&request);
                Err(HangUp)
            }
        }
    }
}

fn charge_answer(status: StatusCode, charge: &Charge) -> Answer {
    let mut document = json!({
        "id": charge.id, "status": charge.status, "order_reference": charge.order_reference,
        "amount": charge.amount, "currency": charge.currency,
    });
    if let Some(code) = charge.decline_code {
        document["decline_code"] = code.into();
    }
    server::json(if charge.status == "declined" { StatusCode::PAYMENT_REQUIRED } else { status }, &document)
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    server::json(status, &json!({"error": {"code": code, "message": message}}))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const BODY: &str = r#"{"order_reference":"ref-001","amount":1000,"currency":"KRW","method":"card","token":"tok_demo","capture":true,"metadata":{"order":"o-1"}}"#;

    async fn charge(provider: &Provider, key: &str, body: &str) -> Result<(u16, Value), HangUp> {
        let request = Request::post("/charges").header("idempotency-key", key);
        let answer = provider.answer(request.body(Bytes::copy_from_slice(body.as_bytes())).expect("a request")).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Ok((head.status.as_u16(), serde_json::from_slice(&body).expect("JSON")))
    }

    #[tokio::test]
    async fn a_charge_is_echoed_and_booked() {
        let provider = Provider::new("alpha");
        let (status, answer) = charge(&provider, "k1", BODY).await.expect("an answer");
        assert_eq!((status, &answer["status"], &answer["amount"]), (201, &json!("succeeded"), &json!(1000)));
        assert_eq!(answer["order_reference"], "ref-001");
        let statement = provider.statement();
        assert_eq!((&statement["charged"], &statement["sums"]["KRW"]), (&json!(1), &json!(1000)));
        assert_eq!(provider.charged_orders(), ["o-1"]);
    }

    #[tokio::test]
    async fn a_repetition_is_answered_again_and_charged_once() {
        let provider = Provider::new("alpha");
        let (_, first) = charge(&provider, "k1", BODY).await.expect("an answer");
        assert_eq!(charge(&provider, "k1", BODY).await.expect("an answer"), (200, first));
        assert_eq!(charge(&provider, "k1", &BODY.replace("1000", "2000")).await.expect("an answer").0, 422);
        assert_eq!(charge(&provider, "k2", BODY).await.expect("an answer").0, 409);
        assert_eq!(provider.statement()["charged"], 1);
    }

    #[tokio::test]
    async fn a_declined_card_is_booked_as_declined() {
        let provider = Provider::new("alpha");
        let (status, answer) =
            charge(&provider, "k1", &BODY.replace("tok_demo", DECLINED_TOKEN)).await.expect("an answer");
        assert_eq!((status, &answer["decline_code"]), (402, &json!("do_not_honor")));
        assert_eq!((&provider.statement()["charged"], &provider.statement()["declined"]), (&json!(0), &json!(1)));
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_and_not_booked() {
        let provider = Provider::new("alpha");
        for (key, body) in [
            ("", BODY),
            ("k", "{}"),
            ("k", "not JSON"),
            ("k", &*BODY.replace("1000", "0")),
            ("k", &*BODY.replace("1000", "-1")),
        ] {
            let (status, answer) = charge(&provider, key, body).await.expect("an answer");
            assert!(matches!(status, 400 | 422), "{body}: {status}");
            assert_eq!(answer["error"]["code"], "invalid_request");
        }
        assert_eq!(provider.statement()["newest"], json!([]));
    }

    #[tokio::test]
    async fn each_outage_does_to_the_books_what_it_says() {
        for (outage, status, charged) in [
            (Outage::Down, None, 0),
            (Outage::Full, Some(429), 0),
            (Outage::Errors, Some(500), 0),
            (Outage::Lost, None, 1),
        ] {
            let provider = Provider::new("alpha");
            provider.set_outage(outage);
            let answer = charge(&provider, "k1", BODY).await;
            assert_eq!(answer.ok().map(|(status, _)| status), status, "{outage:?}");
            assert_eq!(provider.statement()["charged"], charged, "{outage:?}");
        }
    }

    #[tokio::test]
    async fn a_slow_provider_has_charged_before_it_answers() {
        let provider = Provider::new("alpha");
        provider.set_outage(Outage::Slow);
        let gave_up = tokio::time::timeout(Duration::from_millis(10), charge(&provider, "k1", BODY)).await;
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
