//! `payments`: the distributor's settings, and the internal routes that lead to it.

use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::formats::{ANY, FILE, SLUG};
use super::lowering::Lowering;
use super::quote::{did_you_mean, quoted};
use super::routes::{AUTH_MODE, Lowered, auth_mode, check_issuers};
use super::shape::{DAY, Format, Section, Shape, TIMEOUT, default, later, list, optional, required, section};
use super::sources::Sources;
use super::state::absolute;
use super::targets::Targets;
use super::tls::client_tls;
use crate::payments::adapter::built_in;
use crate::payments::{self, BaseUrl, Currency, OnUnknown, Provider, ProviderTimeouts, Settings};
use crate::snapshot::{AuthMode, Route, Target, TimeoutOverrides};

static PATH: Format = Format {
    name: "a path such as /api/v1/payments",
    pattern: Some("^/[A-Za-z0-9/._~-]*[A-Za-z0-9._~-]$"),
    check: plain_path,
};
static ADAPTER: Format = Format { name: "canonical", pattern: Some("^canonical$"), check: adapter };
static BASE_URL: Format =
    Format { name: "a URL such as https://pay.example/v1", pattern: Some("^https?://"), check: base_url };
static CURRENCY: Format =
    Format { name: "a currency code such as EUR", pattern: Some("^[A-Z]{3}$"), check: |text| currency(text).map(drop) };

static METHOD: Format =
    Format { name: "a payment method such as card", pattern: Some("^[a-z0-9_-]{1,32}$"), check: method };

pub(super) static PAYMENTS: Section = section(
    "Payments, distributed over several providers.",
    &[
        required("path", Shape::Text(&PATH), "path of the client API, such as /api/v1/payments"),
        default("auth", AUTH_MODE, "required", "as on a route"),
        required("ledger", Shape::Section(&LEDGER), "where attempts are recorded; needs a restart"),
        default(
            "deadline",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(120) },
            "15s",
            "one client request, all attempts together; 1s to 2m",
        ),
        default("max_attempts", Shape::Integer { min: 1, max: 10 }, "2", "providers that one request may try"),
        required("providers", list(&Shape::Section(&PROVIDER), 1), "those that payments are distributed over"),
    ],
);

static LEDGER: Section = section(
    "Where attempts are recorded, durably.",
    &[
        required("embedded", Shape::Text(&FILE), "file of the embedded ledger, made if it is missing"),
        later("postgres", Shape::Text(&ANY), "use `embedded`", "URL of a PostgreSQL database, for several instances"),
    ],
);

pub(super) static PROVIDER: Section = section(
    "One payment provider.",
    &[
        required("name", Shape::Text(&SLUG), "unique; stored with each attempt, so never reused for another"),
        required("adapter", Shape::Text(&ADAPTER), "what it speaks: canonical"),
        required("base_url", Shape::Text(&BASE_URL), "where it listens"),
        required(
            "weight",
            Shape::Integer { min: 0, max: 1_000_000 },
            "share of new payments relative to the other weights; 0 takes none",
        ),
        optional("timeouts", Shape::Section(&TIMEOUTS), "how long to wait for it"),
        default(
            "quiesce",
            Shape::Duration { min: Duration::ZERO, max: DAY },
            "5s",
            "how long after an attempt \"not found\" proves nothing",
        ),
        default(
            "on_unknown",
            Shape::Choice { options: &["hold"], later: &["resolve"] },
            "hold",
            "what becomes of an attempt whose outcome is unknown: hold keeps it pending",
        ),
        default("currencies", list(&Shape::Text(&CURRENCY), 0), "[]", "currencies that it takes; empty: any"),
        default("methods", list(&Shape::Text(&METHOD), 0), "[]", "payment methods that it takes; empty: any"),
    ],
);

static TIMEOUTS: Section = section(
    "How long to wait for a provider.",
    &[
        default("connect", TIMEOUT, "1s", "to a connection, name lookup and TLS included"),
        default("response", TIMEOUT, "5s", "from the first byte of the request to the last of the answer"),
    ],
);

fn plain_path(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._~-".contains(&b));
    let steps = text.split('/').skip(1).all(|step| !matches!(step, "" | "." | ".."));
    if text.starts_with('/') && plain && steps {
        return Ok(());
    }
    Err(format!(
        "{} is not a plain path; write one such as /api/v1/payments, without parameters or a slash at the end",
        quoted(text)
    ))
}

fn adapter(text: &str) -> Result<(), String> {
    match built_in(text) {
        Some(_) => Ok(()),
        None if text.ends_with(".yaml") => {
            Err(format!("{} is not in this version (adapters in YAML); write canonical", quoted(text)))
        }
        None => Err(format!("{} is no adapter{}; write canonical", quoted(text), did_you_mean(text, ["canonical"]))),
    }
}

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

/// `payments.ledger` as text: the absolute path of the embedded ledger.
pub(super) fn ledger(root: &Cursor<'_>, sources: &Sources) -> Option<String> {
    let ledger = root.get("payments")?.get("ledger")?;
    Some(absolute(sources.resolve(ledger.text_of("embedded")?)).display().to_string())
}

/// The distributor's settings; `None` after a mistake.
pub(super) fn lower(payments: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Settings> {
    let items = payments.items_of("providers");
    let providers: Vec<_> = items.iter().filter_map(|item| lower_provider(item, lowering)).map(Arc::new).collect();
    if providers.len() < items.len() {
        return None;
    }
    let settings = Settings {
        path: payments.text_of("path")?.to_owned(),
        deadline: payments.duration_of("deadline").unwrap_or(Settings::DEADLINE),
        max_attempts: payments.integer_of("max_attempts").unwrap_or(Settings::MAX_ATTEMPTS),
        providers,
    };
    for (path, message) in settings.check() {
        let place = at(payments, &path);
        let message = match place.text() {
            Some(value) => format!("{}: {message}", quoted(value)),
            None => message,
        };
        lowering.report.error(&place.spot(), message);
    }
    Some(settings)
}

/// Goes down a path such as `providers[1].name` as far as it leads.
fn at<'a>(payments: &Cursor<'a>, path: &str) -> Cursor<'a> {
    let mut place = payments.clone();
    for step in path.split(['.', '[']) {
        let index = step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
        let next = match index {
            Some(index) => place.items().nth(index),
            None => place.get(step),
        };
        match next {
            Some(next) => place = next,
            None => break,
        }
    }
    place
}

fn lower_provider(item: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Provider> {
    let base_url = item.read_of("base_url", BaseUrl::parse)?;
    let tls = if base_url.is_https() { Some(client_tls(None, item, lowering)?) } else { None };
    let on_unknown = match item.text_of("on_unknown") {
        Some("hold") | None => OnUnknown::Hold,
        Some(_) => return None,
    };
    let standard = ProviderTimeouts::default();
    let timeout = |key| item.get("timeouts").and_then(|timeouts| timeouts.duration_of(key));
    Some(Provider {
        name: item.text_of("name")?.into(),
        adapter: built_in(item.text_of("adapter")?)?,
        base_url,
        tls,
        weight: item.integer_of("weight")?,
        timeouts: ProviderTimeouts {
            connect: timeout("connect").unwrap_or(standard.connect),
            response: timeout("response").unwrap_or(standard.response),
        },
        quiesce: item.duration_of("quiesce").unwrap_or(Provider::QUIESCE),
        on_unknown,
        currencies: item.items_of("currencies").iter().filter_map(|code| currency(code.text()?).ok()).collect(),
        methods: item.texts_of("methods"),
    })
}

/// The two routes of the client API: the collection itself, and everything below it.
pub(super) fn routes(payments: &Cursor<'_>, targets: &Targets<'_>, lowering: &mut Lowering<'_>) -> Vec<Lowered> {
    let Some(place) = payments.get("path") else { return Vec::new() };
    let Some(path) = place.text().filter(|path| plain_path(path).is_ok()) else { return Vec::new() };
    let Some(auth) = auth_mode(payments) else { return Vec::new() };
    check_issuers(payments, auth, targets, lowering);
    if auth != AuthMode::Required {
        let message = "callers without a token share one space of idempotency keys, so one can read another's payment; \
                       write `auth: required`";
        lowering.report.warning(&payments.get("auth").unwrap_or_else(|| payments.clone()).spot(), message);
    }
    let route = |path: String| Lowered {
        route: Route {
            name: "payments".into(),
            path,
            methods: Vec::new(),
            host: None,
            auth,
            filters: targets.filters(auth, None),
            target: Target::Payments,
            cors: None,
            allow_encoded_slash: false,
            max_body: Some(payments::MAX_BODY as u64),
            retries: 0,
            timeouts: TimeoutOverrides::default(),
        },
        place: place.spot(),
    };
    vec![route(path.to_owned()), route(format!("{path}/{{*rest}}"))]
}
