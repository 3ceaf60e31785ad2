//! The control plane's description for tools. A test holds it to what is routed.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

/// The OpenAPI 3.1 document.
pub const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn show() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
