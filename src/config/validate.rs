//! Compares a tree with its description and reports every difference at once.

use super::cursor::Cursor;
use super::quote::{did_you_mean, listed, quoted};
use super::report::Report;
use super::shape::{Format, Presence, Section, Shape};
use super::tree::{Scalar, ScalarKind, Value};
use crate::{flags, units};

/// Reports everything in which `cursor` differs from `shape`.
pub(super) fn validate(cursor: &Cursor<'_>, shape: &Shape, report: &mut Report) {
    match (&cursor.node.value, shape) {
        (Value::Broken, _) | (_, Shape::Any) => {}
        (_, Shape::AnyOf(shapes)) => {
            let fitting = shapes.iter().find(|shape| fits(&cursor.node.value, shape)).unwrap_or(&shapes[0]);
            validate(cursor, fitting, report);
        }
        (Value::List(items), Shape::List { of, min }) => {
            if items.len() < *min {
                report.error(&cursor.spot(), format!("\"[]\" is too short; write at least {min} {}", noun(of)));
            }
            cursor.items().for_each(|item| validate(&item, of, report));
        }
        (Value::Mapping(_), Shape::Section(section)) => validate_section(cursor, section, &[], report),
        (Value::Mapping(entries), Shape::Table { keys, values, min }) => {
            if entries.len() < *min {
                report.error(&cursor.spot(), format!("\"{{}}\" is too short; write at least {min} {}", noun(values)));
            }
            validate_table(cursor, keys, values, report);
        }
        (Value::Mapping(_), Shape::Tagged { tag, variants, .. }) => validate_tagged(cursor, tag, variants, report),
        // A section whose keys are all commented out reads as null.
        (Value::Scalar(scalar), Shape::Section(section)) if scalar.kind == ScalarKind::Null => {
            validate_section(cursor, section, &[], report);
        }
        (Value::Scalar(scalar), _) => {
            if let Err(message) = check_scalar(scalar, shape) {
                report.error(&cursor.spot(), message);
            }
        }
        (Value::List(_), _) => {
            report.error(&cursor.spot(), format!("\"[…]\" is a list; write {}", expected(shape)));
        }
        (Value::Mapping(_), _) => {
            report.error(&cursor.spot(), format!("\"{{…}}\" is a mapping; write {}", expected(shape)));
        }
    }
}

fn validate_section(cursor: &Cursor<'_>, section: &Section, others: &[&str], report: &mut Report) {
    for (entry, value) in cursor.entries() {
        let Some(field) = section.fields.iter().find(|field| field.key == entry.key) else {
            let spot = cursor.key_spot(entry);
            if others.contains(&entry.key.as_str()) {
                let message = format!("{} does not belong to this kind; remove it", quoted(&entry.key));
                report.error(&spot, message);
            } else {
                let hint = did_you_mean(&entry.key, section.keys());
                let hint = if hint.is_empty() { format!("; known here: {}", listed(section.keys())) } else { hint };
                report.error(&spot, format!("unknown key {}{hint}", quoted(&entry.key)));
            }
            continue;
        };
        validate(&value, &field.shape, report);
    }
    let missing = section.fields.iter().filter(|field| matches!(field.presence, Presence::Required));
    for field in missing.filter(|field| cursor.get(field.key).is_none()) {
        report.error(&cursor.spot(), format!("key {:?} is missing: {}", field.key, field.doc));
    }
    if !section.exactly_one.is_empty() {
        let present: Vec<_> = section.exactly_one.iter().filter(|key| cursor.get(key).is_some()).collect();
        if present.len() != 1 {
            let what = if present.is_empty() { "neither is there" } else { "both are there" };
            let keys = section.exactly_one.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>();
            report.error(&cursor.spot(), format!("write exactly one of {} ({what})", keys.join(" and ")));
        }
    }
}

fn validate_table(cursor: &Cursor<'_>, keys: &Format, values: &Shape, report: &mut Report) {
    for (entry, value) in cursor.entries() {
        if let Err(message) = (keys.check)(&entry.key) {
            report.error(&cursor.key_spot(entry), message);
        }
        validate(&value, values, report);
    }
}

fn validate_tagged(cursor: &Cursor<'_>, tag: &str, variants: &[(&str, &Section)], report: &mut Report) {
    let names = || variants.iter().map(|(name, _)| *name);
    let Some(value) = cursor.get(tag) else {
        let message = format!("key {tag:?} is missing: write one of {}", listed(names()));
        return report.error(&cursor.spot(), message);
    };
    let Some(chosen) = value.text() else {
        let message = format!("{tag:?} has no value; write one of {}", listed(names()));
        return report.error(&value.spot(), message);
    };
    let Some((_, section)) = variants.iter().find(|(name, _)| *name == chosen) else {
        return report.error(&value.spot(), one_of(chosen, names()));
    };
    let others: Vec<_> = variants.iter().flat_map(|(_, other)| other.fields.iter().map(|field| field.key)).collect();
    validate_section(cursor, section, &others, report);
}

/// Judges one scalar.
pub(super) fn check_scalar(scalar: &Scalar, shape: &Shape) -> Result<(), String> {
    let (text, kind) = (scalar.text.as_str(), scalar.kind);
    if kind == ScalarKind::Null {
        return Err(format!("{} is no value; write {}, or remove the key", quoted(text), expected(shape)));
    }
    match shape {
        Shape::Scalar | Shape::Any => Ok(()),
        Shape::Text(format) => {
            // What would be wrong in quotes too is said first.
            (format.check)(text)?;
            match kind {
                ScalarKind::Number | ScalarKind::Bool => {
                    let is = if kind == ScalarKind::Number { "a number" } else { "true or false" };
                    Err(format!("{} is {is} where text is meant; put it in quotes: \"{text}\"", quoted(text)))
                }
                ScalarKind::Null | ScalarKind::Text | ScalarKind::Any => Ok(()),
            }
        }
        Shape::Bool if matches!(text, "true" | "false") && kind != ScalarKind::Text => Ok(()),
        Shape::Bool => Err(format!("{} is neither true nor false; write one of them, without quotes", quoted(text))),
        Shape::Integer { .. } | Shape::Percent if kind == ScalarKind::Text => {
            Err(format!("{} is not a number; write {}", quoted(text), expected(shape)))
        }
        Shape::Integer { min, max } => check_integer(text, *min, *max),
        Shape::Percent => flags::parse_percent(text).map(drop).map_err(|error| error.to_string()),
        Shape::Duration { min, max } => {
            let value = units::parse_duration(text).map_err(|error| error.to_string())?;
            let (low, high) = (units::format_duration(*min), units::format_duration(*max));
            in_range(text, (*min..=*max).contains(&value), &low, &high)
        }
        Shape::Size { min, max } => {
            let value = units::parse_size(text).map_err(|error| error.to_string())?;
            in_range(text, (*min..=*max).contains(&value), &size(*min), &size(*max))
        }
        Shape::Choice { later, .. } if later.contains(&text) => {
            Err(format!("{} is not in this version; write {}", quoted(text), expected(shape)))
        }
        Shape::Choice { options, .. } if options.contains(&text) => Ok(()),
        Shape::Choice { options, .. } => Err(one_of(text, options.iter().copied())),
        Shape::AnyOf(shapes) => check_scalar(scalar, &shapes[0]),
        // Not repeated: it may be a secret that was meant to stand in a file.
        Shape::List { .. } | Shape::Section(_) | Shape::Table { .. } | Shape::Tagged { .. } => {
            Err(format!("\"…\" is a single value; write {}", expected(shape)))
        }
    }
}

fn check_integer(text: &str, min: u64, max: u64) -> Result<(), String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || (digits.len() > 1 && digits.starts_with('0'))
    {
        return Err(format!("{} is not a whole decimal number; write one from {min} to {max}", quoted(text)));
    }
    in_range(
        text,
        text.parse().is_ok_and(|value: u64| (min..=max).contains(&value)),
        &min.to_string(),
        &max.to_string(),
    )
}

fn in_range(text: &str, inside: bool, min: &str, max: &str) -> Result<(), String> {
    if inside { Ok(()) } else { Err(format!("{} is out of range; write a value from {min} to {max}", quoted(text))) }
}

fn one_of<'a>(text: &str, options: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = did_you_mean(text, options.clone());
    format!("{} is not one of {}{hint}", quoted(text), listed(options))
}

fn fits(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::List { .. } => matches!(value, Value::List(_)),
        Shape::Section(_) | Shape::Table { .. } | Shape::Tagged { .. } => matches!(value, Value::Mapping(_)),
        Shape::Any => true,
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| fits(value, shape)),
        _ => matches!(value, Value::Scalar(_)),
    }
}

/// What would stand well here, to end a sentence that begins with "write".
fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text(format) => format.name.to_owned(),
        Shape::Scalar | Shape::Any => "a value".to_owned(),
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Shape::Duration { .. } => "a duration such as 250ms, 2s or 5m".to_owned(),
        Shape::Size { .. } => "a size such as 64KiB or 10MiB".to_owned(),
        Shape::Percent => "a number from 0 to 100 with at most two decimals".to_owned(),
        Shape::Choice { options, .. } => format!("one of {}", listed(options.iter().copied())),
        Shape::List { of, .. } => format!("a list, each item {}", expected(of)),
        Shape::Section(section) => {
            format!("a mapping with the keys {}", listed(section.keys()))
        }
        Shape::Table { keys, values, .. } => format!("a mapping from {} to {}", keys.name, expected(values)),
        Shape::Tagged { tag, .. } => format!("a mapping with the key {tag}"),
        Shape::AnyOf(shapes) => shapes.iter().map(expected).collect::<Vec<_>>().join(" or "),
    }
}

fn noun(shape: &Shape) -> &'static str {
    match shape {
        Shape::Section(_) | Shape::Tagged { .. } => "entry",
        _ => "value",
    }
}

fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}
