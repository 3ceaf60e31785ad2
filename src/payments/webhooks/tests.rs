use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use http::{HeaderName, HeaderValue};

use super::*;
use crate::payments::ledger::KeyUse;
use crate::payments::ledger::in_memory::{Fate, InMemoryLedger};
use crate::payments::ledger::{Holder, Lease, NewPayment, Save};
use crate::payments::money::{Currency, Money};
use crate::payments::record::{Intent, Operation, Record};
use crate::payments::verdict::{Doubt, Verdict};

const NOW: Timestamp = Timestamp(1_795_291_200_000);
const LATER: Timestamp = Timestamp(NOW.0 + 3_600_000);

#[derive(Debug, Default)]
struct Counted(Mutex<Vec<WebhookOutcome>>);

impl Observer for Counted {
    fn webhook_received(&self, _: &ProviderName, outcome: WebhookOutcome) {
        self.0.lock().expect("no test panicked in here").push(outcome);
    }
}

struct Desk {
    ledger: Arc<InMemoryLedger>,
    settings: Settings,
    counted: Counted,
}

fn desk() -> Desk {
    let webhook = Webhook {
        scheme: Scheme::Hmac {
            header: HeaderName::from_static("x-signature"),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
            prefix: String::new(),
        },
        secrets: vec![Secret::new("s3cret")],
        event_id: Some(Pointer::parse("/id").expect("a pointer")),
        references: ["/order_reference", "/charge"].map(|text| Pointer::parse(text).expect("a pointer")).to_vec(),
    };
    let alpha = Provider { webhook: Some(webhook), ..Provider::sample("alpha", 1) };
    let settings = Settings::sample(vec![alpha, Provider::sample("beta", 1)]);
    Desk { ledger: InMemoryLedger::new(), settings, counted: Counted::default() }
}

impl Desk {
    /// A pending payment at a provider, due in an hour.
    async fn pending(&self, number: u8, provider: &str) -> PaymentId {
        let id = PaymentId::new(NOW, [number; 10]);
        let lease = Lease { holder: Holder(1), until: LATER };
        let intent = Intent {
            attempt: 1,
            operation: Operation::Charge,
            provider: provider.into(),
            amount: 100,
            currency: "EUR".into(),
            provider_key: format!("key-{number}"),
            order_reference: id.order_reference(1),
            lookup: id.order_reference(1),
        };
        let new = NewPayment {
            id: id.clone(),
            client: [1; 32],
            key: KeyUse { key: [number; 32], fingerprint: [1; 32], operation: Operation::Charge, refund: None },
            order_id: "o".into(),
            money: Money { amount: 100, currency: Currency::parse("EUR").expect("listed") },
            method: "card".into(),
            capture: true,
            intent,
            now: NOW,
            lease,
        };
        self.ledger.accept(new).await.expect("accepted");
        let verdict = Verdict::Unknown { doubt: Doubt::Timeout };
        let outcome = Record::Outcome { attempt: 1, operation: Operation::Charge, verdict };
        let save = Save {
            id: id.clone(),
            holder: Holder(1),
            records: vec![outcome],
            key: None,
            now: NOW,
            lease_until: None,
            due: Some(LATER),
            due_before: None,
            looks: 3,
        };
        self.ledger.save(save).await.expect("saved");
        id
    }

    async fn is_due(&self, id: &PaymentId) -> bool {
        let stored = self.ledger.payment(id.clone()).await.expect("readable").expect("stored");
        stored.due.is_some_and(|due| due <= NOW)
    }

    async fn deliver(&self, provider: &str, secret: &str, body: &str) -> (u16, String) {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = aws_lc_rs::hmac::sign(&key, body.as_bytes());
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-signature"),
            HeaderValue::from_str(&hex).expect("digits"),
        )]);
        let delivery =
            Delivery { provider, headers: &headers, body: body.as_bytes(), now: NOW, wall: NOW, request_id: "r" };
        match receive(&*self.ledger, &self.counted, &self.settings, delivery).await {
            ApiResponse::Json { status, body, .. } => (status, body),
            ApiResponse::Problem { problem, .. } => (problem.code.status(), problem.detail),
        }
    }

    fn outcomes(&self) -> Vec<WebhookOutcome> {
        self.counted.0.lock().expect("no test panicked in here").clone()
    }
}

#[tokio::test]
async fn a_webhook_makes_its_payment_due_and_decides_nothing() {
    let desk = desk();
    let payment = desk.pending(1, "alpha").await;
    let body = format!(r#"{{"id":"e1","status":"succeeded","order_reference":"{}"}}"#, payment.order_reference(1));
    assert_eq!(desk.deliver("alpha", "s3cret", &body).await, (200, "{\"received\":true}\n".into()));
    assert!(desk.is_due(&payment).await);
    let stored = desk.ledger.payment(payment).await.expect("readable").expect("stored");
    assert_eq!(stored.state, crate::payments::PaymentState::Pending);
    assert_eq!(desk.outcomes(), [WebhookOutcome::Hint]);
}

#[tokio::test]
async fn the_same_event_again_is_acknowledged_and_does_nothing() {
    let desk = desk();
    let body = r#"{"id":"e1"}"#;
    for _ in 0..2 {
        assert_eq!(desk.deliver("alpha", "s3cret", body).await.0, 200);
    }
    assert_eq!(desk.outcomes(), [WebhookOutcome::UnknownPayment, WebhookOutcome::Duplicate]);
}

#[tokio::test]
async fn another_providers_payment_is_unknown() {
    let desk = desk();
    let payment = desk.pending(2, "beta").await;
    let body = format!(r#"{{"id":"e2","order_reference":"{}"}}"#, payment.order_reference(1));
    assert_eq!(desk.deliver("alpha", "s3cret", &body).await.0, 200);
    assert!(!desk.is_due(&payment).await);
    assert_eq!(desk.outcomes(), [WebhookOutcome::UnknownPayment]);
}

#[tokio::test]
async fn a_forged_webhook_is_refused_without_detail_and_without_trace() {
    let desk = desk();
    let payment = desk.pending(3, "alpha").await;
    let body = format!(r#"{{"id":"e3","order_reference":"{}"}}"#, payment.order_reference(1));
    let (status, detail) = desk.deliver("alpha", "guess", &body).await;
    assert_eq!((status, detail.as_str()), (401, "the webhook is not signed as it must be"));
    assert!(!desk.is_due(&payment).await);
    assert_eq!(desk.outcomes(), [WebhookOutcome::Rejected]);
    assert_eq!(desk.deliver("alpha", "s3cret", &body).await.0, 200);
    assert!(desk.is_due(&payment).await, "the forgery must not have used the event up");
}

#[tokio::test]
async fn who_sends_no_webhooks_has_no_door_and_bodies_have_an_end() {
    let desk = desk();
    for provider in ["beta", "gamma", ""] {
        assert_eq!(desk.deliver(provider, "s3cret", "{}").await.0, 404, "{provider:?}");
    }
    assert_eq!(desk.deliver("alpha", "s3cret", &" ".repeat(MAX_WEBHOOK + 1)).await.0, 413);
    assert_eq!(desk.outcomes(), []);
}

#[tokio::test]
async fn what_names_no_payment_is_acknowledged() {
    let desk = desk();
    for body in ["a=b&c=d", "[]", "null", r#"{"order_reference":7}"#, r#"{"charge":"ch_nobody_knows"}"#, ""] {
        assert_eq!(desk.deliver("alpha", "s3cret", body).await.0, 200, "{body}");
    }
    assert!(desk.outcomes().iter().all(|outcome| *outcome == WebhookOutcome::UnknownPayment));
}

#[tokio::test]
async fn a_ledger_that_is_down_asks_the_provider_to_repeat() {
    let desk = desk();
    desk.ledger.down.store(true, Ordering::SeqCst);
    assert_eq!(desk.deliver("alpha", "s3cret", r#"{"id":"e4"}"#).await.0, 503);
    desk.ledger.down.store(false, Ordering::SeqCst);
    assert_eq!(desk.deliver("alpha", "s3cret", r#"{"id":"e4"}"#).await.0, 200);
    assert_eq!(desk.outcomes(), [WebhookOutcome::Failed, WebhookOutcome::UnknownPayment]);
}

#[tokio::test]
async fn a_hint_that_the_ledger_failed_to_take_is_taken_when_it_is_repeated() {
    let desk = desk();
    let payment = desk.pending(5, "alpha").await;
    let body = format!(r#"{{"id":"e5","order_reference":"{}"}}"#, payment.order_reference(1));
    // Each write in turn fails, as many as one delivery makes.
    for nth in 1.. {
        let (ledger, before) = (Arc::clone(&desk.ledger), desk.ledger.writes());
        desk.ledger.on_write(move |write, _| {
            ledger.down.store(write - before == nth, Ordering::SeqCst);
            Fate::Live
        });
        let status = desk.deliver("alpha", "s3cret", &body).await.0;
        desk.ledger.down.store(false, Ordering::SeqCst);
        if status == 200 {
            assert!(nth > 1, "at least one write");
            break;
        }
        assert_eq!(status, 503);
    }
    assert!(desk.is_due(&payment).await);
}
