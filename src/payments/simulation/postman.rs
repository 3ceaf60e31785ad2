//! Providers' messages to the gateways: soon or late, once or twice, in any order, and forged ones in between.
//!
//! Whatever comes, and however, nothing may be different from what a look would have found.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::schedule::Webhooks;
use super::world::World;
use crate::payments::webhooks::{Pointer, Scheme, Secret, Webhook};
use crate::payments::{ApiRequest, ApiResponse};

const SECRET: &str = "whsec_simulated";
const HEADER: HeaderName = HeaderName::from_static("stripe-signature");

/// Something that a provider's books note.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) provider: String,
    /// Its number in the books.
    pub(super) entry: usize,
    pub(super) reference: String,
    pub(super) what: String,
}

/// How gateways know a simulated provider's messages.
pub(super) fn webhook() -> Webhook {
    Webhook {
        scheme: Scheme::Stripe { header: HEADER },
        secrets: vec![Secret::new(SECRET)],
        event_id: Some(Pointer::parse("/id").expect("a pointer")),
        references: vec![Pointer::parse("/data/order_reference").expect("a pointer")],
    }
}

/// Carries messages until nobody notes anything any more.
pub(super) async fn deliver(
    world: Arc<World>,
    habits: Vec<(String, Webhooks)>,
    mut noted: UnboundedReceiver<Noted>,
    mut rng: fastrand::Rng,
) {
    let mut under_way = JoinSet::new();
    while let Some(noted) = noted.recv().await {
        let habit = habits.iter().find(|(name, _)| *name == noted.provider).map(|(_, habit)| *habit);
        let deliveries: &[bool] = match habit {
            None | Some(Webhooks::None) => &[],
            Some(Webhooks::Proper) => &[true],
            Some(Webhooks::Messy) => &[true, false, true],
        };
        for is_genuine in deliveries.iter().copied() {
            let longest = if habit == Some(Webhooks::Messy) { 30_000 } else { 200 };
            let delay = Duration::from_millis(rng.u64(..longest));
            let (world, noted, gateway) = (Arc::clone(&world), noted.clone(), rng.usize(..world.gateways()));
            under_way.spawn(async move {
                sleep(delay).await;
                hand_over(&world, gateway, &noted, is_genuine).await;
            });
        }
    }
}

async fn hand_over(world: &World, gateway: usize, noted: &Noted, is_genuine: bool) {
    let Noted { provider, entry, reference, what } = noted;
    let body = json!({"id": format!("evt_{entry}"), "type": what, "data": {"order_reference": reference}}).to_string();
    let secret = if is_genuine { SECRET } else { "whsec_of_a_stranger" };
    let word = if is_genuine { "tells" } else { "is said by a forger to tell" };
    world.story.tell(format!("{provider} {word} gateway {gateway} of {what} of {reference}"));
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, sign(secret, world.providers.now().seconds(), &body));
    let request = ApiRequest {
        method: "POST".into(),
        subpath: format!("/webhooks/{provider}"),
        client: String::new(),
        headers,
        body: Bytes::from(body),
        request_id: "simulated".into(),
    };
    let status = match world.call(gateway, request).await {
        Some(ApiResponse::Json { status, .. }) => status,
        Some(ApiResponse::Problem { problem, .. }) => problem.code.status(),
        None => return,
    };
    let is_accepted = (200..300).contains(&status);
    if is_accepted && !is_genuine || !is_accepted && is_genuine && status != 503 {
        world.accuse(format!("a message of {provider} (genuine: {is_genuine}) is answered with {status}"));
    }
}

fn sign(secret: &str, at: i64, body: &str) -> HeaderValue {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("t={at},v1={digits}")).expect("a header value")
}
