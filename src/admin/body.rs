//! Request bodies: JSON only, bounded in size and time, and every mistake told with its place.

use axum::extract::Request;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::Limits;
use super::answer::Refusal;
use crate::problem::Code;
use crate::types::strict_json;
use crate::units::format_duration;

/// Reads a JSON object of a fixed shape, in which every member stands once.
///
/// Not JSON is 400 with line and column; JSON of another shape is 422.
pub(super) async fn json<T: DeserializeOwned>(request: Request, limits: &Limits) -> Result<T, Refusal> {
    let bytes = checked(request, limits).await?;
    if bytes.trim_ascii().is_empty() {
        return Err(Refusal::new(Code::InvalidRequest, "the body is empty; send a JSON object"));
    }
    parsed(&bytes)
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // Via an object, for a derived reader would also take a list of the values, whose meaning hangs on their order.
    let object = strict_json::object(bytes).map_err(|error| {
        let code = match error.classify() {
            Category::Data => Code::Unprocessable,
            Category::Syntax | Category::Eof | Category::Io => Code::InvalidRequest,
        };
        let place = match error.line() {
            0 => String::new(),
            line => format!(" at line {line} column {}", error.column()),
        };
        Refusal::new(code, format!("the body{place}: {}", what(&error)))
    })?;
    serde_json::from_value(Value::Object(object))
        .map_err(|error| Refusal::new(Code::Unprocessable, format!("the body: {error}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        changes: serde_json::Map<String, Value>,
        reason: String,
    }

    #[track_caller]
    fn refused(body: &str, status: Code, expected: &str) {
        let refusal = parsed::<Change>(body.as_bytes()).expect_err(body);
        assert_eq!(refusal.problem().code, status, "{body}");
        assert!(refusal.problem().detail.contains(expected), "{body}: {}", refusal.problem().detail);
    }

    #[test]
    fn an_object_with_its_members_is_read() {
        let change: Change = parsed(br#" {"reason": "ramp", "changes": {"percent": 1}} "#).expect("a change");
        assert!(change.reason == "ramp" && change.changes["percent"] == 1);
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth() {
        refused(r#"{"changes": {}, "reason": "a", "reason": "b"}"#, Code::Unprocessable, "\"reason\" stands twice");
        let deep = r#"{"changes": {"rules": [{"when": {"claim.a": "x", "claim.a": "y"}}]}, "reason": "a"}"#;
        refused(deep, Code::Unprocessable, "at line 1 column 58: member \"claim.a\" stands twice");
    }

    #[test]
    fn values_without_names_are_no_change() {
        refused(r#"[{"percent": 1}, "ramp"]"#, Code::Unprocessable, "the body: expected a JSON object");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        refused("{\n  \"changes\": }", Code::InvalidRequest, "at line 2 column 14: expected value");
        refused(r#"{"changes": {}}"#, Code::Unprocessable, "the body: missing field `reason`");
        refused(r#"{"changes": [], "reason": "a"}"#, Code::Unprocessable, "invalid type: sequence, expected a map");
    }
}
