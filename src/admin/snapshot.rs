//! The snapshot as JSON: what is in effect, since when, and how the last reload went.

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde_json::{Value, json};

use super::AdminState;
use super::answer::{self, Refusal};
use super::request;
use crate::snapshot::{Backend, Diagnostic, Protocol, ReloadStatus, Snapshot};
use crate::tls::Validity;
use crate::units::format_duration;

pub(super) async fn show(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    let snapshot = state.handle.load();
    Ok(answer::tagged_json(snapshot.revision, &document(&snapshot, &state.handle.status())))
}

fn document(snapshot: &Snapshot, status: &ReloadStatus) -> Value {
    json!({
        "revision": snapshot.revision,
        "hash": snapshot.hash,
        "created": snapshot.created.rfc3339(),
        "stale": snapshot.stale,
        "last_reload": {
            "success": status.success,
            "attempted": status.last_attempt.rfc3339(),
            "succeeded": status.succeeded_at(),
        },
        "last_error": last_error(status),
        "warnings": diagnostics(&snapshot.warnings),
        "flags": snapshot.flags.flags.len(),
        "routes": snapshot.routes.len(),
        "certificates": certificates(snapshot).iter().map(certificate_json).collect::<Vec<_>>(),
        "backends": snapshot.backends.iter().map(|backend| backend_json(backend)).collect::<Vec<_>>(),
        "payments": snapshot.payments.as_ref().map(|payments| &payments.path),
    })
}

/// Null after a success; else everything wrong with the files as they are.
fn last_error(status: &ReloadStatus) -> Value {
    if status.success {
        return Value::Null;
    }
    let first = status.problems.first().map(ToString::to_string);
    json!({
        "at": status.last_attempt.rfc3339(),
        "message": first.unwrap_or_else(|| "the reload failed".into()),
        "problems": diagnostics(&status.problems),
    })
}

/// Diagnostics with their one-line text, `file:line:column: path: message`.
pub(super) fn diagnostics(found: &[Diagnostic]) -> Value {
    found
        .iter()
        .map(|diagnostic| {
            let mut document = json!(diagnostic);
            document["text"] = json!(diagnostic.to_string());
            document
        })
        .collect()
}

/// Every certificate that clients are shown.
pub(super) fn certificates(snapshot: &Snapshot) -> &[Validity] {
    snapshot.server.tls.as_ref().map(|tls| tls.validities.as_slice()).unwrap_or_default()
}

fn certificate_json(one: &Validity) -> Value {
    json!({ "file": one.file, "number": one.number, "not_before": one.not_before, "not_after": one.not_after })
}

fn backend_json(backend: &Backend) -> Value {
    let timeouts = &backend.timeouts;
    json!({
        "name": backend.name,
        "endpoints": backend.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "protocol": protocol(backend),
        "tls": backend.tls.is_some(),
        "max_in_flight": backend.max_in_flight,
        "timeouts": {
            "connect": format_duration(timeouts.connect),
            "response": format_duration(timeouts.response),
            "request": format_duration(timeouts.request),
            "idle": format_duration(timeouts.idle),
        },
    })
}

/// What a backend speaks, as the configuration writes it.
pub(super) fn protocol(backend: &Backend) -> &'static str {
    match backend.protocol {
        Protocol::Http1 => "http1",
        Protocol::H2 => "h2",
    }
}
