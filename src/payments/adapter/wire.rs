//! How values stand on the wire: percent-encoding, forms, JSON. Nothing that is inserted can end the field it stands in.

use std::fmt::Write as _;

use minijinja::value::{Value, ValueKind};

use super::expression::Failed;
use super::filters;

/// Deepest tree that is written.
const MAX_DEPTH: usize = 16;

/// Encodes everything but letters, digits, `-`, `.`, `_` and `~` (RFC 3986, section 2.3).
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A value as part of a path.
///
/// # Errors
/// One that would lead elsewhere: empty, `.` or `..`.
pub(super) fn path_part(text: &str) -> Result<String, Failed> {
    if matches!(text, "" | "." | "..") {
        return Err(Failed("a value in the path is empty or made of dots, which would lead elsewhere".into()));
    }
    Ok(percent(text))
}

/// Fields of a query or a form.
pub(super) fn fields<'a>(fields: impl IntoIterator<Item = &'a (String, String)>) -> String {
    let encoded = fields.into_iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// Reads one `name=value`; `None` if it is not encoded as it must be.
pub(super) fn form_field(field: &str) -> Option<(String, String)> {
    let (name, value) = field.split_once('=')?;
    Some((decoded(name)?, decoded(value)?))
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

/// Writes a value as JSON.
///
/// # Errors
/// A fraction that may have lost digits, or a value that JSON has no form for.
pub(super) fn json(value: &Value, out: &mut String) -> Result<(), Failed> {
    json_at(value, out, 0)
}

fn json_at(value: &Value, out: &mut String, depth: usize) -> Result<(), Failed> {
    if depth > MAX_DEPTH {
        return Err(Failed(format!("the body is nested deeper than {MAX_DEPTH}")));
    }
    if let Some(digits) = filters::decimal(value) {
        out.push_str(digits);
        return Ok(());
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let number = filters::integer(value)
                .ok_or_else(|| Failed("a fraction can't be written exactly; use `| major(currency)`".into()))?;
            out.push_str(&number.to_string());
        }
        ValueKind::String => text(value.as_str().unwrap_or_default(), out),
        ValueKind::Seq => {
            out.push('[');
            for (index, item) in value.try_iter().map_err(|_| unwritable())?.enumerate() {
                separate(index, out);
                json_at(&item, out, depth + 1)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter().map_err(|_| unwritable())?.enumerate() {
                separate(index, out);
                text(key.as_str().ok_or_else(unwritable)?, out);
                out.push(':');
                json_at(&value.get_item(&key).map_err(|_| unwritable())?, out, depth + 1)?;
            }
            out.push('}');
        }
        _ => return Err(unwritable()),
    }
    Ok(())
}

/// Writes a text as JSON.
pub(super) fn text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Writes the comma before every item but the first.
pub(super) fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

fn unwritable() -> Failed {
    Failed("a value has no form in JSON".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inserted_stays_in_its_field() {
        assert_eq!(percent("a b/c?d=e&f#é%2F"), "a%20b%2Fc%3Fd%3De%26f%23%C3%A9%252F");
        assert_eq!(path_part("a/../b").map_err(|failed| failed.0), Ok("a%2F..%2Fb".into()));
        for text in ["", ".", ".."] {
            assert!(path_part(text).is_err(), "{text:?}");
        }
        let pair = ("m[a]".to_owned(), "1&amount=2\r\n".to_owned());
        assert_eq!(fields([&pair]), "m%5Ba%5D=1%26amount%3D2%0D%0A");
        assert_eq!(form_field(&fields([&pair])), Some(pair));
    }

    #[test]
    fn what_is_no_form_is_not_read_as_one() {
        for field in ["", "a", "a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert_eq!(form_field(field), None, "{field}");
        }
        assert_eq!(form_field("a=b+c%3D"), Some(("a".into(), "b c=".into())));
    }
}
