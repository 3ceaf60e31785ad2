//! Migrations: the flags of kind `migration`, seen as work that should end one day.

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::flag_view::FlagView;
use super::request;
use super::{AdminState, FlagChanges};
use crate::clock::Timestamp;
use crate::flags::Kind;
use crate::reload::HistoryEntry;

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    let (snapshot, now) = (state.handle.load(), Timestamp::now());
    let migrations: Vec<Value> = (snapshot.flags.flags.values())
        .filter_map(|flag| migration(&FlagView::new(flag, &snapshot, &state), &*state.changes, now))
        .collect();
    let document = json!({ "revision": snapshot.revision, "migrations": migrations });
    Ok(answer::tagged_json(snapshot.revision, &document))
}

fn migration(view: &FlagView<'_>, changes: &dyn FlagChanges, now: Timestamp) -> Option<Value> {
    let Kind::Migration { stage, .. } = view.flag.kind else { return None };
    let history = changes.history(&view.flag.key);
    let since = history.last().map(|entry| entry.at);
    let stage_since = history.iter().find(|entry| changed_stage(entry)).map(|entry| entry.at);
    Some(json!({
        "key": view.flag.key,
        "stage": stage.as_str(),
        "percent": view.flag.to_json()["percent"],
        "killed": view.flag.killed,
        "owner": view.flag.owner,
        "expires": view.flag.expires,
        "expired": view.expired(now),
        "routes": view.routes().map(|route| &route.name).collect::<Vec<_>>(),
        "first_changed": since.map(Timestamp::rfc3339),
        "age_seconds": since.map(|since| now.since(since).as_secs()),
        "stage_since": stage_since.map(Timestamp::rfc3339),
        "last_changed": view.last_changed(),
        "last_evaluated": view.last_evaluated(),
        "notes": view.notes(now),
    }))
}

fn changed_stage(entry: &HistoryEntry) -> bool {
    entry.before.get("stage") != entry.after.get("stage")
}
