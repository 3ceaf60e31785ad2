//! What a webhook's body names: the event and the payment. Read only after its signature was checked.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use crate::payments::idempotency::Digest;
use crate::types::ProviderName;

/// Longest text that is looked for: no provider's name for a payment is longer.
const LONGEST: usize = 255;

/// A place in a JSON document (RFC 6901), such as `/data/object/id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Box<str>);

/// Why a text is no pointer into a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It begins with something else than a slash.
    #[error("{0:?} does not begin with a slash; write a JSON pointer such as \"/data/object/id\"")]
    Start(String),
    /// A tilde that stands for nothing.
    #[error("{0:?} has a \"~\" that is neither \"~0\" (a tilde) nor \"~1\" (a slash)")]
    Tilde(String),
}

impl Pointer {
    /// Reads a pointer; the whole document is none.
    ///
    /// # Errors
    /// [`PointerError`] says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if !text.starts_with('/') {
            return Err(PointerError::Start(text.into()));
        }
        if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
            return Err(PointerError::Tilde(text.into()));
        }
        Ok(Self(text.into()))
    }

    /// The text that stands there; numbers count as they are written.
    pub(super) fn text(&self, document: &Value) -> Option<String> {
        match document.pointer(&self.0)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn str<'a>(&self, document: &'a Value) -> Option<&'a str> {
        document.pointer(&self.0)?.as_str()
    }
}

/// The body as JSON; `None` if it is none. Form-encoded and other bodies name nothing.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// The texts at these places that could name a payment.
pub(super) fn texts<'a>(document: Option<&'a Value>, places: &[Pointer]) -> Vec<&'a str> {
    let Some(document) = document else { return Vec::new() };
    let plausible = |text: &&str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    places.iter().filter_map(|place| place.str(document)).filter(plausible).collect()
}

/// What tells this event from every other: the event's own name if it has one, else its whole body.
pub(super) fn digest(
    provider: &ProviderName,
    document: Option<&Value>,
    event_id: Option<&Pointer>,
    body: &[u8],
) -> Digest {
    let name = event_id.zip(document).and_then(|(place, document)| place.text(document));
    let (label, content) = match &name {
        Some(name) => ("event", name.as_bytes()),
        None => ("body", body),
    };
    let mut context = Context::new(&SHA256);
    // Each part with its length, so that no two look alike.
    for part in [label.as_bytes(), provider.as_str().as_bytes(), content] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).expect(text)
    }

    #[test]
    fn pointers_lead_to_texts_and_the_mend_is_said() {
        let document = json!({"data": {"a/b": [{"id": "x"}], "n": 7, "long": "x".repeat(256), "odd": "a b"}});
        let places = ["/data/n", "/data/a~1b/0/id", "/none", "/data/long", "/data/odd", "/data"].map(pointer);
        assert_eq!(texts(Some(&document), &places), ["x"]);
        assert_eq!(pointer("/data/n").text(&document).as_deref(), Some("7"));
        for (text, part) in [("data/id", "begin with a slash"), ("", "begin with a slash"), ("/a~2", "neither")] {
            assert!(Pointer::parse(text).expect_err(text).to_string().contains(part), "{text}");
        }
    }

    #[test]
    fn an_event_is_known_by_its_name_or_else_by_its_bytes() {
        let (alpha, beta) = (ProviderName::from("alpha"), ProviderName::from("beta"));
        let id = pointer("/id");
        let of = |provider, body: &str| digest(provider, read(body.as_bytes()).as_ref(), Some(&id), body.as_bytes());
        assert_eq!(of(&alpha, r#"{"id":"e1"}"#), of(&alpha, r#"{"id":"e1","again":true}"#));
        assert_ne!(of(&alpha, r#"{"id":"e1"}"#), of(&beta, r#"{"id":"e1"}"#));
        assert_ne!(of(&alpha, r#"{"id":"e1"}"#), of(&alpha, r#"{"id":"e2"}"#));
        assert_ne!(of(&alpha, "{}"), of(&alpha, "{ }"), "without a name the bytes count");
        assert_eq!(of(&alpha, "a=b"), of(&alpha, "a=b"));
        // A body that spells out an event's name is still another one.
        assert_ne!(of(&alpha, "e1"), of(&alpha, r#"{"id":"e1"}"#));
    }
}
