//! `payments.providers[].webhook`: how a provider's webhooks are known to be its own, and read.

use http::HeaderName;

use super::secret;
use crate::config::cursor::Cursor;
use crate::config::formats::{ANY, HEADER};
use crate::config::lowering::Lowering;
use crate::config::shape::{Field, Format, Section, Shape, choice, default, list, optional, required, section};
use crate::payments::{Algorithm, Encoding, Pointer, Scheme, Secret, Webhook};

const STRIPE_HEADER: &str = "stripe-signature";
const STRIPE_EVENT: &str = "/id";
const STRIPE_REFERENCES: &[&str] =
    &["/data/object/metadata/order_reference", "/data/object/id", "/data/object/payment_intent", "/data/object/charge"];
const PLAIN_REFERENCES: &[&str] = &["/order_reference", "/provider_ref"];
const TOSS_HEADER: &str = "tosspayments-webhook-signature";
const TOSS_TIME: &str = "tosspayments-webhook-transmission-time";
const TOSS_SECRETS: &[&str] = &["/secret", "/data/secret"];
const TOSS_REFERENCES: &[&str] = &["/data/orderId", "/data/paymentKey", "/orderId", "/paymentKey"];

static POINTER: Format = Format {
    name: "a JSON pointer such as /data/object/id",
    pattern: Some("^/"),
    check: |text| Pointer::parse(text).map(drop).map_err(|error| error.to_string()),
};

pub(super) static WEBHOOK: Shape = Shape::Tagged {
    tag: "scheme",
    doc: "How its webhooks, to {path}/webhooks/{name}, are known to be its own.",
    variants: &[("stripe", &STRIPE), ("hmac", &HMAC), ("toss", &TOSS)],
};

const SCHEME: Field = required("scheme", choice(&["stripe", "hmac", "toss"]), "stripe, hmac or toss");
const SECRETS: Field =
    required("secrets", list(&ONE_SECRET, 1), "any of these is accepted: two while one replaces the other");
const EVENT_ID: Field =
    optional("event_id", Shape::Text(&POINTER), "where the event's own name stands; the whole body unless set");
const POINTERS: Shape = list(&ONE_POINTER, 1);
static ONE_SECRET: Shape = Shape::Section(&secret::SECRET);
static ONE_POINTER: Shape = Shape::Text(&POINTER);

static STRIPE: Section = section(
    "A signed time and hexadecimal HMACs in one header: t=…,v1=…; at most 300 s old or early.",
    &[
        SCHEME,
        SECRETS,
        default("header", Shape::Text(&HEADER), STRIPE_HEADER, "where the signature stands"),
        default("event_id", Shape::Text(&POINTER), STRIPE_EVENT, "where the event's own name stands"),
        default(
            "reference",
            POINTERS,
            "[/data/object/metadata/order_reference, /data/object/id, /data/object/payment_intent, /data/object/charge]",
            "where our order reference or the provider's name for a payment may stand; the first that is known counts",
        ),
    ],
);

static HMAC: Section = section(
    "An HMAC of the body in a header.",
    &[
        SCHEME,
        SECRETS,
        required("header", Shape::Text(&HEADER), "where the signature stands"),
        default("algorithm", choice(&["sha256", "sha512"]), "sha256", "hash of the HMAC"),
        default("encoding", choice(&["hex", "base64"]), "hex", "how the signature is written"),
        optional("prefix", Shape::Text(&ANY), "what stands before the signature, such as sha256="),
        EVENT_ID,
        default(
            "reference",
            POINTERS,
            "[/order_reference, /provider_ref]",
            "where our order reference or the provider's name for a payment may stand; the first that is known counts",
        ),
    ],
);

static TOSS: Section = section(
    "A signed transmission time and Base64 HMACs, or a secret in the body of events without that header.",
    &[
        SCHEME,
        SECRETS,
        default("header", Shape::Text(&HEADER), TOSS_HEADER, "where the signature stands"),
        default("secret", POINTERS, "[/secret, /data/secret]", "where the body has its secret"),
        EVENT_ID,
        default(
            "reference",
            POINTERS,
            "[/data/orderId, /data/paymentKey, /orderId, /paymentKey]",
            "where our order reference or the provider's name for a payment may stand; the first that is known counts",
        ),
    ],
);

/// What the provider's `webhook` says; `Ok(None)` if it sends none, `Err` after a mistake.
pub(super) fn lower(provider: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Result<Option<Webhook>, ()> {
    let Some(webhook) = provider.get("webhook") else { return Ok(None) };
    compile(&webhook, lowering).map(Some).ok_or(())
}

fn compile(webhook: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Webhook> {
    let items = webhook.items_of("secrets");
    // Every one is looked at, so that all mistakes are told at once.
    let secrets: Vec<_> = items.iter().map(|item| secret::lower(item, lowering)).collect();
    let secrets = secrets.into_iter().map(|secret| Some(Secret::new(&secret?))).collect::<Option<Vec<_>>>()?;
    let header = |standard: &str| header(webhook.text_of("header").unwrap_or(standard));
    let (scheme, event_id, references) = match webhook.text_of("scheme")? {
        "stripe" => (Scheme::Stripe { header: header(STRIPE_HEADER)? }, Some(STRIPE_EVENT), STRIPE_REFERENCES),
        "hmac" => {
            let algorithm = match webhook.text_of("algorithm") {
                Some("sha512") => Algorithm::Sha512,
                _ => Algorithm::Sha256,
            };
            let encoding = match webhook.text_of("encoding") {
                Some("base64") => Encoding::Base64,
                _ => Encoding::Hex,
            };
            let prefix = webhook.text_of("prefix").unwrap_or_default().to_owned();
            (Scheme::Hmac { header: header("")?, algorithm, encoding, prefix }, None, PLAIN_REFERENCES)
        }
        "toss" => {
            let (time, secret) = (self::header(TOSS_TIME)?, pointers(webhook, "secret", TOSS_SECRETS)?);
            (Scheme::Toss { header: header(TOSS_HEADER)?, time, secret }, None, TOSS_REFERENCES)
        }
        _ => return None,
    };
    let event_id = match webhook.text_of("event_id").or(event_id) {
        Some(text) => Some(Pointer::parse(text).ok()?),
        None => None,
    };
    Some(Webhook { scheme, secrets, event_id, references: pointers(webhook, "reference", references)? })
}

fn header(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

fn pointers(webhook: &Cursor<'_>, key: &str, standard: &[&str]) -> Option<Vec<Pointer>> {
    let written = webhook.texts_of(key);
    let texts: Vec<&str> =
        if written.is_empty() { standard.to_vec() } else { written.iter().map(String::as_str).collect() };
    texts.into_iter().map(|text| Pointer::parse(text).ok()).collect()
}
