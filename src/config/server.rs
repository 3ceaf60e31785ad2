//! `server`: the data plane's listeners, limits and patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::formats::{FILE, LISTEN, NETWORK, listen, network};
use super::lowering::Lowering;
use super::quote::quoted;
use super::shape::{DAY, Section, Shape, TIMEOUT, choice, default, list, optional, required, section};
use super::tls::server_tls;
use crate::snapshot::{AccessLog, ClientTimeouts, Drain, Limits, Server};

const NO_DELAY: Duration = Duration::ZERO;
const DEFAULT_CONNECTIONS: usize = 100_000;

pub(super) static SERVER: Section = section(
    "Listeners of the data plane, and what clients may do to them.",
    &[
        required(
            "listen",
            list(&Shape::Text(&LISTEN), 1),
            "addresses to listen on, such as 127.0.0.1:8080; needs a restart",
        ),
        default(
            "threads",
            Shape::Integer { min: 0, max: 1_024 },
            "0",
            "event loops; 0 is one per core; needs a restart",
        ),
        optional("tls", Shape::Section(&TLS), "certificates; without them the listeners speak plain text"),
        default(
            "trusted_proxies",
            list(&Shape::Text(&NETWORK), 0),
            "[]",
            "networks whose X-Forwarded-* and X-Request-Id are believed",
        ),
        default("debug_headers", Shape::Bool, "false", "adds x-figway-decision to every response"),
        optional("limits", Shape::Section(&LIMITS), "what a request may measure"),
        optional("timeouts", Shape::Section(&TIMEOUTS), "how long clients may take"),
        default(
            "max_connections",
            Shape::Integer { min: 1, max: 10_000_000 },
            "100000",
            "connections at once over all cores; beyond it, accepting pauses",
        ),
        optional("drain", Shape::Section(&DRAIN), "how the process ends after SIGTERM"),
        default(
            "access_log",
            Shape::AnyOf(&[choice(&["stdout", "off"]), Shape::Section(&LOG_FILE)]),
            "stdout",
            "where the access log goes: stdout, off, or {file: …}",
        ),
    ],
);

static TLS: Section = section(
    "TLS towards clients.",
    &[required(
        "certificates",
        list(&Shape::Section(&CERTIFICATE), 1),
        "chains and keys; the client's server name chooses, the first one is the fallback",
    )],
);

static CERTIFICATE: Section = section(
    "One certificate.",
    &[
        required("cert", Shape::Text(&FILE), "PEM file with the chain, leaf first"),
        required("key", Shape::Text(&FILE), "PEM file with the private key"),
    ],
);

static LIMITS: Section = section(
    "What a request may measure; beyond it 431, 414 or 413.",
    &[
        default("header_bytes", size(1 << 10, 1 << 20), "32KiB", "whole header section; 1KiB to 1MiB"),
        default("header_lines", Shape::Integer { min: 1, max: 10_000 }, "100", "header lines"),
        default("uri", size(64, 1 << 20), "8KiB", "request target; 64B to 1MiB"),
        default("body", size(0, 1 << 40), "10MiB", "request body; a route may set its own `max_body`"),
    ],
);

static TIMEOUTS: Section = section(
    "How long clients may take.",
    &[
        default("header", TIMEOUT, "10s", "from the first byte of a head to its end"),
        default("idle", TIMEOUT, "75s", "between two requests of a connection"),
        default("body", TIMEOUT, "10s", "without a byte of an announced body"),
        default("answer", TIMEOUT, "60s", "without taking a byte of an answer that is ready"),
    ],
);

static DRAIN: Section = section(
    "How the process ends after SIGTERM.",
    &[
        default("delay", span(), "5s", "not ready but still accepting"),
        default("timeout", span(), "30s", "for requests in flight"),
    ],
);

static LOG_FILE: Section =
    section("An access log in a file.", &[required("file", Shape::Text(&FILE), "appended to; opened again on SIGHUP")]);

const fn size(min: u64, max: u64) -> Shape {
    Shape::Size { min, max }
}

const fn span() -> Shape {
    Shape::Duration { min: NO_DELAY, max: DAY }
}

/// `server.listen`, without duplicates.
pub(super) fn addresses(server: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for item in server.items_of("listen") {
        let Some(address) = item.text().and_then(|text| listen(text).ok()) else { continue };
        if address.port() != 0 && addresses.contains(&address) {
            lowering
                .report
                .error(&item.spot(), format!("{} stands here twice; remove one", quoted(&address.to_string())));
        }
        addresses.push(address);
    }
    addresses
}

/// Everything of `server` that a reload may change; `None` if a file it needs is unusable.
pub(super) fn lower(server: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Server> {
    let tls = match server.get("tls") {
        Some(tls) => Some(Arc::new(server_tls(&tls, lowering)?)),
        None => None,
    };
    let proxies = server.items_of("trusted_proxies");
    for item in proxies
        .iter()
        .filter(|item| item.text().and_then(|text| network(text).ok()).is_some_and(|net| net.prefix_len() == 0))
    {
        let message = format!("{} trusts every client's X-Forwarded-For; list your own proxies", quoted(item.text()?));
        lowering.report.warning(&item.spot(), message);
    }
    Some(Server {
        tls,
        trusted_proxies: proxies.iter().filter_map(|item| network(item.text()?).ok()).collect(),
        debug_headers: server.bool_of("debug_headers").unwrap_or(false),
        limits: server.get("limits").map(|limits| lower_limits(&limits)).unwrap_or_default(),
        timeouts: server.get("timeouts").map(|timeouts| lower_timeouts(&timeouts)).unwrap_or_default(),
        max_connections: server.integer_of("max_connections").unwrap_or(DEFAULT_CONNECTIONS),
        drain: server.get("drain").map(|drain| lower_drain(&drain)).unwrap_or_default(),
        access_log: lower_access_log(server, lowering),
    })
}

fn lower_limits(limits: &Cursor<'_>) -> Limits {
    let standard = Limits::default();
    let memory = |key| limits.size_of(key).and_then(|bytes| usize::try_from(bytes).ok());
    Limits {
        header_bytes: memory("header_bytes").unwrap_or(standard.header_bytes),
        header_lines: limits.integer_of("header_lines").unwrap_or(standard.header_lines),
        uri_bytes: memory("uri").unwrap_or(standard.uri_bytes),
        body_bytes: limits.size_of("body").unwrap_or(standard.body_bytes),
    }
}

fn lower_timeouts(timeouts: &Cursor<'_>) -> ClientTimeouts {
    let standard = ClientTimeouts::default();
    ClientTimeouts {
        header: timeouts.duration_of("header").unwrap_or(standard.header),
        idle: timeouts.duration_of("idle").unwrap_or(standard.idle),
        body: timeouts.duration_of("body").unwrap_or(standard.body),
        answer: timeouts.duration_of("answer").unwrap_or(standard.answer),
    }
}

fn lower_drain(drain: &Cursor<'_>) -> Drain {
    let standard = Drain::default();
    Drain {
        delay: drain.duration_of("delay").unwrap_or(standard.delay),
        timeout: drain.duration_of("timeout").unwrap_or(standard.timeout),
    }
}

fn lower_access_log(server: &Cursor<'_>, lowering: &Lowering<'_>) -> AccessLog {
    let Some(log) = server.get("access_log") else { return AccessLog::default() };
    match (log.text(), log.text_of("file")) {
        (Some("off"), _) => AccessLog::Off,
        (_, Some(file)) => AccessLog::File(lowering.sources.resolve(file)),
        _ => AccessLog::Stdout,
    }
}
