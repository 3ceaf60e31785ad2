//! Flag files: a mapping of flag key to definition.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cursor::Cursor;
use super::formats::{ANY, DAY, SLUG};
use super::quote::{did_you_mean, listed, quoted};
use super::report::{Report, Spot};
use super::shape::{Field, Format, Section, Shape, default, list, optional, required, section};
use super::tree::{Node, Value, parse};
use super::validate::validate;
use crate::flags::{Attribute, Condition, Flag, Kind, Rule, Split, Stage, StickyBy, parse_percent};
use crate::types::{FlagKey, VariantName};

pub(super) static VARIANT: Format = Format {
    name: "a name of letters, digits, dashes and underscores",
    pattern: Some("^[A-Za-z0-9_-]{1,64}$"),
    check: variant,
};
static STICKY: Format = Format {
    name: "user, claim:NAME, header:NAME, cookie:NAME or ip",
    pattern: Some("^(user|ip|(claim|header|cookie):.+)$"),
    check: |text| text.parse::<StickyBy>().map(drop).map_err(|error| error.to_string()),
};
static ATTRIBUTE: Format = Format {
    name: "claim.NAME, header.NAME or cookie.NAME",
    pattern: Some("^(claim|header|cookie)\\..+$"),
    check: |text| text.parse::<Attribute>().map(drop).map_err(|error| error.to_string()),
};

/// A whole flag file.
pub(super) static FLAG_FILE: Shape = Shape::Table { keys: &SLUG, values: &FLAG, min: 0 };

static FLAG: Shape = Shape::Tagged { tag: "kind", doc: "One flag.", variants: KINDS };

const KINDS: &[(&str, &Section)] = &[("migration", &MIGRATION), ("switch", &SWITCH), ("split", &SPLIT)];

const KIND: Field = required(
    "kind",
    Shape::Choice { options: &["migration", "switch", "split"], later: &[] },
    "migration, switch or split",
);
const DESCRIPTION: Field = optional("description", Shape::Text(&ANY), "what it is for");
const OWNER: Field = optional("owner", Shape::Text(&ANY), "who answers for it");
const EXPIRES: Field =
    optional("expires", Shape::Text(&DAY), "day after which it should be gone: a warning then, never a change");
const STICKY_BY: Field = default("sticky_by", Shape::Text(&STICKY), "user", "whom a share sticks to");
const SALT: Field = optional(
    "salt",
    Shape::Text(&ANY),
    "prefix of the bucket's hash; the key unless set. Changing it deals everybody anew",
);
const RULES: Field = default("rules", list(&ONE_RULE, 0), "[]", "in order; the first that matches wins over any share");
const KILLED: Field =
    default("killed", Shape::Bool, "false", "everything to the first variant, whatever else the flag says");

static MIGRATION: Section = section(
    "An endpoint leaves the monolith; variants legacy and new.",
    &[
        KIND,
        DESCRIPTION,
        OWNER,
        EXPIRES,
        required(
            "stage",
            Shape::Choice { options: &["legacy", "canary", "new", "retired"], later: &["shadow"] },
            "how far it is: legacy, canary, new or retired",
        ),
        default("percent", Shape::Percent, "0", "share that gets new in stage canary; 0 to 100, two decimals"),
        STICKY_BY,
        SALT,
        RULES,
        KILLED,
    ],
);

static SWITCH: Section = section(
    "On or off; variants off and on.",
    &[
        KIND,
        DESCRIPTION,
        OWNER,
        EXPIRES,
        required("state", Shape::Choice { options: &["off", "on"], later: &[] }, "off or on"),
        RULES,
        KILLED,
    ],
);

static SPLIT: Section = section(
    "Several variants by weight.",
    &[
        KIND,
        DESCRIPTION,
        OWNER,
        EXPIRES,
        required(
            "variants",
            Shape::Table { keys: &VARIANT, values: &WEIGHT, min: 1 },
            "variant to weight; the weights need not sum to 100",
        ),
        STICKY_BY,
        SALT,
        RULES,
        KILLED,
    ],
);

static WEIGHT: Shape = Shape::Integer { min: 0, max: 1_000_000 };

static ONE_RULE: Shape = Shape::Section(&RULE);

static RULE: Section = section(
    "Serve a variant when every condition holds.",
    &[
        required(
            "when",
            Shape::Table { keys: &ATTRIBUTE, values: &VALUES, min: 1 },
            "attribute to value or list of values; all must hold",
        ),
        required("serve", Shape::Text(&VARIANT), "a variant of this flag"),
    ],
);

static VALUES: Shape = Shape::AnyOf(&[Shape::Scalar, list(&Shape::Scalar, 1)]);

/// Every key that the definition of a flag may have, whatever its kind.
#[must_use]
pub fn definition_keys() -> BTreeSet<&'static str> {
    KINDS.iter().flat_map(|(_, section)| section.fields).map(|field| field.key).collect()
}

fn variant(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if plain && (1..=64).contains(&text.len()) {
        return Ok(());
    }
    Err(format!("{} is not a variant's name; use 1 to 64 letters, digits, dashes and underscores", quoted(text)))
}

/// A flag and where its key stands.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) flag: Arc<Flag>,
    pub(super) place: Spot,
}

/// What is there and could not be read.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// Keys whose definitions have mistakes.
    pub(super) keys: BTreeSet<String>,
    /// A whole file, or the folder; it may hold any flag.
    pub(super) whole: bool,
}

impl Broken {
    /// Whether this flag may be one of them.
    pub(super) fn may_hold(&self, key: &str) -> bool {
        self.whole || self.keys.contains(key)
    }
}

/// Reads one flag file; an empty one holds no flags.
pub(super) fn read(file: &Arc<str>, text: &str, broken: &mut Broken, report: &mut Report) -> Vec<Found> {
    let tree = parse(text);
    broken.whole |= !tree.mistakes.is_empty();
    report.mistakes(file, tree.mistakes);
    let Some(root) = tree.root else { return Vec::new() };
    let root = Cursor::root(file, &root);
    if !matches!(root.node.value, Value::Mapping(_)) {
        broken.whole = true;
        validate(&root, &FLAG_FILE, report);
        return Vec::new();
    }
    let mut found = Vec::new();
    for (entry, definition) in root.entries() {
        let place = root.key_spot(entry);
        let before = report.error_count();
        if let Err(message) = (SLUG.check)(&entry.key) {
            report.error(&place, message);
        }
        validate(&definition, &FLAG, report);
        let flag = lower(&entry.key, &definition, file, report);
        match flag.filter(|_| report.error_count() == before) {
            Some(flag) => found.push(Found { flag: Arc::new(flag), place }),
            None => drop(broken.keys.insert(entry.key.clone())),
        }
    }
    found
}

fn lower(key: &str, definition: &Cursor<'_>, file: &Arc<str>, report: &mut Report) -> Option<Flag> {
    let text = |key| definition.text_of(key).map(str::to_owned);
    let mut flag = Flag {
        key: FlagKey::from(key),
        kind: lower_kind(definition, report)?,
        description: text("description"),
        owner: text("owner"),
        expires: text("expires"),
        sticky_by: definition.read_of("sticky_by", str::parse).unwrap_or(StickyBy::User),
        salt: text("salt").unwrap_or_else(|| key.to_owned()),
        rules: Vec::new(),
        killed: definition.bool_of("killed").unwrap_or(false),
        file: file.to_string(),
    };
    let variants = flag.variants().to_vec();
    flag.rules = definition.items_of("rules").iter().filter_map(|rule| lower_rule(rule, &variants, report)).collect();
    Some(flag)
}

fn lower_kind(definition: &Cursor<'_>, report: &mut Report) -> Option<Kind> {
    match definition.text_of("kind")? {
        "migration" => Some(Kind::Migration {
            stage: definition.read_of("stage", str::parse::<Stage>)?,
            percent: definition.read_of("percent", parse_percent).unwrap_or(0),
        }),
        "switch" => Some(Kind::Switch { on: definition.text_of("state")? == "on" }),
        "split" => {
            let table = definition.get("variants")?;
            let weights = table.entries().map(|(entry, weight)| {
                Some((VariantName::from(entry.key.as_str()), weight.text()?.parse::<u32>().ok()?))
            });
            let split = Split::new(weights.collect::<Option<Vec<_>>>()?);
            // What is empty or no table was reported by validation already.
            split
                .map_err(|error| {
                    if table.entries().next().is_some() {
                        report.error(&table.spot(), error.to_string())
                    }
                })
                .ok()
                .map(Kind::Split)
        }
        _ => None,
    }
}

fn lower_rule(rule: &Cursor<'_>, variants: &[VariantName], report: &mut Report) -> Option<Rule> {
    let serve = rule.get("serve")?;
    let name = serve.text()?;
    let known = || variants.iter().map(VariantName::as_str);
    let Some(index) = known().position(|variant| variant == name) else {
        let message = format!(
            "{} is no variant of this flag; it has {}{}",
            quoted(name),
            listed(known()),
            did_you_mean(name, known())
        );
        report.error(&serve.spot(), message);
        return None;
    };
    let when = rule.get("when")?;
    let conditions = when.entries().map(|(entry, value)| {
        Some(Condition { attribute: entry.key.parse().ok()?, any_of: values(&value.node.value) })
    });
    Some(Rule { when: conditions.collect::<Option<Vec<_>>>()?, serve: index })
}

/// One scalar or a list of them, as text.
fn values(value: &Value) -> Vec<String> {
    let text = |node: &Node| match &node.value {
        Value::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    };
    match value {
        Value::Scalar(scalar) => vec![scalar.text.clone()],
        Value::List(items) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}
