//! Answers: JSON, and refusals that become problem documents in one place.
//!
//! A handler returns a [`Refusal`]; the outermost layer turns it into a document with the request's id.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use crate::problem::{Code, MEDIA_TYPE, Problem};
use crate::types::Revision;

/// A problem on its way to the caller, with header fields and members of its own.
#[derive(Debug, Clone)]
pub(super) struct Refusal(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
    members: Map<String, Value>,
}

impl Refusal {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(code, detail))
    }

    /// Adds a header field.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds a member to the document (an extension as RFC 9457, 3.2 has them).
    pub(super) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// Adds all members of a JSON object.
    pub(super) fn members(mut self, object: Value) -> Self {
        if let Value::Object(members) = object {
            self.0.members.extend(members);
        }
        self
    }

    /// Closes the connection after the answer: what the caller still sends is not read.
    pub(super) fn closing(self) -> Self {
        self.with(http::header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// What is wrong.
    pub(super) fn problem(&self) -> &Problem {
        &self.0.problem
    }

    fn document(&self, request_id: &str) -> String {
        let text = self.0.problem.to_json(request_id);
        match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(mut document) if !self.0.members.is_empty() => {
                document.extend(self.0.members.clone());
                format!("{}\n", Value::Object(document))
            }
            _ => text,
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Parts { problem, headers: Vec::new(), members: Map::new() }))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status(self.0.problem.code);
        response.headers_mut().extend(self.0.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

/// The status that goes with a code.
pub(super) fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A JSON document.
pub(super) fn json(document: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{document}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON document that belongs to a revision.
pub(super) fn tagged_json(revision: Revision, document: &Value) -> Response {
    let mut response = json(document);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The outermost layer: gives the request an id, renders refusals, and adds what every answer carries.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let request_id = format!("{:032x}", fastrand::u128(..));
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        let problem = refusal.problem();
        if problem.code == Code::Internal {
            tracing::error!(request.id = %request_id, "control plane failed: {}", problem.detail);
        }
        response.headers_mut().insert("x-figway-error", HeaderValue::from_static(problem.code.as_str()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        *response.body_mut() = Body::from(refusal.document(&request_id));
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert("x-request-id", value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
