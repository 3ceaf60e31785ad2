//! Webhooks: what providers tell unasked. A webhook is a hint to look, never a verdict: real ones arrive
//! twice, late and in the wrong order, and the look gives the same answer each time.
//!
//! The way of a delivery: size → signature over the raw bytes ([`scheme`]) → which payment
//! ([`message`]) → noted durably, once, and in the same write the payment is due for a look → 200. Whatever fails on our
//! side is a 503, so that the provider repeats; a payment that is not ours is a 200, so that it doesn't.

mod message;
mod scheme;

use http::HeaderMap;

use super::ApiResponse;
use super::id::PaymentId;
use super::ledger::{Ledger, LedgerError, StoredPayment};
use super::observer::Observer;
use super::settings::{Provider, Settings};
use crate::clock::Timestamp;
use crate::problem::{Code, Problem};
use crate::types::ProviderName;

pub use message::{Pointer, PointerError};
pub use scheme::{Algorithm, Encoding, Scheme, Secret};

/// Largest body of a webhook, in bytes.
pub const MAX_WEBHOOK: usize = 256 << 10;

/// How a provider's webhooks are known to be its own, and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// How they are signed.
    pub scheme: Scheme,
    /// Any of these is accepted: two while one replaces the other.
    pub secrets: Vec<Secret>,
    /// Where the event's own name stands; `None`: the whole body tells one from another.
    pub event_id: Option<Pointer>,
    /// Where our order reference or the provider's name for a payment may stand; the first that is known counts.
    pub references: Vec<Pointer>,
}

/// What a provider sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery<'a> {
    /// As the path names it.
    pub(super) provider: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// As it came: signatures are over these bytes.
    pub(super) body: &'a [u8],
    /// By the ledger's clock: when the event is noted.
    pub(super) now: Timestamp,
    /// By the world's clocks: signatures are good for a while.
    pub(super) wall: Timestamp,
    /// For logs.
    pub(super) request_id: &'a str,
}

/// What became of a delivery, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// A payment is looked into.
    Hint,
    /// It came before.
    Duplicate,
    /// It names no payment of ours.
    UnknownPayment,
    /// It is not the provider's.
    Rejected,
    /// The ledger could not take note of it.
    Failed,
}

impl WebhookOutcome {
    /// As metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Duplicate => "duplicate",
            Self::UnknownPayment => "unknown_payment",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// Takes one delivery; nobody is authenticated here but by the signature.
pub(super) async fn receive(
    ledger: &dyn Ledger,
    observer: &dyn Observer,
    settings: &Settings,
    delivery: Delivery<'_>,
) -> ApiResponse {
    let named = settings.providers.iter().find(|provider| provider.name.as_str() == delivery.provider);
    let Some((provider, webhook)) = named.and_then(|named| Some((named, named.webhook.as_ref()?))) else {
        return refuse(Code::NotFound, "there are no webhooks of such a provider", &[]);
    };
    if delivery.body.len() > MAX_WEBHOOK {
        return refuse(Code::BodyTooLarge, &format!("a webhook has at most {MAX_WEBHOOK} bytes"), &[]);
    }
    let request_id = delivery.request_id;
    if let Err(reason) = webhook.scheme.verify(&webhook.secrets, delivery.headers, delivery.body, delivery.wall) {
        tracing::warn!(provider = %provider.name, request.id = request_id, %reason, "A webhook was refused");
        observer.webhook_received(&provider.name, WebhookOutcome::Rejected);
        // Whoever forges learns nothing from the answer.
        return refuse(Code::WebhookRejected, "the webhook is not signed as it must be", &[]);
    }
    match hint(ledger, provider, webhook, delivery).await {
        Ok(outcome) => {
            tracing::debug!(provider = %provider.name, request.id = request_id, outcome = outcome.as_str(), "A webhook came");
            observer.webhook_received(&provider.name, outcome);
            ApiResponse::Json { status: 200, headers: Vec::new(), body: "{\"received\":true}\n".into() }
        }
        Err(error) => {
            tracing::error!(provider = %provider.name, request.id = request_id, %error, "A webhook can't be noted");
            observer.ledger_failed();
            observer.webhook_received(&provider.name, WebhookOutcome::Failed);
            let detail = "the webhook can't be noted at the moment; send it again";
            refuse(Code::PaymentsUnavailable, detail, &[("retry-after", "5")])
        }
    }
}

async fn hint(
    ledger: &dyn Ledger,
    provider: &Provider,
    webhook: &Webhook,
    delivery: Delivery<'_>,
) -> Result<WebhookOutcome, LedgerError> {
    let message = message::read(delivery.body);
    let payment = find(ledger, &provider.name, &message::texts(message.as_ref(), &webhook.references)).await?;
    let event = message::digest(&provider.name, message.as_ref(), webhook.event_id.as_ref(), delivery.body);
    let about = payment.map(|payment| payment.id);
    let outcome = if about.is_some() { WebhookOutcome::Hint } else { WebhookOutcome::UnknownPayment };
    // One write: an event that is noted without its hint would be lost, since the provider's next try is a duplicate.
    let is_new = ledger.note_event(provider.name.clone(), event, about, delivery.now).await?;
    Ok(if is_new { outcome } else { WebhookOutcome::Duplicate })
}

/// The payment with an attempt at this provider that one of the texts names.
async fn find(
    ledger: &dyn Ledger,
    provider: &ProviderName,
    texts: &[&str],
) -> Result<Option<StoredPayment>, LedgerError> {
    for text in texts {
        let ours = match PaymentId::of_reference(text) {
            Some(id) => ledger.payment(id).await?.filter(|payment| has_attempt(payment, provider, text)),
            None => None,
        };
        let found = match ours {
            Some(payment) => Some(payment),
            None => ledger.by_provider_ref(provider.clone(), (*text).to_owned()).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn has_attempt(payment: &StoredPayment, provider: &ProviderName, reference: &str) -> bool {
    let mut attempts = payment.attempts.iter().filter(|attempt| attempt.provider == *provider);
    let is_refund = payment.refunds.iter().any(|refund| refund.reference == reference);
    attempts.any(|attempt| attempt.order_reference == reference || is_refund)
}

fn refuse(code: Code, detail: &str, headers: &[(&'static str, &str)]) -> ApiResponse {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    ApiResponse::Problem { problem: Problem::new(code, detail), headers }
}

#[cfg(test)]
mod tests;
