//! What expressions see of a call and of an answer.

use minijinja::value::Value;

use super::draft::AnswerFormat;
use super::{Answer, Call, wire};
use crate::clock::Timestamp;
use crate::payments::json::Json;
use crate::payments::verdict::Verdict;

/// What differs from request to request.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Now.
    pub at: Timestamp,
    /// Used once: 32 hexadecimal digits.
    pub nonce: String,
}

/// Variables by name; later ones win.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(Vec<(String, Value)>);

impl Variables {
    /// Of a call.
    pub(super) fn of_call(call: &Call<'_>) -> Self {
        let mut variables = Self::default();
        variables.add("operation", Value::from(call.operation.as_str()));
        variables.add("amount", Value::from(call.money.amount));
        variables.add("currency", Value::from(call.money.currency.code()));
        variables.add("order_reference", Value::from(call.order_reference));
        variables.add("provider_key", Value::from(call.provider_key));
        variables.add("method", Value::from(call.method));
        variables.add("capture", Value::from(call.capture));
        variables.add(
            "metadata",
            Value::from_pairs(call.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
        );
        let known = [
            ("lookup", Some(call.lookup).filter(|lookup| !lookup.is_empty())),
            ("provider_ref", call.provider_ref),
            ("token", call.token),
            ("refund_reference", call.refund_reference),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                variables.add(name, Value::from(value));
            }
        }
        variables.add("found", found(call.found));
        variables
    }

    /// Of an answer to a call. A body that can't be read is not there.
    pub(super) fn of_answer(call: &Call<'_>, answer: &Answer, format: AnswerFormat) -> Self {
        let mut variables = Self::of_call(call);
        variables.add("status", Value::from(answer.status.as_u16()));
        let single = answer.headers.keys().filter_map(|name| {
            let mut values = answer.headers.get_all(name).iter();
            // A field that stands there twice has no value that can be relied on.
            let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
            Some((name.as_str(), value))
        });
        variables.add("headers", Value::from_pairs(single));
        if let Some(body) = body(answer, format) {
            variables.add("body", body);
        }
        variables
    }

    /// Adds what a request may use besides its call.
    pub(super) fn add_stamp(&mut self, stamp: &Stamp) {
        self.add("timestamp", Value::from(stamp.at.seconds()));
        self.add("timestamp_ms", Value::from(stamp.at.0));
        self.add("timestamp_iso", Value::from(stamp.at.rfc3339()));
        self.add("nonce", Value::from(stamp.nonce.as_str()));
    }

    /// Adds a variable.
    pub(super) fn add(&mut self, name: &str, value: Value) {
        self.0.push((name.to_owned(), value));
    }

    /// All of them, as an expression takes them.
    pub(super) fn all(&self) -> Value {
        Value::from_pairs(self.0.iter().map(|(name, value)| (name.as_str(), value.clone())))
    }
}

fn found(verdict: Option<&Verdict>) -> Value {
    let mut found = vec![("class", Value::from(verdict.map_or("", Verdict::class)))];
    let (reference, refunded) = match verdict {
        Some(Verdict::Succeeded { provider_ref, refunded }) => (Some(provider_ref.as_str()), *refunded),
        Some(Verdict::Prepared { provider_ref, .. } | Verdict::Declined { provider_ref, .. }) => {
            (provider_ref.as_deref(), None)
        }
        _ => (None, None),
    };
    found.extend(reference.map(|reference| ("provider_ref", Value::from(reference))));
    found.extend(refunded.map(|refunded| ("refunded", Value::from(refunded))));
    Value::from_pairs(found)
}

/// Whether the body is of the form that the provider answers in.
pub(super) fn is_readable(answer: &Answer, format: AnswerFormat) -> bool {
    body(answer, format).is_some()
}

/// The body as a tree; `None` if it is empty, of another form or another character set, or names a member twice.
fn body(answer: &Answer, format: AnswerFormat) -> Option<Value> {
    let declared = answer.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let charset = declared.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    if charset.is_some_and(|charset| !matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii")) {
        return None;
    }
    match format {
        AnswerFormat::Json => tree(Json::parse(&answer.body).ok()?),
        AnswerFormat::Form => {
            let text = std::str::from_utf8(&answer.body).ok().filter(|text| !text.is_empty())?;
            let fields = text.split('&').map(wire::form_field).collect::<Option<Vec<_>>>()?;
            distinct(&fields).then(|| Value::from_pairs(fields))
        }
    }
}

fn distinct<T>(fields: &[(String, T)]) -> bool {
    let mut seen = std::collections::HashSet::new();
    fields.iter().all(|(name, _)| seen.insert(name.as_str()))
}

fn tree(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Integer(value) => match i64::try_from(value) {
            Ok(value) => Value::from(value),
            Err(_) => Value::from(value),
        },
        Json::Number(value) => Value::from(value),
        Json::Text(text) => Value::from(text),
        Json::Array(items) => Value::from(items.into_iter().map(tree).collect::<Option<Vec<_>>>()?),
        Json::Object(members) => {
            if !distinct(&members) {
                return None;
            }
            let members = members.into_iter().map(|(name, member)| Some((name, tree(member)?)));
            Value::from_pairs(members.collect::<Option<Vec<_>>>()?)
        }
    })
}
