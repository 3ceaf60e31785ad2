//! A JSON tree that keeps what `serde_json::Value` loses: the order and the repetition of keys, and
//! whether a number was written as an integer.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// An integer of at most 64 bits.
    Integer(i128),
    /// Any other number: with a fraction, an exponent, or too many digits.
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    /// Members in the order written, repeated ones included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole document.
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Whether `holds` is true of any string or key in the tree.
    pub(super) fn any_text(&self, holds: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Text(text) => holds(text),
            Self::Array(items) => items.iter().any(|item| item.any_text(holds)),
            Self::Object(members) => members.iter().any(|(key, value)| holds(key) || value.any_text(holds)),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Number(_) => false,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(Json::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut found = Vec::new();
        while let Some(member) = members.next_entry()? {
            found.push(member);
        }
        Ok(Json::Object(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_and_the_form_of_numbers_survive() {
        let tree = Json::parse(br#"{"a":1,"a":1.0,"b":[null,true,"x"],"c":-3,"d":1e2}"#).expect("JSON");
        let Json::Object(members) = tree else { panic!("an object") };
        assert_eq!(members[0], ("a".into(), Json::Integer(1)));
        assert_eq!(members[1], ("a".into(), Json::Number(1.0)));
        assert_eq!(members[2].1, Json::Array(vec![Json::Null, Json::Bool(true), Json::Text("x".into())]));
        assert_eq!(members[3].1, Json::Integer(-3));
        assert_eq!(members[4].1, Json::Number(100.0));
    }

    #[test]
    fn a_tower_of_brackets_is_an_error_not_a_stack_overflow() {
        assert!(Json::parse("[".repeat(60_000).as_bytes()).is_err());
    }
}
