//! Flags as JSON: the definition as its author would write it, and what else a reader wants to know.

use serde_json::{Map, Value, json};

use super::state::FlagChanges;
use crate::clock::Timestamp;
use crate::flags::{Attribute, Flag, Kind, Rule, Stage, StickyBy};
use crate::reload::HistoryEntry;
use crate::snapshot::{Route, Snapshot, Target};

/// One flag of a snapshot with its surroundings.
pub(super) struct FlagView<'a> {
    pub(super) flag: &'a Flag,
    pub(super) snapshot: &'a Snapshot,
    /// Newest first.
    pub(super) history: Vec<HistoryEntry>,
}

impl<'a> FlagView<'a> {
    pub(super) fn new(flag: &'a Flag, snapshot: &'a Snapshot, changes: &dyn FlagChanges) -> Self {
        Self { flag, snapshot, history: changes.history(&flag.key) }
    }

    /// The definition, then `key`, `file`, `revision`, `routes`, `last_changed`, `expired` and `notes`.
    pub(super) fn json(&self, now: Timestamp) -> Value {
        let mut object = Map::new();
        object.insert("key".into(), json!(self.flag.key));
        object.append(&mut definition(self.flag));
        object.insert("file".into(), json!(self.flag.file));
        object.insert("revision".into(), json!(self.snapshot.revision));
        object.insert("stale".into(), json!(self.snapshot.flags.stale));
        object.insert("routes".into(), self.routes().map(|route| route_json(self.flag, route)).collect());
        object.insert("last_changed".into(), self.last_changed());
        object.insert("expired".into(), json!(self.expired(now)));
        object.insert("notes".into(), json!(self.notes(now)));
        Value::Object(object)
    }

    /// Routes whose requests the flag directs.
    pub(super) fn routes(&self) -> impl Iterator<Item = &'a Route> {
        let key = &self.flag.key;
        self.snapshot.routes.iter().map(AsRef::as_ref).filter(
            move |route| matches!(&route.target, Target::Flagged { flag, .. } if flag.key == *key),
        )
    }

    /// Who changed it last, when and why; null if nobody did through the gateway.
    pub(super) fn last_changed(&self) -> Value {
        self.history.first().map_or(Value::Null, |entry| {
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
        self.flag.expires.as_deref().and_then(Timestamp::end_of_day).is_some_and(|end| end < now)
    }

    /// What its owner should do about it.
    pub(super) fn notes(&self, now: Timestamp) -> Vec<String> {
        let mut notes = Vec::new();
        if self.expired(now) {
            notes.push(format!("expired on {}", self.flag.expires.as_deref().unwrap_or_default()));
        }
        if matches!(self.flag.kind, Kind::Migration { stage: Stage::Retired, .. }) {
            notes.push("the migration is finished: delete the flag and route straight to the new backend".into());
        }
        if matches!(self.flag.kind, Kind::Migration { .. }) && self.routes().next().is_none() {
            notes.push("no route uses it".into());
        }
        notes
    }
}

/// The definition as it stands in a flag file, defaults spelled out.
pub(super) fn definition(flag: &Flag) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("kind".into(), json!(kind(flag)));
    for (name, value) in [("description", &flag.description), ("owner", &flag.owner), ("expires", &flag.expires)] {
        if let Some(value) = value {
            object.insert(name.into(), json!(value));
        }
    }
    match &flag.kind {
        Kind::Migration { stage, percent } => {
            object.insert("stage".into(), json!(stage_name(*stage)));
            object.insert("percent".into(), percent_json(*percent));
        }
        Kind::Switch { on } => {
            object.insert("state".into(), json!(if *on { "on" } else { "off" }));
        }
        Kind::Split { variants } => {
            let weights = variants.iter().map(|(name, weight)| (name.to_string(), json!(weight))).collect();
            object.insert("variants".into(), Value::Object(weights));
        }
    }
    object.insert("sticky_by".into(), json!(sticky_by(&flag.sticky_by)));
    if flag.salt != flag.key.as_str() {
        object.insert("salt".into(), json!(flag.salt));
    }
    object.insert("rules".into(), flag.rules.iter().map(|rule| rule_json(flag, rule)).collect());
    object.insert("killed".into(), json!(flag.killed));
    object
}

/// Name of the flag's kind.
pub(super) fn kind(flag: &Flag) -> &'static str {
    match flag.kind {
        Kind::Migration { .. } => "migration",
        Kind::Switch { .. } => "switch",
        Kind::Split { .. } => "split",
    }
}

/// Name of a stage.
pub(super) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Legacy => "legacy",
        Stage::Shadow => "shadow",
        Stage::Canary => "canary",
        Stage::New => "new",
        Stage::Retired => "retired",
    }
}

/// Hundredths of a per cent as per cent: 1000 is `10`, 1025 is `10.25`.
pub(super) fn percent_json(hundredths: u16) -> Value {
    if hundredths.is_multiple_of(100) { json!(hundredths / 100) } else { json!(f64::from(hundredths) / 100.0) }
}

fn sticky_by(sticky: &StickyBy) -> String {
    match sticky {
        StickyBy::User => "user".into(),
        StickyBy::Claim(name) => format!("claim:{name}"),
        StickyBy::Header(name) => format!("header:{name}"),
        StickyBy::Cookie(name) => format!("cookie:{name}"),
        StickyBy::Ip => "ip".into(),
    }
}

fn rule_json(flag: &Flag, rule: &Rule) -> Value {
    let mut when = Map::new();
    for condition in &rule.when {
        let name = match &condition.attribute {
            Attribute::Claim(name) => format!("claim.{name}"),
            Attribute::Header(name) => format!("header.{name}"),
            Attribute::Cookie(name) => format!("cookie.{name}"),
        };
        when.insert(name, json!(condition.any_of));
    }
    json!({ "when": when, "serve": flag.variants().get(rule.serve) })
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
