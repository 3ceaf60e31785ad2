//! `payments.providers[]`: one provider, where it listens and what it takes.

use std::time::Duration;

use super::adapter::{self, Adapters};
use super::{availability, webhook, weights};
use crate::config::cursor::Cursor;
use crate::config::formats::SLUG;
use crate::config::lowering::Lowering;
use crate::config::quote::quoted;
use crate::config::shape::{DAY, Format, Section, Shape, TIMEOUT, default, list, optional, required, section};
use crate::config::tls::client_tls;
use crate::payments::{self, BaseUrl, Currency, OnUnknown, Provider, ProviderTimeouts};

static BASE_URL: Format =
    Format { name: "a URL such as https://pay.example/v1", pattern: Some("^https?://"), check: base_url };
static CURRENCY: Format =
    Format { name: "a currency code such as EUR", pattern: Some("^[A-Z]{3}$"), check: |text| currency(text).map(drop) };

static METHOD: Format =
    Format { name: "a payment method such as card", pattern: Some("^[a-z0-9_-]{1,32}$"), check: method };

const MONTH: Duration = Duration::from_secs(31 * 86_400);

pub(super) static PROVIDER: Section = section(
    "One payment provider.",
    &[
        required("name", Shape::Text(&SLUG), "unique; stored with each attempt, so never reused for another"),
        required("adapter", Shape::Text(&adapter::ADAPTER), "what it speaks: canonical, or an adapter's file"),
        optional("credentials", adapter::CREDENTIALS, "the secrets that the adapter lists, by name"),
        required("base_url", Shape::Text(&BASE_URL), "where it listens"),
        weights::WEIGHT,
        optional("timeouts", Shape::Section(&TIMEOUTS), "how long to wait for it"),
        default(
            "quiesce",
            Shape::Duration { min: Duration::ZERO, max: DAY },
            "5s",
            "how long after an attempt \"not found\" proves nothing: its longest processing time and its lookup's lag",
        ),
        optional(
            "on_unknown",
            Shape::Choice { options: &["resolve", "hold"], later: &[] },
            "an attempt whose outcome is unknown: resolve asks the provider, hold leaves it to a person; \
             resolve wherever the adapter has a lookup, unless set",
        ),
        default(
            "resolve_for",
            Shape::Duration { min: Duration::from_secs(60), max: MONTH },
            "24h",
            "how long to go on finding out what became of an attempt, before a person has to",
        ),
        default(
            "prepared_for",
            Shape::Duration { min: Duration::from_secs(60), max: MONTH },
            "30m",
            "how long a prepared payment waits for its confirmation, before it is given up",
        ),
        default("currencies", list(&Shape::Text(&CURRENCY), 0), "[]", "currencies that it takes; empty: any"),
        default("methods", list(&Shape::Text(&METHOD), 0), "[]", "payment methods that it takes; empty: any"),
        default(
            "maintenance",
            list(&Shape::Section(&availability::MAINTENANCE), 0),
            "[]",
            "windows in which it takes no new payments",
        ),
        optional("capacity", Shape::Section(&availability::CAPACITY), "what it takes by contract"),
        optional("webhook", webhook::WEBHOOK, "how its webhooks are known to be its own; it sends none unless set"),
    ],
);

static TIMEOUTS: Section = section(
    "How long to wait for a provider.",
    &[
        default("connect", TIMEOUT, "1s", "to a connection, name lookup and TLS included"),
        default("response", TIMEOUT, "5s", "from the first byte of the request to the last of the answer"),
    ],
);

fn base_url(text: &str) -> Result<(), String> {
    BaseUrl::parse(text).map(drop).map_err(|error| error.to_string())
}

fn method(text: &str) -> Result<(), String> {
    if payments::is_method(text) {
        return Ok(());
    }
    Err(format!("{} is no payment method; use 1 to 32 of a-z, 0-9, _ and -, such as card", quoted(text)))
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text)
        .ok_or_else(|| format!("{} is no currency in use; write its ISO 4217 code, such as EUR", quoted(text)))
}

/// One provider; `None` after a mistake.
pub(super) fn lower(item: &Cursor<'_>, adapters: &mut Adapters, lowering: &mut Lowering<'_>) -> Option<Provider> {
    // First, so that an adapter's mistakes are reported whatever else is wrong.
    let adapter = adapters.lower(item, lowering);
    let webhook = webhook::lower(item, lowering);
    let maintenance = availability::maintenance(item, lowering);
    let base_url = item.read_of("base_url", BaseUrl::parse)?;
    let tls = if base_url.is_https() { Some(client_tls(None, item, lowering)?) } else { None };
    let adapter = adapter?;
    let on_unknown = match item.text_of("on_unknown") {
        Some("hold") => OnUnknown::Hold,
        Some("resolve") => OnUnknown::Resolve,
        None => OnUnknown::usual(&*adapter),
        Some(_) => return None,
    };
    let standard = ProviderTimeouts::default();
    let timeout = |key| item.get("timeouts").and_then(|timeouts| timeouts.duration_of(key));
    Some(Provider {
        name: item.text_of("name")?.into(),
        adapter,
        base_url,
        tls,
        // Given by whoever knows all providers' weights.
        weight: 0,
        timeouts: ProviderTimeouts {
            connect: timeout("connect").unwrap_or(standard.connect),
            response: timeout("response").unwrap_or(standard.response),
        },
        quiesce: item.duration_of("quiesce").unwrap_or(Provider::QUIESCE),
        on_unknown,
        resolve_for: item.duration_of("resolve_for").unwrap_or(Provider::RESOLVE_FOR),
        prepared_for: item.duration_of("prepared_for").unwrap_or(Provider::PREPARED_FOR),
        currencies: item.items_of("currencies").iter().filter_map(|code| currency(code.text()?).ok()).collect(),
        methods: item.texts_of("methods"),
        maintenance,
        capacity: availability::capacity(item),
        webhook: webhook.ok()?,
    })
}
