//! The words in which sections are described: one table of fields is read by the validator, printed
//! as JSON Schema, and is the reference of every key.

use std::time::Duration;

/// What a value must look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Text of a certain form.
    Text(&'static Format),
    /// Any scalar, taken as the text that stands there.
    Scalar,
    /// Anything at all.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// `250ms`, `2s`, `5m`.
    Duration { min: Duration, max: Duration },
    /// `64KiB`, `10MiB`.
    Size { min: u64, max: u64 },
    /// 0–100 with at most two decimals.
    Percent,
    /// One of some words; `later` names words of the design whose feature does not exist yet.
    Choice { options: &'static [&'static str], later: &'static [&'static str] },
    /// A list, all of one shape.
    List { of: &'static Shape, min: usize },
    /// A mapping with known keys.
    Section(&'static Section),
    /// A mapping whose keys the user chooses.
    Table { keys: &'static Format, values: &'static Shape, min: usize },
    /// A mapping whose known keys depend on the value of one of them.
    Tagged { tag: &'static str, doc: &'static str, variants: &'static [(&'static str, &'static Section)] },
    /// One of several shapes that differ in outline (scalar, list, mapping).
    AnyOf(&'static [Shape]),
}

/// A mapping with known keys.
#[derive(Debug)]
pub(super) struct Section {
    /// One sentence for the schema.
    pub(super) doc: &'static str,
    pub(super) fields: &'static [Field],
    /// Exactly one of these keys must stand there; empty: no such rule.
    pub(super) exactly_one: &'static [&'static str],
}

impl Section {
    /// Its keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.fields.iter().map(|field| field.key)
    }
}

/// A key.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) presence: Presence,
    /// One sentence: meaning, unit, range.
    pub(super) doc: &'static str,
}

/// Whether a key must stand there.
#[derive(Debug)]
pub(super) enum Presence {
    Required,
    /// Absent means that the feature is off or that something else decides; the doc says which.
    Optional,
    /// Absent means this value (as it would be written).
    Default(&'static str),
}

/// The form of a text.
#[derive(Debug)]
pub(super) struct Format {
    /// What it is, for the schema.
    pub(super) name: &'static str,
    /// Regular expression for editors, where one says enough.
    pub(super) pattern: Option<&'static str>,
    /// The judge; its message says what is wrong and the mend.
    pub(super) check: fn(&str) -> Result<(), String>,
}

pub(super) const fn required(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, presence: Presence::Required, doc }
}

pub(super) const fn optional(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, presence: Presence::Optional, doc }
}

pub(super) const fn default(key: &'static str, shape: Shape, value: &'static str, doc: &'static str) -> Field {
    Field { key, shape, presence: Presence::Default(value), doc }
}

pub(super) const fn section(doc: &'static str, fields: &'static [Field]) -> Section {
    Section { doc, fields, exactly_one: &[] }
}

pub(super) const fn choice(options: &'static [&'static str]) -> Shape {
    Shape::Choice { options, later: &[] }
}

pub(super) const fn list(of: &'static Shape, min: usize) -> Shape {
    Shape::List { of, min }
}

/// A timeout: from 1 ms to a day; 0 would mean that nothing ever succeeds.
pub(super) const TIMEOUT: Shape = Shape::Duration { min: Duration::from_millis(1), max: DAY };

pub(super) const DAY: Duration = Duration::from_secs(86_400);
