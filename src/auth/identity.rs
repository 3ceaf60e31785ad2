//! A verified caller, and how claims become header values for backends.
//!
//! Values, not types, travel in headers: text, numbers and booleans as they are, a list of them joined by `,`, anything
//! else as compact JSON, `null` not at all. Everything outside printable ASCII is percent-encoded as UTF-8, and so are
//! `%` itself, spaces at either end, and a `,` inside a list's element. So no claim can break out of its header, and no
//! element of a list looks like two (`["a,b"]` is not `["a","b"]`; a text `a,b` is, as a person would write a list).

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// A verified caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The token's `sub`.
    pub subject: Arc<str>,
    /// Which issuer vouches for it.
    pub issuer: Arc<str>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// Ready-made identity headers for backends: name (lower case) and value.
    pub headers: Vec<(Arc<str>, String)>,
    /// When the token ends (`exp`).
    pub expires: Timestamp,
}

/// Makes the identity headers of a caller; a claim is found by its exact name, dots included.
pub(super) fn headers(claims: &Map<String, Value>, mapping: &[(String, Arc<str>)]) -> Vec<(Arc<str>, String)> {
    mapping.iter().filter_map(|(claim, name)| Some((Arc::clone(name), header_value(claims.get(claim)?)?))).collect()
}

fn header_value(claim: &Value) -> Option<String> {
    let mut out = String::new();
    match claim {
        Value::Null => return None,
        Value::Array(items) if items.iter().all(is_scalar) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                encode(&scalar_text(item), Some(','), &mut out);
            }
        }
        Value::Array(_) | Value::Object(_) => encode(&claim.to_string(), None, &mut out),
        scalar => encode(&scalar_text(scalar), None, &mut out),
    }
    Some(out)
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_) | Value::Null)
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn encode(text: &str, separator: Option<char>, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        let plain = match byte {
            // HTTP drops white space around a value; "admin " must not turn into "admin".
            b' ' => index != 0 && index != last,
            b'%' => false,
            0x21..=0x7e => separator != Some(char::from(byte)),
            _ => false,
        };
        if plain {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(claim: &Value, expected: Option<&str>) {
        assert_eq!(header_value(claim).as_deref(), expected, "{claim}");
    }

    #[test]
    fn values_travel_as_people_expect() {
        check(&json!("alice"), Some("alice"));
        check(&json!("auth0|5f7c8ec7"), Some("auth0|5f7c8ec7"));
        check(&json!("Alice B, Example"), Some("Alice B, Example"));
        check(&json!(42), Some("42"));
        check(&json!(true), Some("true"));
        check(&json!(["admin", "staff", 7]), Some("admin,staff,7"));
        check(&json!([]), Some(""));
        check(&json!({"a": [1, "x"]}), Some(r#"{"a":[1,"x"]}"#));
        check(&json!([["a"], "b"]), Some(r#"[["a"],"b"]"#));
        check(&Value::Null, None);
    }

    #[test]
    fn nothing_breaks_out_of_its_header_or_passes_for_another() {
        check(&json!("a\r\nx-user-role: admin"), Some("a%0D%0Ax-user-role: admin"));
        check(&json!("a\0\u{7f}"), Some("a%00%7F"));
        check(&json!("José"), Some("Jos%C3%A9"));
        check(&json!("Jos%C3%A9"), Some("Jos%25C3%25A9"));
        check(&json!("admin "), Some("admin%20"));
        check(&json!(" admin"), Some("%20admin"));
        check(&json!(" "), Some("%20"));
        check(&json!(["user,admin"]), Some("user%2Cadmin"));
    }

    #[test]
    fn a_claim_is_found_by_its_exact_name() {
        let claims =
            json!({"https://shop.example/role": "staff", "realm": {"role": "x"}, "sub": "alice", "none": null});
        let mapping: Vec<(String, Arc<str>)> = [
            ("sub", "x-user-id"),
            ("https://shop.example/role", "x-role"),
            ("realm.role", "x-realm"),
            ("none", "x-none"),
        ]
        .map(|(claim, name)| (claim.to_owned(), name.into()))
        .into();
        let made = headers(claims.as_object().expect("an object"), &mapping);
        let made: Vec<_> = made.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        assert_eq!(made, [("x-user-id", "alice"), ("x-role", "staff")]);
    }

    fn decode(value: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = value.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let digits = [rest.next().expect("two digits"), rest.next().expect("two digits")];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    }

    mod property {
        use proptest::prelude::*;

        use super::*;
        use crate::types::property::config;

        proptest! {
            #![proptest_config(config(300))]

            #[test]
            fn every_text_survives_its_header(text in any::<String>()) {
                let value = header_value(&json!(text)).expect("a value");
                prop_assert!(http::HeaderValue::from_str(&value).is_ok() && value.trim() == value);
                prop_assert_eq!(decode(&value), text);
            }

            #[test]
            fn every_list_survives_its_header(items in proptest::collection::vec("[ ,%a\u{e9}\r]{1,4}", 1..4)) {
                let value = header_value(&json!(items)).expect("a value");
                let back: Vec<_> = value.split(',').map(decode).collect();
                prop_assert_eq!(back, items);
            }
        }
    }
}
