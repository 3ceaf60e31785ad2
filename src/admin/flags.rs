//! Flags over HTTP: list, show, change, history, undo.
//!
//! A change is conditional (`If-Match`), has a reason, and is answered when it is in effect. The API never asks
//! back; whoever wants to be asked uses the command line.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::access::Caller;
use super::answer::{self, Refusal};
use super::body;
use super::flag_view::{FlagView, history_json};
use super::request::{self, Parameter};
use super::{AdminState, Future};
use crate::clock::Timestamp;
use crate::problem::Code;
use crate::reload::{ChangeError, Changed, Wish};
use crate::types::{FlagKey, Revision};

/// Entries of a history that one answer carries, unless the caller says otherwise: as many as the gateway has at hand.
const HISTORY: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    changes: Map<String, Value>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoBody {
    reason: String,
}

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    let (snapshot, now) = (state.handle.load(), Timestamp::now());
    let flags: Vec<Value> =
        (snapshot.flags.flags.values()).map(|flag| FlagView::new(flag, &snapshot, &state).json(now)).collect();
    let document = json!({ "revision": snapshot.revision, "stale": snapshot.flags.stale, "flags": flags });
    Ok(answer::tagged_json(snapshot.revision, &document))
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Parameter(key): Parameter,
    uri: Uri,
) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    current(&state, &FlagKey::from(key))
}

pub(super) async fn change(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Parameter(key): Parameter,
    request: Request,
) -> Result<Response, Refusal> {
    let Conditional { key, if_match, body } = Conditional::<ChangeBody>::read(&state, key, request).await?;
    let ChangeBody { changes, reason } = body;
    let wish = Wish { key: key.clone(), reason: given(&reason)?, actor: caller.actor, if_match };
    if changes.is_empty() {
        return Err(Refusal::new(Code::Unprocessable, "changes is empty; name at least one key of the flag"));
    }
    carried_out(&state, &key, state.changes.clone().change(wish, changes)).await
}

pub(super) async fn undo(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Parameter(key): Parameter,
    request: Request,
) -> Result<Response, Refusal> {
    let Conditional { key, if_match, body } = Conditional::<UndoBody>::read(&state, key, request).await?;
    let wish = Wish { key: key.clone(), reason: given(&body.reason)?, actor: caller.actor, if_match };
    carried_out(&state, &key, state.changes.clone().undo(wish)).await
}

pub(super) async fn history(
    State(state): State<AdminState>,
    Parameter(key): Parameter,
    uri: Uri,
) -> Result<Response, Refusal> {
    let limit = request::limit(&request::query(&uri, &["limit"])?, HISTORY, HISTORY)?;
    let key = FlagKey::from(key);
    let entries = state.changes.history(&key);
    // A deleted flag's history is still worth reading.
    if entries.is_empty() && !state.handle.load().flags.flags.contains_key(&key) {
        return Err(no_such_flag(&key));
    }
    let shown: Vec<Value> = entries.iter().take(limit).map(history_json).collect();
    Ok(answer::json(&json!({ "key": key, "total": entries.len(), "entries": shown })))
}

/// The flag as it is now, with the revision that it belongs to.
fn current(state: &AdminState, key: &FlagKey) -> Result<Response, Refusal> {
    let snapshot = state.handle.load();
    let flag = snapshot.flags.flags.get(key).ok_or_else(|| no_such_flag(key))?;
    let view = FlagView::new(flag, &snapshot, state).json(Timestamp::now());
    Ok(answer::tagged_json(snapshot.revision, &view))
}

/// A request that wants something of a flag that exists, and the revision on which it rests.
struct Conditional<B> {
    key: FlagKey,
    if_match: Revision,
    body: B,
}

impl<B: DeserializeOwned> Conditional<B> {
    /// The condition is judged before the body is read, so that a caller who forgot it learns that first.
    async fn read(state: &AdminState, key: String, request: Request) -> Result<Self, Refusal> {
        let key = FlagKey::from(key);
        request::query(request.uri(), &[])?;
        let snapshot = state.handle.load();
        if !snapshot.flags.flags.contains_key(&key) {
            return Err(no_such_flag(&key));
        }
        let if_match = request::if_match(request.headers())?;
        if if_match == Revision(0) || if_match > snapshot.revision {
            let detail = format!("there is no revision {if_match}; the gateway is at {}", snapshot.revision);
            return Err(stale(detail, snapshot.revision));
        }
        Ok(Self { key, if_match, body: body::json(request, &state.limits).await? })
    }
}

fn given(reason: &str) -> Result<String, Refusal> {
    match reason.trim() {
        "" => Err(Refusal::new(Code::Unprocessable, "reason is empty; say why, for those who read the history")),
        reason => Ok(reason.to_owned()),
    }
}

async fn carried_out(
    state: &AdminState,
    key: &FlagKey,
    change: Future<Result<Changed, ChangeError>>,
) -> Result<Response, Refusal> {
    // On a task of its own: a caller who hangs up must not leave a change half made.
    let outcome = tokio::spawn(change).await.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    outcome.map_err(|error| refused(key, error))?;
    current(state, key)
}

fn refused(key: &FlagKey, error: ChangeError) -> Refusal {
    let text = error.to_string();
    match error {
        ChangeError::NotFound(key) => no_such_flag(&key),
        ChangeError::Stale { current, winner } => {
            let detail = winner.as_deref().map_or_else(
                || format!("flag {key} changed by revision {current}; read it again and decide anew"),
                |winner| {
                    format!(
                        "{} changed flag {key} at revision {}: {:?}; read it again and decide anew",
                        winner.actor, winner.revision, winner.reason
                    )
                },
            );
            stale(detail, current).member("winner", winner.as_deref().map_or(Value::Null, history_json))
        }
        ChangeError::Invalid(problems) => Refusal::new(Code::Unprocessable, text).member("problems", problems),
        ChangeError::Conflict(_) => Refusal::new(Code::Conflict, text),
        ChangeError::Io(_) => Refusal::new(Code::Internal, text),
    }
}

fn stale(detail: String, current: Revision) -> Refusal {
    let refusal = Refusal::new(Code::PreconditionFailed, detail).member("current_revision", current.0);
    match HeaderValue::try_from(format!("\"{current}\"")) {
        Ok(tag) => refusal.with(http::header::ETAG, tag),
        Err(_) => refusal,
    }
}

fn no_such_flag(key: &FlagKey) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no flag {:?}; the list of flags has all keys", key.as_str()))
}
