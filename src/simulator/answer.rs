//! Answers in JSON, and what all dialects read from requests.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::{Answer, Request};

/// A JSON answer.
pub(super) fn json(status: StatusCode, document: &Value) -> Answer {
    with_body(status, Bytes::from(format!("{document}\n")))
}

/// An answer whose body says that it is JSON, whatever it is.
pub(super) fn with_body(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Answer::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The idempotency key of a request, if it has one that is not empty.
pub(super) fn idempotency_key(request: &Request) -> Option<&str> {
    let key = request.headers().get("idempotency-key")?.to_str().ok()?;
    (!key.is_empty()).then_some(key)
}

/// The parts of a request's path, without the first slash.
pub(super) fn path_of(request: &Request) -> Vec<&str> {
    request.uri().path().trim_start_matches('/').split('/').collect()
}

/// What stands before a provider says in its place: a status, and nothing about the request.
#[must_use]
pub fn unexplained(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Bytes::from(format!("<html><h1>{status}</h1></html>\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}
