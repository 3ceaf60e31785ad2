//! `NAME=VALUE` and `NAME:VALUE` on the command line.

use std::str::FromStr;

use serde_json::Value;

/// A name and a value: JSON if it reads as JSON, else the text as it stands.
///
/// So `percent=25` is a number, `stage=canary` and `expires=2027-03-31` are text, `owner=null` removes, and
/// `owner='"25"'` is the text 25. As in flag files, `on` and `off` are words, not booleans.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE, e.g. percent=25")?;
        if name.is_empty() {
            return Err("there is no name before the equals sign; write it as NAME=VALUE".into());
        }
        let value = match serde_json::from_str(value) {
            Ok(value) => value,
            // Half a list is a slip of the keyboard, not a text that somebody means.
            Err(error) if value.starts_with(['[', '{', '"']) => return Err(format!("the value is not JSON: {error}")),
            Err(_) => Value::String(value.to_owned()),
        };
        Ok(Self { name: name.to_owned(), value })
    }
}

/// A header field of a request that is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderField {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for HeaderField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("write it as NAME:VALUE, e.g. x-app:ios")?;
        let name = http::HeaderName::from_str(name.trim()).map_err(|_| format!("{name:?} is not a header name"))?;
        let value = value.trim();
        http::HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is not acceptable in a header"))?;
        Ok(Self { name: name.as_str().to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_json_or_else_text() {
        for (text, expected) in [
            ("percent=25", json!(25)),
            ("percent=12.5", json!(12.5)),
            ("killed=true", json!(true)),
            ("owner=null", Value::Null),
            ("stage=canary", json!("canary")),
            ("state=off", json!("off")),
            ("expires=2027-03-31", json!("2027-03-31")),
            ("description=a=b", json!("a=b")),
            ("description=", json!("")),
            ("owner=\"25\"", json!("25")),
            ("rules=[{\"serve\":\"new\"}]", json!([{"serve": "new"}])),
        ] {
            assert_eq!(text.parse::<Assignment>().map(|read| read.value), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        for text in ["percent", "=25", "rules=[{", "owner=\"half"] {
            assert!(text.parse::<Assignment>().is_err(), "{text}");
        }
    }

    #[test]
    fn header_fields_are_checked_and_lower_case() {
        let field: HeaderField = "X-App: ios:2".parse().expect("a field");
        assert_eq!((field.name.as_str(), field.value.as_str()), ("x-app", "ios:2"));
        for text in ["x-app", ":ios", "x app:ios", "x-app:a\nb"] {
            assert!(text.parse::<HeaderField>().is_err(), "{text:?}");
        }
    }
}
