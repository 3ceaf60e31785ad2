//! A flag with its surroundings: its definition, who changed it last, which routes it directs, what is due.

use serde_json::{Map, Value, json};

use super::AdminState;
use crate::clock::Timestamp;
use crate::flags::{Debt, Flag, Kind};
use crate::reload::HistoryEntry;
use crate::snapshot::{Route, Snapshot, Target};
use crate::telemetry::Activity;

/// Members of a flag's document that are not part of its definition.
pub const FLAG_SURROUNDINGS: &[&str] = &[
    "key",
    "file",
    "revision",
    "stale",
    "routes",
    "last_changed",
    "last_evaluated",
    "requests_per_second",
    "expired",
    "notes",
];

/// One flag of a snapshot with its surroundings.
pub(super) struct FlagView<'a> {
    pub(super) flag: &'a Flag,
    pub(super) snapshot: &'a Snapshot,
    pub(super) last: Option<HistoryEntry>,
    activity: Activity,
}

impl<'a> FlagView<'a> {
    pub(super) fn new(flag: &'a Flag, snapshot: &'a Snapshot, state: &AdminState) -> Self {
        let (last, activity) = (state.changes.last_change(&flag.key), state.activity.of(flag.key.as_str()));
        Self { flag, snapshot, last, activity }
    }

    /// The definition and its surroundings.
    pub(super) fn json(&self, now: Timestamp) -> Value {
        let mut object = Map::new();
        object.insert("key".into(), json!(self.flag.key));
        if let Value::Object(mut definition) = self.flag.to_json() {
            object.append(&mut definition);
        }
        object.insert("file".into(), json!(self.flag.file));
        object.insert("revision".into(), json!(self.snapshot.revision));
        object.insert("stale".into(), json!(self.snapshot.flags.stale));
        object.insert("routes".into(), self.routes().map(|route| route_json(self.flag, route)).collect());
        object.insert("last_changed".into(), self.last_changed());
        object.insert("last_evaluated".into(), json!(self.last_evaluated()));
        object.insert("requests_per_second".into(), self.requests_per_second());
        object.insert("expired".into(), json!(self.expired(now)));
        object.insert("notes".into(), json!(self.notes(now)));
        Value::Object(object)
    }

    /// Routes whose requests the flag directs.
    pub(super) fn routes(&self) -> impl Iterator<Item = &'a Route> {
        let key = &self.flag.key;
        self.snapshot
            .routes
            .iter()
            .filter(move |route| matches!(&route.target, Target::Flagged { flag, .. } if flag.key == *key))
    }

    /// When it was last asked, as RFC 3339; `None`: not since the process started.
    pub(super) fn last_evaluated(&self) -> Option<String> {
        self.activity.last_evaluated.map(Timestamp::rfc3339)
    }

    /// By variant; null while too little is known.
    fn requests_per_second(&self) -> Value {
        if self.activity.per_second.is_empty() {
            return Value::Null;
        }
        let rounded = |rate: f64| (rate * 100.0).round() / 100.0;
        self.activity.per_second.iter().map(|(variant, rate)| (variant.clone(), json!(rounded(*rate)))).collect()
    }

    /// Who changed it last, when and why; null if no change is recorded.
    pub(super) fn last_changed(&self) -> Value {
        self.last.as_ref().map_or(Value::Null, |entry| {
            json!({
                "at": entry.at.rfc3339(),
                "actor": entry.actor,
                "reason": entry.reason,
                "revision": entry.revision,
            })
        })
    }

    /// Its last day is over.
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.flag.debts(now).iter().any(|debt| matches!(debt, Debt::Expired { .. }))
    }

    /// What its owner should do about it.
    pub(super) fn notes(&self, now: Timestamp) -> Vec<String> {
        let mut notes: Vec<String> = self.flag.debts(now).iter().map(ToString::to_string).collect();
        if matches!(self.flag.kind, Kind::Migration { .. }) && self.routes().next().is_none() {
            notes.push("no route uses it".into());
        }
        notes
    }
}

fn route_json(flag: &Flag, route: &Route) -> Value {
    let mut by_variant = Map::new();
    if let Target::Flagged { backends, .. } = &route.target {
        for (variant, backend) in flag.variants().iter().zip(backends) {
            by_variant.insert(variant.to_string(), json!(backend.as_ref().map(|backend| &backend.name)));
        }
    }
    json!({ "name": route.name, "path": route.path, "methods": route.methods, "backends": by_variant })
}

/// An entry of a flag's history with its moment in words.
pub(super) fn history_json(entry: &HistoryEntry) -> Value {
    let mut document = json!(entry);
    document["at"] = json!(entry.at.rfc3339());
    document
}
