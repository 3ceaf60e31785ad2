//! JSON objects in which every member name stands once, at any depth (RFC 7515 section 4, RFC 7519 section 4).
//!
//! Two parsers that disagree on which of two `sub` members counts are two different answers to "who is calling?"; of two
//! `percent` in one change of a flag, neither can be the one that was meant.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON object and nothing after it.
///
/// # Errors
/// Not JSON, not an object, or a member name stands twice; the text has line and column.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_slice(text)? {
        Strict(Value::Object(members)) => Ok(members),
        Strict(_) => Err(Error::custom("expected a JSON object")),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} stands twice")));
            }
            let Strict(value) = access.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_value() {
        let text = br#"{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":1.5,"f":"x\n","g":[1,[2]],"h":{"i":{}}}"#;
        let expected: Value = serde_json::from_slice(text).expect("JSON");
        assert_eq!(Value::Object(object(text).expect("an object")), expected);
    }

    #[test]
    fn a_member_name_stands_once_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":[{"a":1,"a":2}]}"#, r#"{"x":{"a":1,"a":2}}"#]
        {
            let error = object(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains(r#"member "a" stands twice"#), "{error}");
        }
        assert!(object(br#"{"a":{"b":1},"b":2}"#).is_ok());
    }

    #[test]
    fn refuses_what_is_not_exactly_one_object() {
        for text in ["", "[]", "\"x\"", "1", "null", "{} {}", "{}x", "{", "{\"a\":1e999}", "\u{feff}{}"] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
        assert!(object(format!("{{\"a\":{}", "[".repeat(4000)).as_bytes()).is_err(), "too deep");
    }
}
