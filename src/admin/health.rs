//! Health for orchestrators and metrics for scrapers; open to everybody.
//!
//! Readiness says whether this process can take traffic. It never depends on backends: a backend's outage
//! must not take the gateway, and with it every other backend, out of service.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::access::{self, Call, Ends};
use super::answer::{self, Refusal};
use super::{AdminState, snapshot};
use crate::problem::Code;
use crate::snapshot::Role;

/// Whether traffic may come; set by whoever starts and ends the process.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    keys_prefetched: AtomicBool,
}

impl Readiness {
    /// Not ready until [`Readiness::keys_are_prefetched`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Each issuer was asked for its keys, and answered or failed. Not ready before, so that the first tokens find their
    /// keys; but a gateway that waited for an issuer that is down would be down as long, for everybody.
    pub fn keys_are_prefetched(&self) {
        self.keys_prefetched.store(true, Ordering::Relaxed);
    }

    /// The process is ending: no new traffic, please.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// [`Readiness::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// [`Readiness::keys_are_prefetched`] was called.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys_prefetched.load(Ordering::Relaxed)
    }

    /// Traffic may come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.has_keys() && !self.is_draining()
    }
}

pub(super) async fn livez() -> Response {
    answer::json(&json!({ "status": "alive" }))
}

pub(super) async fn readyz(
    State(state): State<AdminState>,
    Extension(ends): Extension<Ends>,
    request: Request,
) -> Response {
    let readiness = &state.readiness;
    let snapshot = state.handle.load();
    let status = state.handle.status();
    let call = Call { method: request.method(), uri: request.uri(), headers: request.headers(), ends };
    let problems = match access::admit(&snapshot.admin, call, Role::Viewer) {
        Ok(_) => snapshot::diagnostics(&status.problems),
        // Messages quote the files; who may not read those learns only how many there are.
        Err(_) => Value::Null,
    };
    let detail = json!({
        "ready": readiness.is_ready(),
        "draining": readiness.is_draining(),
        "keys_prefetched": readiness.has_keys(),
        "stale": snapshot.stale,
        "revision": snapshot.revision,
        "hash": snapshot.hash,
        "last_reload": {
            "success": status.success,
            "attempted": status.last_attempt.rfc3339(),
            "succeeded": status.succeeded_at(),
            "problem_count": status.problems.len(),
            "problems": problems,
        },
    });
    match why_not(readiness) {
        None => answer::json(&detail),
        Some(why) => Refusal::new(Code::Unavailable, why).members(detail).into_response(),
    }
}

fn why_not(readiness: &Readiness) -> Option<&'static str> {
    match (readiness.is_draining(), readiness.has_keys()) {
        (true, _) => Some("the gateway is draining: it is about to end"),
        (false, false) => Some("the keys to verify tokens were not fetched yet"),
        (false, true) => None,
    }
}

pub(super) async fn metrics(State(state): State<AdminState>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.metrics)()).into_response()
}
