//! Payments for operators: what the ledger knows. Read only; clients pay through the data plane.

use axum::extract::State;
use axum::response::Response;
use http::Uri;
use serde_json::json;

use super::answer::{self, Refusal};
use super::request::{self, Parameter};
use super::{AdminState, PaymentRecords};
use crate::problem::Code;

/// Payments that one answer carries, unless the caller says otherwise, and at most.
const LIST: (usize, usize) = (100, 1_000);

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    let pairs = request::query(&uri, &["status", "limit"])?;
    let limit = request::limit(&pairs, LIST.0, LIST.1)?;
    let payments = records(&state)?.list(request::single(&pairs, "status")?, limit).await?;
    Ok(answer::json(&json!({ "payments": payments })))
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Parameter(id): Parameter,
    uri: Uri,
) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    match records(&state)?.get(id.clone()).await? {
        Some(payment) => Ok(answer::json(&payment)),
        None => Err(Refusal::new(Code::NotFound, format!("there is no payment {id:?}"))),
    }
}

fn records(state: &AdminState) -> Result<&dyn PaymentRecords, Refusal> {
    state
        .payments
        .as_deref()
        .ok_or_else(|| Refusal::new(Code::NotFound, "payments are not configured; see the payments section"))
}
