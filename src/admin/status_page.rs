//! The status page at `/`: what is in effect and what is wrong, as plain HTML without script.
//!
//! It shows only what the process knows for sure. It changes nothing: that is the command line's business.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};

use super::AdminState;
use super::flag_view::FlagView;
use super::html::{Text, table};
use super::snapshot::{certificates as shown_certificates, protocol};
use crate::clock::Timestamp;
use crate::flags::{Kind, Stage, format_percent};
use crate::snapshot::{Diagnostic, ReloadStatus, Snapshot};
use crate::tls::Validity;

const STYLE: &str = include_str!("status_page.css");

/// Nothing may load or run but the one style sheet in the page, named by its digest.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest);
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

pub(super) async fn show(State(state): State<AdminState>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, page(&state, Timestamp::now())).into_response()
}

fn page(state: &AdminState, now: Timestamp) -> String {
    let (snapshot, status) = (state.handle.load(), state.handle.status());
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Figway, revision {}</title>\
         <style>{STYLE}</style></head><body>\n<header><h1>Figway</h1></header>\n<main>\n",
        Text(snapshot.revision)
    );
    html.push_str(&banner(&snapshot, &status));
    html.push_str(&overview(state, &snapshot, &status));
    html.push_str(&warnings(&snapshot.warnings));
    html.push_str(&flags(state, &snapshot, now));
    html.push_str(&certificates(&snapshot, now));
    html.push_str(&backends(&snapshot));
    html.push_str(&payments(state, &snapshot));
    html.push_str(&format!(
        "</main>\n<footer>As of {}; reload the page to see newer. Change flags with <code>figway flags</code>; \
         health of backends is in <a href=\"/metrics\">metrics</a>, the API in \
         <a href=\"/openapi.json\">openapi.json</a>.</footer></body></html>\n",
        moment(&now.rfc3339())
    ));
    html
}

/// What must not be overlooked: old flags, files that are not in effect.
fn banner(snapshot: &Arc<Snapshot>, status: &ReloadStatus) -> String {
    let mut html = String::new();
    if snapshot.stale {
        html.push_str(
            "<div class=\"banner\" role=\"alert\"><span class=\"bad\">Stale.</span> The files were bad at start; \
             this is the last good copy.</div>\n",
        );
    }
    if !status.success {
        let problems: String = status.problems.iter().map(diagnostic).collect();
        html.push_str(&format!(
            "<div class=\"banner\" role=\"alert\"><span class=\"bad\">The files on disk are not in effect.</span> \
             The reload at {} failed; revision {} still serves.<ul>{problems}</ul></div>\n",
            moment(&status.last_attempt.rfc3339()),
            Text(snapshot.revision)
        ));
    }
    html
}

fn overview(state: &AdminState, snapshot: &Snapshot, status: &ReloadStatus) -> String {
    let readiness = &state.readiness;
    let ready = match (readiness.is_ready(), readiness.is_draining()) {
        (true, _) => "<span class=\"ok\">ready</span>",
        (false, true) => "<span class=\"bad\">not ready: draining</span>",
        (false, false) => "<span class=\"bad\">not ready: keys not fetched yet</span>",
    };
    let reload =
        if status.success { "<span class=\"ok\">succeeded</span>" } else { "<span class=\"bad\">failed</span>" };
    format!(
        "<dl><dt>State</dt><dd>{ready}</dd><dt>Revision</dt><dd>{}</dd><dt>Hash</dt><dd><code>{}</code></dd>\
         <dt>In effect since</dt><dd>{}</dd><dt>Last reload</dt><dd>{reload} at {}</dd><dt>Version</dt><dd>{}</dd></dl>\n",
        Text(snapshot.revision),
        Text(&snapshot.hash),
        moment(&snapshot.created.rfc3339()),
        moment(&status.last_attempt.rfc3339()),
        Text(env!("CARGO_PKG_VERSION")),
    )
}

fn warnings(found: &[Diagnostic]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let items: String = found.iter().map(diagnostic).collect();
    format!("<h2>Warnings</h2>\n<ul>{items}</ul>\n")
}

fn diagnostic(diagnostic: &Diagnostic) -> String {
    format!("<li><code>{}</code></li>", Text(diagnostic))
}

fn flags(state: &AdminState, snapshot: &Snapshot, now: Timestamp) -> String {
    if snapshot.flags.flags.is_empty() {
        return "<h2>Flags</h2>\n<p class=\"dim\">There are none.</p>\n".into();
    }
    let rows: Vec<Vec<String>> =
        (snapshot.flags.flags.values()).map(|flag| flag_row(&FlagView::new(flag, snapshot, state), now)).collect();
    let columns = ["Flag", "Kind", "Says", "Owner", "Expires", "Last evaluated", "Last changed", "Reason", "Notes"];
    format!("<h2>Flags</h2>\n{}", table("Flags", &columns, &rows))
}

fn flag_row(view: &FlagView<'_>, now: Timestamp) -> Vec<String> {
    let flag = view.flag;
    let says = match &flag.kind {
        _ if flag.killed => "<span class=\"bad\">killed</span>".to_owned(),
        Kind::Migration { stage: Stage::Canary, percent } => format!("canary, {}&nbsp;%", format_percent(*percent)),
        Kind::Migration { stage, .. } => stage.to_string(),
        Kind::Switch { on } => if *on { "on" } else { "off" }.to_owned(),
        Kind::Split(split) => {
            let shares = split.names().iter().zip(split.weights());
            let weights: Vec<String> = shares.map(|(name, weight)| format!("{name} {weight}")).collect();
            Text(weights.join(", ")).to_string()
        }
    };
    let rules = match flag.rules.len() {
        0 => String::new(),
        1 => ", 1 rule".to_owned(),
        count => format!(", {count} rules"),
    };
    let (changed, reason) = match &view.last {
        Some(entry) => {
            (format!("{} by {}", moment(&entry.at.rfc3339()), Text(&entry.actor)), Text(&entry.reason).to_string())
        }
        None => ("<span class=\"dim\">no change recorded</span>".into(), String::new()),
    };
    let evaluated = match view.last_evaluated() {
        Some(at) => moment(&at),
        None => "<span class=\"dim\">not since the start</span>".into(),
    };
    let expires = whole(flag.expires.as_deref().unwrap_or("never"));
    let expires = if view.expired(now) { format!("<span class=\"bad\">{expires}, over</span>") } else { expires };
    let key = format!("<span class=\"mono\">{}</span>", Text(&flag.key));
    let key = match &flag.description {
        Some(description) => format!("{key}<br><span class=\"dim\">{}</span>", Text(description)),
        None => key,
    };
    let owner = whole(flag.owner.as_deref().unwrap_or("nobody"));
    let notes = Text(view.notes(now).join("; ")).to_string();
    vec![key, flag.kind.as_str().into(), format!("{says}{rules}"), owner, expires, evaluated, changed, reason, notes]
}

/// A moment (RFC 3339), with its day and its time each in one piece; the whole of it is there for programs.
fn moment(rfc3339: &str) -> String {
    let (day, time) = rfc3339.split_once('T').unwrap_or((rfc3339, ""));
    let time = time.split(['.', 'Z']).next().unwrap_or(time);
    format!("<time datetime=\"{}\">{} {}</time>", Text(rfc3339), whole(day), whole(&format!("{time} UTC")))
}

/// Names and days are read as one word.
fn whole(text: &str) -> String {
    format!("<span class=\"whole\">{}</span>", Text(text))
}

fn certificates(snapshot: &Snapshot, now: Timestamp) -> String {
    let shown = shown_certificates(snapshot);
    if shown.is_empty() {
        return String::new();
    }
    let row = |one: &Validity| {
        let file = format!("<span class=\"mono\">{}</span>", Text(&one.file));
        let is_over = Timestamp::parse(&one.not_after).is_some_and(|end| end < now);
        let until = moment(&one.not_after);
        let until = if is_over { format!("<span class=\"bad\">{until}, over</span>") } else { until };
        vec![file, one.number.to_string(), moment(&one.not_before), until]
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    let columns = ["File", "Certificate", "Holds from", "Until"];
    format!("<h2>Certificates</h2>\n{}", table("Certificates", &columns, &rows))
}

fn backends(snapshot: &Snapshot) -> String {
    let rows: Vec<Vec<String>> = (snapshot.backends.iter())
        .map(|backend| {
            let endpoints: Vec<String> = backend.endpoints.iter().map(ToString::to_string).collect();
            let tls = if backend.tls.is_some() { "yes" } else { "no" };
            vec![
                Text(&backend.name).to_string(),
                format!("<span class=\"mono\">{}</span>", Text(endpoints.join(", "))),
                protocol(backend).into(),
                tls.into(),
                backend.max_in_flight.to_string(),
            ]
        })
        .collect();
    let columns = ["Backend", "Endpoints", "Protocol", "TLS", "Most in flight"];
    format!("<h2>Backends, as configured</h2>\n{}", table("Backends, as configured", &columns, &rows))
}

fn payments(state: &AdminState, snapshot: &Snapshot) -> String {
    let text = match (&snapshot.payments, &state.payments) {
        (Some(settings), Some(records)) => match records.refused() {
            None => format!("Taken at <code>{}</code>.", Text(&settings.path)),
            Some(why) => format!("<span class=\"bad\">Refused:</span> {}", Text(why)),
        },
        (Some(settings), None) => {
            format!("<span class=\"bad\">Configured at <code>{}</code>, but not running.</span>", Text(&settings.path))
        }
        (None, _) => "Not configured.".into(),
    };
    format!("<h2>Payments</h2>\n<p>{text}</p>\n")
}
