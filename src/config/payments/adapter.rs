//! `payments.providers[].adapter` and its credentials: what a provider speaks, and as whom.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::adapter_file::ADAPTER_FILE;
use super::{adapter_parts, secret};
use crate::clock::Timestamp;
use crate::config::cursor::Cursor;
use crate::config::formats::ANY;
use crate::config::lowering::Lowering;
use crate::config::quote::{did_you_mean, listed, quoted};
use crate::config::report::Spot;
use crate::config::shape::{Format, Shape};
use crate::config::sources::shown;
use crate::config::tree::{ScalarKind, Value, parse};
use crate::config::validate::validate;
use crate::payments::adapter::{
    Adapter, CANONICAL, Credential, Declared, Draft, Need, Place, Plan, Stamp, Step, built_in_plan, try_examples,
};

pub(super) static ADAPTER: Format = Format {
    name: "canonical, or a file such as providers/alpha.yaml",
    pattern: Some("^canonical$|\\.yaml$"),
    check: adapter,
};
static NAME: Format = Format { name: "a credential that the adapter lists", pattern: None, check: ANY.check };

pub(super) static CREDENTIALS: Shape = Shape::Table { keys: &NAME, values: &Shape::Section(&secret::SECRET), min: 0 };

fn adapter(text: &str) -> Result<(), String> {
    if built_in_plan(text).is_some() || text.ends_with(".yaml") {
        return Ok(());
    }
    let hint = did_you_mean(text, [CANONICAL]);
    Err(format!("{} is no adapter{hint}; write {CANONICAL}, or a file such as providers/alpha.yaml", quoted(text)))
}

/// Adapters read so far, by file: several providers may speak the same, and its mistakes are said once.
#[derive(Debug, Default)]
pub(super) struct Adapters(HashMap<PathBuf, Option<Arc<Plan>>>);

impl Adapters {
    /// The adapter that a provider names, with that provider's credentials.
    pub(super) fn lower(&mut self, provider: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<dyn Adapter>> {
        let name = provider.get("adapter")?;
        let text = name.text()?;
        let plan = match built_in_plan(text) {
            Some(plan) => Some(plan),
            None if text.ends_with(".yaml") => self.file(&name, lowering),
            None => None,
        };
        let mentioned = credentials(provider, plan.as_deref(), lowering);
        let adapter = Declared::new(plan?, mentioned?, stamp).ok()?;
        if let Err(problem) = adapter.check_credentials() {
            let place = provider.get("credentials").unwrap_or_else(|| provider.clone());
            lowering.report.error(&place.spot(), format!("requests can't be made with these: {problem}"));
            return None;
        }
        Some(Arc::new(adapter))
    }

    fn file(&mut self, name: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<Plan>> {
        let path = lowering.sources.resolve(name.text()?);
        if let Some(known) = self.0.get(&path) {
            return known.clone();
        }
        let plan = lowering.file(name).and_then(|file| {
            let shown: Arc<str> = shown(&path).into();
            lowering.report.begin(&shown);
            let text = file.text().map(str::to_owned);
            text.map_err(|mistake| lowering.report.mistakes(&shown, vec![mistake]))
                .ok()
                .and_then(|text| read(&shown, &path, &text, lowering))
        });
        self.0.insert(path, plan.clone());
        plan
    }
}

/// Reads an adapter's file, compiles it and tries its examples.
pub(super) fn read(shown: &Arc<str>, path: &Path, text: &str, lowering: &mut Lowering<'_>) -> Option<Arc<Plan>> {
    let tree = parse(text);
    let broken = !tree.mistakes.is_empty();
    lowering.report.mistakes(shown, tree.mistakes);
    let Some(root) = &tree.root else {
        if !broken {
            lowering
                .report
                .error(&Spot::file(shown), "the file is empty; it needs at least description and operations");
        }
        return None;
    };
    let root = Cursor::root(shown, root);
    let before = lowering.report.error_count();
    validate(&root, &ADAPTER_FILE, lowering.report);
    if broken {
        return None;
    }
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if lowering.report.error_count() > before {
        report_readable(&root, &name, lowering);
        return None;
    }
    let draft: Draft = match serde_json::from_value(json(&root)) {
        Ok(draft) => draft,
        Err(error) => {
            lowering.report.error(&root.spot(), format!("this is no adapter: {error}"));
            return None;
        }
    };
    match Plan::compile(&name, draft) {
        Ok(plan) => {
            let plan = Arc::new(plan);
            let tried = try_examples(&plan);
            for failure in &tried.failures {
                lowering.report.error(&spot(&root, &failure.place), &*failure.message);
            }
            for unreached in &tried.unreached {
                lowering.report.warning(&spot(&root, &unreached.place), &*unreached.message);
            }
            tried.failures.is_empty().then_some(plan)
        }
        Err(mistakes) => {
            for mistake in mistakes {
                lowering.report.error(&spot(&root, &mistake.place), mistake.message);
            }
            None
        }
    }
}

/// Says what is wrong in the sound parts of a file whose shape is not.
fn report_readable(root: &Cursor<'_>, name: &str, lowering: &mut Lowering<'_>) {
    let mistakes = adapter_parts::readable(json(root)).and_then(|draft| Plan::compile(name, draft).err());
    // An operation that is missing may be one that can't be read.
    let lacks_an_operation = |place: &Place| place.0.len() == 1 || place.0[0] == Step::Key("flow".to_owned());
    for mistake in mistakes.into_iter().flatten().filter(|mistake| !lacks_an_operation(&mistake.place)) {
        let spot = spot(root, &mistake.place);
        if !lowering.report.is_said(&spot) {
            lowering.report.error(&spot, mistake.message);
        }
    }
}

/// The secrets of a provider's entry; `None` after a mistake.
fn credentials(
    provider: &Cursor<'_>,
    plan: Option<&Plan>,
    lowering: &mut Lowering<'_>,
) -> Option<BTreeMap<String, Credential>> {
    let table = provider.get("credentials");
    let mut found = BTreeMap::new();
    let mut complete = true;
    for (entry, value) in table.iter().flat_map(|table| table.entries().collect::<Vec<_>>()) {
        if let Some(plan) = plan
            && !plan.credentials().contains_key(&entry.key)
        {
            let known = || plan.credentials().keys().map(String::as_str);
            let hint = did_you_mean(&entry.key, known());
            let mend = match (hint.is_empty(), plan.credentials().is_empty()) {
                (false, _) => hint,
                (true, true) => "; it has none: remove this".to_owned(),
                (true, false) => format!("; it has {}", listed(known())),
            };
            let place = provider.get("credentials").map_or_else(|| value.spot(), |table| table.key_spot(entry));
            lowering.report.error(&place, format!("the adapter has no credential {}{mend}", quoted(&entry.key)));
        }
        match secret::lower(&value, lowering) {
            Some(secret) => drop(found.insert(entry.key.clone(), Credential::new(&secret))),
            None => complete = false,
        }
    }
    let required = plan.into_iter().flat_map(Plan::credentials).filter(|(_, need)| **need == Need::Required);
    for (name, _) in required {
        if table.as_ref().is_none_or(|table| table.get(name).is_none()) {
            let message = format!(
                "the adapter needs the credential {name:?}; write `credentials: {{{name}: {{env: VARIABLE}}}}` \
                 or `{{file: secrets/FILE}}`"
            );
            lowering.report.error(&table.as_ref().unwrap_or(provider).spot(), message);
            complete = false;
        }
    }
    complete.then_some(found)
}

fn stamp() -> Stamp {
    let nonce = (0..4).map(|_| format!("{:08x}", fastrand::u32(..))).collect();
    Stamp { at: Timestamp::now(), nonce }
}

/// Goes down to a place as far as it leads: what is missing is said of what it is missing from.
fn spot(root: &Cursor<'_>, place: &Place) -> Spot {
    let mut at = root.clone();
    for step in &place.0 {
        let next = match step {
            Step::Key(key) => at.get(key),
            Step::Index(index) => at.items().nth(*index),
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at.spot()
}

/// The tree as JSON; scalars are what they are by YAML's core schema.
fn json(cursor: &Cursor<'_>) -> Json {
    match &cursor.node.value {
        Value::List(_) => cursor.items().map(|item| json(&item)).collect(),
        Value::Mapping(_) => {
            Json::Object(cursor.entries().map(|(entry, value)| (entry.key.clone(), json(&value))).collect())
        }
        Value::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => Json::Null,
            ScalarKind::Bool => Json::Bool(scalar.text == "true"),
            ScalarKind::Number => serde_json::from_str(&scalar.text).unwrap_or_else(|_| scalar.text.as_str().into()),
            ScalarKind::Text | ScalarKind::Any => scalar.text.as_str().into(),
        },
        Value::Broken => Json::Null,
    }
}

#[cfg(test)]
mod tests;
