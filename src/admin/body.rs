//! Request bodies: JSON only, bounded in size and time, and every mistake told with its place.

use axum::extract::Request;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::Limits;
use super::answer::Refusal;
use crate::problem::Code;
use crate::units::format_duration;

/// Reads a JSON document of a fixed shape.
///
/// Not JSON is 400 with line and column; JSON of another shape is 422.
pub(super) async fn json<T: DeserializeOwned>(request: Request, limits: &Limits) -> Result<T, Refusal> {
    let bytes = checked(request, limits).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Refusal::new(Code::InvalidRequest, "the body is empty; send a JSON document"));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let code = match error.classify() {
            Category::Data => Code::Unprocessable,
            Category::Syntax | Category::Eof | Category::Io => Code::InvalidRequest,
        };
        Refusal::new(code, format!("the body at line {} column {}: {}", error.line(), error.column(), what(&error)))
    })
}

/// Reads a whole body that says to be JSON, within the limits.
pub(super) async fn checked(request: Request, limits: &Limits) -> Result<bytes::Bytes, Refusal> {
    check_media_type(request.headers())?;
    read(request, limits).await
}

/// Reads a whole body within the limits.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<bytes::Bytes, Refusal> {
    if announced(request.headers()).is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large(limits));
    }
    let body = Limited::new(request.into_body(), limits.body_bytes);
    match tokio::time::timeout(limits.body, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limits)),
        Ok(Err(error)) => Err(Refusal::new(Code::MalformedRequest, format!("the body ended early: {error}")).closing()),
        Err(_) => {
            let limit = format_duration(limits.body);
            Err(Refusal::new(Code::RequestTimeout, format!("the body did not arrive within {limit}")).closing())
        }
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = given.as_deref().and_then(|text| text.split(';').next()).map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(other) => Err(Refusal::new(
            Code::UnsupportedMediaType,
            format!("the body is {other:?}; send it as \"content-type: application/json\""),
        )),
        None => Err(Refusal::new(
            Code::UnsupportedMediaType,
            "the body has no media type; send it as \"content-type: application/json\"",
        )),
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &Limits) -> Refusal {
    Refusal::new(Code::BodyTooLarge, format!("the body may have at most {} bytes", limits.body_bytes)).closing()
}

/// The message without the place that serde_json appends: it is told in front.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// A JSON object in which no key stands twice: of two values for one key, neither can be the one that was meant.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct UniqueMap(pub(super) Map<String, Value>);

impl<'de> serde::Deserialize<'de> for UniqueMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = UniqueMap;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMap, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} stands twice")));
            }
            map.insert(key, value);
        }
        Ok(UniqueMap(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let error = serde_json::from_str::<UniqueMap>(r#"{"percent": 1, "percent": 100}"#).expect_err("twice");
        assert!(error.to_string().contains("\"percent\" stands twice"), "{error}");
        assert!(serde_json::from_str::<UniqueMap>("[]").is_err());
    }
}
