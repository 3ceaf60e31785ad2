//! Changes one flag in the text of a flag file and nothing else: comments, order and spelling stay.
//!
//! The result is not trusted: it is parsed again and compared with the original. Whether the new
//! definition is a *good* one is not decided here; the whole configuration is loaded with it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Mapping, MappingEntry, YamlFile, YamlNode};

use super::render;

/// Why a text can't be edited; the mend is to edit the file by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    /// Not a YAML mapping in a single document.
    #[error("the file can't be edited by a program: {0}; edit it by hand")]
    Unreadable(String),
    /// The flag is not there exactly once, written out as a mapping.
    #[error("the flag is not written out once as a mapping of its own; edit the file by hand")]
    NotWrittenOut,
    /// The edit touched something else; nothing is written then.
    #[error("changing {0} in place would change more than that; edit the file by hand")]
    Unintended(String),
}

/// The text with some keys of a flag's definition set, or removed where the new value is null.
pub(super) fn edit(text: &str, flag: &str, changes: &Map<String, Value>) -> Result<String, EditError> {
    let file = parse(text)?;
    let (_, definition) = find(&file, flag)?;
    put(&definition, changes)?;
    let edited = file.to_string();
    verify(text, &edited, flag, changes)?;
    Ok(edited)
}

fn put(mapping: &Mapping, changes: &Map<String, Value>) -> Result<(), EditError> {
    for (key, value) in changes {
        match (value, mapping.get(key.as_str())) {
            (Value::Null, None) => {}
            (Value::Null, Some(_)) => drop(mapping.remove(key.as_str())),
            // New weights for the variants that are there: what stands between them stays.
            (Value::Object(entries), Some(YamlNode::Mapping(present)))
                if keys(&present).iter().eq(entries.keys()) && !entries.values().any(Value::is_null) =>
            {
                put(&present, entries)?;
            }
            (value, present) => {
                let wanted = node(value)?;
                // Written alike already: its spelling and comments stay.
                if !present.is_some_and(|present| same(&present, &wanted)) {
                    mapping.set(key.as_str(), &wanted);
                }
            }
        }
    }
    Ok(())
}

/// The text has this flag at its top level.
pub(super) fn holds(text: &str, flag: &str) -> bool {
    // Parsing is the slow part; most files don't even mention the flag.
    text.contains(flag) && parse(text).is_ok_and(|file| find(&file, flag).is_ok())
}

fn parse(text: &str) -> Result<YamlFile, EditError> {
    let file = YamlFile::from_str(text).map_err(|error| EditError::Unreadable(error.to_string()))?;
    match file.documents().count() {
        1 => Ok(file),
        documents => Err(EditError::Unreadable(format!("it has {documents} documents"))),
    }
}

fn top(file: &YamlFile) -> Result<Mapping, EditError> {
    let mapping = file.document().and_then(|document| document.as_mapping());
    mapping.ok_or_else(|| EditError::Unreadable("it is not a mapping".into()))
}

fn find(file: &YamlFile, flag: &str) -> Result<(MappingEntry, Mapping), EditError> {
    let top = top(file)?;
    let mut entries = top.find_all_entries_by_key(flag);
    let (Some(entry), None) = (entries.next(), entries.next()) else { return Err(EditError::NotWrittenOut) };
    match entry.value_node() {
        Some(YamlNode::Mapping(definition)) => Ok((entry, definition)),
        _ => Err(EditError::NotWrittenOut),
    }
}

fn node(value: &Value) -> Result<YamlNode, EditError> {
    let text = format!("value: {}", render::flow(value));
    let file = parse(&text)?;
    top(&file)?.get("value").ok_or_else(|| EditError::Unreadable("a value can't be written".into()))
}

/// Compares the edited text with the original: the flag has what was wanted, everything around it is as it was.
fn verify(before: &str, after: &str, flag: &str, changes: &Map<String, Value>) -> Result<(), EditError> {
    let unintended = || EditError::Unintended(changes.keys().cloned().collect::<Vec<_>>().join(", "));
    let (old_file, new_file) = (parse(before)?, parse(after).map_err(|_| unintended())?);
    let (old_entry, old) = find(&old_file, flag)?;
    let (_, new) = find(&new_file, flag).map_err(|_| unintended())?;

    let kept = range_of(&old_entry).ok_or_else(unintended)?;
    let (head, tail) = (&before[..kept.start], before[kept.end..].trim_start());
    let around = after.len() >= head.len() + tail.len() && after.starts_with(head) && after.ends_with(tail);
    let others = keys(&top(&old_file)?) == keys(&top(&new_file)?);

    let all: BTreeSet<String> = keys(&old).into_iter().chain(keys(&new)).chain(changes.keys().cloned()).collect();
    let as_wanted = all.iter().all(|key| match (changes.get(key), old.get(key.as_str()), new.get(key.as_str())) {
        (Some(Value::Null), _, now) => now.is_none(),
        (Some(wanted), _, Some(now)) => node(wanted).is_ok_and(|wanted| same(&now, &wanted)),
        (None, Some(then), Some(now)) => same(&now, &then),
        _ => false,
    });
    let comments = remaining_comments(&old_file, &old, changes);
    let mut found = new_file.comments().map(|comment| comment.text().to_owned());
    let comments_stay = comments.iter().all(|wanted| found.any(|comment| comment == *wanted));
    if around && others && as_wanted && comments_stay { Ok(()) } else { Err(unintended()) }
}

/// Equal in value and in order: the order of a split's variants means something, and `yaml_eq` ignores it.
fn same(one: &YamlNode, other: &YamlNode) -> bool {
    match (one, other) {
        (YamlNode::Mapping(one), YamlNode::Mapping(other)) => {
            keys(one) == keys(other) && one.values().zip(other.values()).all(|(one, other)| same(&one, &other))
        }
        (YamlNode::Sequence(one), YamlNode::Sequence(other)) => {
            one.len() == other.len() && one.values().zip(other.values()).all(|(one, other)| same(&one, &other))
        }
        _ => one.yaml_eq(other),
    }
}

fn keys(mapping: &Mapping) -> Vec<String> {
    let text = |key: YamlNode| key.as_scalar().map_or_else(|| key.to_string(), |scalar| scalar.as_string());
    mapping.keys().map(text).collect()
}

fn range_of(entry: &MappingEntry) -> Option<Range<usize>> {
    let (key, value) = (entry.key_node()?.byte_range(), entry.value_node()?.byte_range());
    Some(usize::try_from(key.start).ok()?..usize::try_from(value.end).ok()?)
}

/// Comments that must survive: all but those inside a value that is replaced, or on the line of a removed key.
fn remaining_comments(file: &YamlFile, definition: &Mapping, changes: &Map<String, Value>) -> Vec<String> {
    let touched: Vec<(Range<usize>, bool)> = definition
        .entries()
        .filter_map(|entry| {
            let change = changes.get(&entry.key_node()?.as_scalar()?.as_string())?;
            Some((range_of(&entry)?, change.is_null()))
        })
        .collect();
    let text = file.to_string();
    let goes = |at: usize| {
        touched.iter().any(|(range, removed)| {
            let end =
                if *removed { text[range.end..].find('\n').map_or(text.len(), |n| range.end + n) } else { range.end };
            (range.start..end).contains(&at)
        })
    };
    let comments = file.comments().filter(|comment| !goes(usize::from(comment.text_range().start())));
    comments.map(|comment| comment.text().to_owned()).collect()
}

#[cfg(test)]
mod tests;
