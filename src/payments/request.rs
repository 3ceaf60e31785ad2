//! What a client may ask for: one body, parsed strictly, or one clear refusal.
//!
//! A card number anywhere in a body is refused before anything else is looked at. No message repeats
//! a value of the body; a name of an unknown field is repeated, because it was scanned as well.

use super::card_numbers;
use super::json::Json;
use super::money::{Currency, MAX_AMOUNT, Money};

/// Largest body of a request, in bytes.
pub const MAX_BODY: usize = 64 << 10;
const CHARGE: &[&str] = &["order_id", "amount", "currency", "method", "token", "capture", "metadata"];
const CONFIRM: &[&str] = &["token"];
const CANCEL: &[&str] = &[];
const REFUND: &[&str] = &["amount"];
const MAX_METADATA: usize = 20;

/// A charge that a client asked for, valid.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ChargeRequest {
    /// The client's own name for the order: 1–64 visible ASCII characters.
    pub order_id: String,
    /// How much.
    pub money: Money,
    /// Payment method: 1–32 characters of `[a-z0-9_-]`.
    pub method: String,
    /// Stands for the customer's means of payment: 1–512 visible ASCII characters. Never stored or logged.
    pub token: String,
    /// Whether it is to be captured at once, or confirmed later.
    pub capture: bool,
    /// The client's own notes, sorted by key. Never stored or logged.
    pub metadata: Vec<(String, String)>,
}

impl std::fmt::Debug for ChargeRequest {
    /// Leaves out what may not be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChargeRequest")
            .field("order_id", &self.order_id)
            .field("money", &self.money)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// A number that passes the Luhn check.
    #[error("the body contains a card number; send a token in its place, card numbers are not accepted")]
    CardNumber,
    /// Not JSON.
    #[error("the body is not JSON (line {line}, column {column}); send {}", object(.known))]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The fields that it may have.
        known: &'static [&'static str],
    },
    /// JSON, but no object.
    #[error("the body is {is}; send {}", object(.known))]
    NotAnObject {
        /// What it is.
        is: &'static str,
        /// The fields that it may have.
        known: &'static [&'static str],
    },
    /// A field that is not known.
    #[error("{field}: there is no such field; send {}", object(.known))]
    UnknownField {
        /// Which.
        field: String,
        /// Those that there are.
        known: &'static [&'static str],
    },
    /// A field that stands there more than once.
    #[error("{0}: stands in the body more than once; send it once")]
    Repeated(String),
    /// A field that is needed.
    #[error("{0}: is missing")]
    Missing(&'static str),
    /// A field with a value that it can't have.
    #[error("{field}: {must}")]
    Invalid {
        /// Which.
        field: String,
        /// What it must be.
        must: String,
    },
}

fn object(known: &[&str]) -> String {
    if known.is_empty() { "an empty object: {}".into() } else { format!("an object with {}", known.join(", ")) }
}

/// Reads the body of a charge.
///
/// # Errors
/// [`RequestError`] names the field and what it must be.
pub(super) fn parse_charge(body: &[u8]) -> Result<ChargeRequest, RequestError> {
    let mut fields = Fields::read(body, CHARGE)?;
    Ok(ChargeRequest {
        order_id: text(fields.take("order_id")?, "order_id", 64)?,
        money: Money { amount: amount(fields.take("amount")?)?, currency: currency(fields.take("currency")?)? },
        method: method(fields.take("method")?)?,
        token: text(fields.take("token")?, "token", 512)?,
        capture: match fields.optional("capture") {
            None => true,
            Some(Json::Bool(capture)) => capture,
            Some(other) => return Err(invalid("capture", format!("must be true or false, not {}", other.kind()))),
        },
        metadata: fields.optional("metadata").map_or(Ok(Vec::new()), metadata)?,
    })
}

/// Reads the body of a confirmation: what the customer's device brought, if it brought anything.
///
/// # Errors
/// [`RequestError`] names the field and what it must be.
pub(super) fn parse_confirm(body: &[u8]) -> Result<Option<String>, RequestError> {
    let mut fields = Fields::read_or_empty(body, CONFIRM)?;
    fields.optional("token").map(|token| text(token, "token", 512)).transpose()
}

/// Reads the body of a cancellation, which says nothing.
///
/// # Errors
/// [`RequestError`]: it says something.
pub(super) fn parse_cancel(body: &[u8]) -> Result<(), RequestError> {
    Fields::read_or_empty(body, CANCEL).map(drop)
}

/// Reads the body of a refund: how much in minor units, or all that is left.
///
/// # Errors
/// [`RequestError`] names the field and what it must be.
pub(super) fn parse_refund(body: &[u8]) -> Result<Option<u64>, RequestError> {
    let mut fields = Fields::read_or_empty(body, REFUND)?;
    fields.optional("amount").map(amount).transpose()
}

struct Fields(Vec<(String, Json)>);

impl Fields {
    /// What needs no field may be asked for without a body.
    fn read_or_empty(body: &[u8], known: &'static [&'static str]) -> Result<Self, RequestError> {
        if body.trim_ascii().is_empty() { Ok(Self(Vec::new())) } else { Self::read(body, known) }
    }

    fn read(body: &[u8], known: &'static [&'static str]) -> Result<Self, RequestError> {
        if card_numbers::contains(&String::from_utf8_lossy(body)) {
            return Err(RequestError::CardNumber);
        }
        let tree = Json::parse(body).map_err(|error| RequestError::NotJson {
            line: error.line(),
            column: error.column(),
            known,
        })?;
        // Escapes such as `\\u0034` hide digits from the scan of the raw text.
        if tree.any_text(&card_numbers::contains) {
            return Err(RequestError::CardNumber);
        }
        let Json::Object(members) = tree else { return Err(RequestError::NotAnObject { is: tree.kind(), known }) };
        for (index, (name, _)) in members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(RequestError::UnknownField { field: shown(name), known });
            }
            if members[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(RequestError::Repeated(shown(name)));
            }
        }
        Ok(Self(members))
    }

    fn optional(&mut self, name: &str) -> Option<Json> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn take(&mut self, name: &'static str) -> Result<Json, RequestError> {
        self.optional(name).ok_or(RequestError::Missing(name))
    }
}

fn invalid(field: impl Into<String>, must: impl Into<String>) -> RequestError {
    RequestError::Invalid { field: field.into(), must: must.into() }
}

/// A name that the client chose, short and printable.
fn shown(name: &str) -> String {
    name.escape_debug().take(64).collect()
}

fn string(value: Json, field: &str) -> Result<String, RequestError> {
    match value {
        Json::Text(text) => Ok(text),
        other => Err(invalid(field, format!("must be a string, not {}", other.kind()))),
    }
}

fn text(value: Json, field: &str, most: usize) -> Result<String, RequestError> {
    let text = string(value, field)?;
    let good = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good {
        Ok(text)
    } else {
        Err(invalid(field, format!("must be 1 to {most} visible ASCII characters, no spaces")))
    }
}

fn amount(value: Json) -> Result<u64, RequestError> {
    const MUST: &str = "must be an integer from 1 to 999999999999 in the currency's minor unit (1234 for 12.34 EUR)";
    match value {
        Json::Integer(amount) => u64::try_from(amount)
            .ok()
            .filter(|amount| (1..=MAX_AMOUNT).contains(amount))
            .ok_or_else(|| invalid("amount", MUST)),
        Json::Number(_) => Err(invalid("amount", format!("{MUST}, without fraction or exponent"))),
        other => Err(invalid("amount", format!("{MUST}, not {}", other.kind()))),
    }
}

fn currency(value: Json) -> Result<Currency, RequestError> {
    Currency::parse(&string(value, "currency")?)
        .ok_or_else(|| invalid("currency", "must be a currency code of ISO 4217 in upper case, such as EUR or KRW"))
}

fn method(value: Json) -> Result<String, RequestError> {
    let method = string(value, "method")?;
    if is_method(&method) {
        Ok(method)
    } else {
        Err(invalid("method", "must be 1 to 32 characters of a-z, 0-9, _ and -, such as card"))
    }
}

/// Whether a payment method can have this name: 1–32 characters of `[a-z0-9_-]`.
#[must_use]
pub fn is_method(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(known)
}

fn metadata(value: Json) -> Result<Vec<(String, String)>, RequestError> {
    let Json::Object(members) = value else {
        return Err(invalid("metadata", format!("must be an object of strings, not {}", value.kind())));
    };
    if members.len() > MAX_METADATA {
        return Err(invalid("metadata", format!("must have at most {MAX_METADATA} members")));
    }
    let mut found: Vec<(String, String)> = Vec::with_capacity(members.len());
    for (key, value) in members {
        let field = format!("metadata.{}", shown(&key));
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(1..=40).contains(&key.len()) || !key.bytes().all(known) {
            return Err(invalid(field, "is no key; use 1 to 40 characters of A-Z, a-z, 0-9, _, - and ."));
        }
        if found.iter().any(|(earlier, _)| *earlier == key) {
            return Err(RequestError::Repeated(field));
        }
        let value = string(value, &field)?;
        if value.chars().count() > 500 || value.chars().any(char::is_control) {
            return Err(invalid(field, "must be at most 500 characters without control characters"));
        }
        found.push((key, value));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
