//! Explain over HTTP: a request is described, never sent, and the data plane's own code says what it would do.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, Uri};
use serde::Deserialize;

use super::answer::{self, Refusal};
use super::{AdminState, ExplainRequest, body, request};
use crate::problem::Code;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainBody {
    #[serde(default = "get")]
    method: String,
    path: String,
    host: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, OneOrMany>,
    subject: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn get() -> String {
    Method::GET.to_string()
}

pub(super) async fn from_query(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    let pairs = request::query(&uri, &["method", "path", "host", "header", "subject"])?;
    let path = request::single(&pairs, "path")?.ok_or_else(|| {
        Refusal::new(Code::InvalidRequest, "path is missing; e.g. ?method=GET&path=/api/v1/members/7")
    })?;
    let headers = pairs
        .iter()
        .filter(|(name, _)| name == "header")
        .map(|(_, field)| match field.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Refusal::new(Code::InvalidRequest, format!("header is {field:?}; write it as Name:value"))),
        })
        .collect::<Result<_, _>>()?;
    explained(
        &state,
        ExplainRequest {
            method: request::single(&pairs, "method")?.unwrap_or_else(get),
            path,
            host: request::single(&pairs, "host")?,
            headers,
            subject: request::single(&pairs, "subject")?,
        },
    )
}

pub(super) async fn from_body(State(state): State<AdminState>, request: Request) -> Result<Response, Refusal> {
    request::query(request.uri(), &[])?;
    let ExplainBody { method, path, host, headers, subject } = body::json(request, &state.limits).await?;
    let headers = headers
        .into_iter()
        .flat_map(|(name, values)| match values {
            OneOrMany::One(value) => vec![(name, value)],
            OneOrMany::Many(values) => values.into_iter().map(|value| (name.clone(), value)).collect(),
        })
        .collect();
    explained(&state, ExplainRequest { method, path, host, headers, subject })
}

fn explained(state: &AdminState, asked: ExplainRequest) -> Result<Response, Refusal> {
    let asked = asked.checked().map_err(|detail| Refusal::new(Code::Unprocessable, detail))?;
    Ok(answer::json(&state.explainer.explain(&asked)))
}
