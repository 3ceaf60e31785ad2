//! `backends`: named services, their endpoints and how long to wait for them.

use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::formats::{ENDPOINT, FILE, NAME, SERVER_NAME, endpoint};
use super::lowering::Lowering;
use super::quote::quoted;
use super::shape::{Section, Shape, TIMEOUT, choice, default, list, optional, required, section};
use super::tls::client_tls;
use crate::snapshot::{Backend, BackendTls, Protocol, TimeoutOverrides, Timeouts};
use crate::units::format_duration;

const DEFAULT_IN_FLIGHT: u32 = 1_024;

pub(super) static BACKENDS: Shape = Shape::Table { keys: &NAME, values: &Shape::Section(&BACKEND), min: 1 };

static BACKEND: Section = section(
    "A named service.",
    &[
        required(
            "endpoints",
            list(&Shape::Text(&ENDPOINT), 1),
            "host:port of each instance; host names are resolved again every 10s",
        ),
        optional("timeouts", Shape::Section(&TIMEOUTS), "how long to wait; a route may override each"),
        default(
            "protocol",
            choice(&["http1", "h2"]),
            "http1",
            "what it speaks; h2 is ALPN with tls, prior knowledge without",
        ),
        optional("tls", Shape::Section(&TLS), "speaks TLS to it; {} trusts the system's roots"),
        default(
            "max_in_flight",
            Shape::Integer { min: 1, max: 1_000_000 },
            "1024",
            "requests under way at once, over all cores; more get 503",
        ),
    ],
);

static TLS: Section = section(
    "TLS towards a backend.",
    &[
        optional("ca", Shape::Text(&FILE), "PEM file with the roots to trust; the system's unless set"),
        optional("sni", Shape::Text(&SERVER_NAME), "name to ask for and to verify; the endpoint's host unless set"),
    ],
);

/// Timeouts of a backend, and the overrides of a route.
pub(super) static TIMEOUTS: Section = section(
    "How long to wait for a backend.",
    &[
        default("connect", TIMEOUT, "2s", "to a connection, TLS included"),
        default("response", TIMEOUT, "10s", "from the request to the response's head, per try"),
        default("request", TIMEOUT, "30s", "the request all in all; not for streams"),
        default("idle", TIMEOUT, "5m", "without a byte in either direction once streaming"),
    ],
);

/// The backends that are sound enough to be built, in the order written.
pub(super) fn lower(root: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Vec<Arc<Backend>> {
    let Some(table) = root.get("backends") else { return Vec::new() };
    let mut backends = Vec::new();
    for (entry, item) in table.entries() {
        if let Some(backend) = lower_backend(&entry.key, &item, lowering) {
            backends.push(Arc::new(backend));
        }
    }
    backends
}

fn lower_backend(name: &str, item: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Backend> {
    let mut endpoints = Vec::new();
    for place in item.items_of("endpoints") {
        let Some(address) = place.text().and_then(|text| endpoint(text).ok()) else { continue };
        if endpoints.contains(&address) {
            let message = format!("{} stands here twice; an endpoint is listed once", quoted(&address.to_string()));
            lowering.report.error(&place.spot(), message);
        }
        endpoints.push(address);
    }
    let tls = match item.get("tls") {
        Some(tls) => Some(BackendTls {
            client: client_tls(tls.get("ca").as_ref(), &tls, lowering)?,
            sni: tls.text_of("sni").map(str::to_owned),
        }),
        None => None,
    };
    let timeouts = overrides(item).over(&Timeouts::default());
    check_timeouts(item, &timeouts, lowering);
    Some(Backend {
        name: name.into(),
        endpoints,
        timeouts,
        protocol: if item.text_of("protocol") == Some("h2") { Protocol::H2 } else { Protocol::Http1 },
        tls,
        max_in_flight: item.integer_of("max_in_flight").unwrap_or(DEFAULT_IN_FLIGHT),
    })
}

/// The `timeouts` of a backend or a route, as far as they are written.
pub(super) fn overrides(item: &Cursor<'_>) -> TimeoutOverrides {
    let Some(timeouts) = item.get("timeouts") else { return TimeoutOverrides::default() };
    TimeoutOverrides {
        connect: timeouts.duration_of("connect"),
        response: timeouts.duration_of("response"),
        request: timeouts.duration_of("request"),
        idle: timeouts.duration_of("idle"),
    }
}

/// Warns about a written timeout that another one always cuts short.
pub(super) fn check_timeouts(item: &Cursor<'_>, effective: &Timeouts, lowering: &mut Lowering<'_>) {
    let Some(timeouts) = item.get("timeouts") else { return };
    let mut cut = |key: &str, value: Duration| {
        let Some(written) = timeouts.get(key) else { return };
        if value > effective.request {
            let message = format!(
                "{} has no effect: `request` ends everything after {}; raise `request` too",
                quoted(written.text().unwrap_or_default()),
                format_duration(effective.request)
            );
            lowering.report.warning(&written.spot(), message);
        }
    };
    cut("connect", effective.connect);
    cut("response", effective.response);
}
