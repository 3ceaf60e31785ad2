//! A place in a tree that knows its path: what validation walks and lowering reads from.
//!
//! The typed readers answer `None` where validation has already said what is wrong, so lowering goes
//! on and finds the mistakes that only the whole file shows.

use std::sync::Arc;
use std::time::Duration;

use super::report::Spot;
use super::tree::{Entry, Node, Scalar, ScalarKind, Value};
use crate::units;

/// A node, its path and its file.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) node: &'a Node,
    pub(super) path: String,
}

impl<'a> Cursor<'a> {
    /// The root of a document.
    pub(super) fn root(file: &'a Arc<str>, node: &'a Node) -> Self {
        Self { file, node, path: String::new() }
    }

    /// Where the value stands.
    pub(super) fn spot(&self) -> Spot {
        Spot { file: Arc::clone(self.file), at: self.node.at, path: self.path.clone() }
    }

    /// Where a key of this mapping stands.
    pub(super) fn key_spot(&self, entry: &Entry) -> Spot {
        Spot { file: Arc::clone(self.file), at: entry.at, path: self.path_of(&entry.key) }
    }

    /// The value of a key, unless it is absent.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let entry = self.mapping().iter().find(|entry| entry.key == key)?;
        Some(self.below(entry))
    }

    /// Keys and values of a mapping, in the order written; empty for anything else.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a Entry, Self)> + '_ {
        self.mapping().iter().map(|entry| (entry, self.below(entry)))
    }

    /// Nothing is in the list or the mapping here.
    pub(super) fn is_empty(&self) -> bool {
        match &self.node.value {
            Value::List(items) => items.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
            Value::Scalar(_) | Value::Broken => false,
        }
    }

    /// Items of a list; empty for anything else.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + '_ {
        let items: &'a [Node] = match &self.node.value {
            Value::List(items) => items,
            _ => &[],
        };
        let place = |(index, node)| Self { file: self.file, node, path: format!("{}[{index}]", self.path) };
        items.iter().enumerate().map(place)
    }

    /// Items of a list below a key; none if it is absent.
    pub(super) fn items_of(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|list| list.items().collect()).unwrap_or_default()
    }

    /// The scalar here.
    pub(super) fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => Some(scalar),
            _ => None,
        }
    }

    /// The scalar's text, whatever its kind.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    /// The text of a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(|value| value.text())
    }

    /// The texts of a list below a key.
    pub(super) fn texts_of(&self, key: &str) -> Vec<String> {
        self.items_of(key).iter().filter_map(|item| item.text().map(str::to_owned)).collect()
    }

    /// A key read by `read`, as validation reads it.
    pub(super) fn read_of<T, E>(&self, key: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.text_of(key).and_then(|text| read(text).ok())
    }

    /// A duration.
    pub(super) fn duration_of(&self, key: &str) -> Option<Duration> {
        self.read_of(key, units::parse_duration)
    }

    /// A size in bytes.
    pub(super) fn size_of(&self, key: &str) -> Option<u64> {
        self.read_of(key, units::parse_size)
    }

    /// A whole number.
    pub(super) fn integer_of<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.read_of(key, str::parse)
    }

    /// A truth value.
    pub(super) fn bool_of(&self, key: &str) -> Option<bool> {
        self.text_of(key).map(|text| text == "true")
    }

    fn mapping(&self) -> &'a [Entry] {
        match &self.node.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    fn below(&self, entry: &'a Entry) -> Self {
        Self { file: self.file, node: &entry.value, path: self.path_of(&entry.key) }
    }

    fn path_of(&self, key: &str) -> String {
        const LONGEST: usize = 64;
        let key = match key.char_indices().nth(LONGEST) {
            Some((end, _)) => &key[..end],
            None => key,
        };
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        match (self.path.is_empty(), plain) {
            (_, false) => format!("{}[{key:?}]", self.path),
            (true, true) => key.to_owned(),
            (false, true) => format!("{}.{key}", self.path),
        }
    }
}
