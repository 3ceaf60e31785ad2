//! The payment distributor: several providers, one ledger, never two charges.

pub mod adapter;
mod card_numbers;
mod id;
mod idempotency;
mod json;
mod ledger;
mod machine;
mod money;
mod record;
mod request;
mod settings;
mod verdict;

use std::sync::Arc;

use bytes::Bytes;

use crate::problem::Problem;

pub use money::{Currency, MAX_AMOUNT, Money};
pub use settings::{BaseUrl, BaseUrlError, OnUnknown, Provider, ProviderTimeouts, Settings};
pub use verdict::{Doubt, Proof, Verdict};

/// One call of the client API, after authentication and body limit.
#[derive(Debug)]
pub struct ApiRequest {
    /// Upper-case method.
    pub method: String,
    /// Path below [`Settings::path`]: empty, `/{id}`, `/{id}/refund`, …
    pub subpath: String,
    /// Who asks: issuer and subject; keys are unique within it.
    pub client: String,
    /// The request's header fields.
    pub headers: http::HeaderMap,
    /// The raw body.
    pub body: Bytes,
    /// For logs and problem documents.
    pub request_id: String,
}

/// The distributor's answer.
#[derive(Debug)]
pub enum ApiResponse {
    /// A JSON document.
    Json {
        /// 200, 201, 202 or 402.
        status: u16,
        /// `location`, `retry-after`, `idempotent-replayed`.
        headers: Vec<(&'static str, String)>,
        /// The document.
        body: String,
    },
    /// A refusal.
    Problem {
        /// What is wrong.
        problem: Problem,
        /// `retry-after`, `allow`.
        headers: Vec<(&'static str, String)>,
    },
}

/// The distributor; outlives reloads and is shared by all cores.
#[derive(Debug)]
pub struct Distributor {}

impl Distributor {
    /// Answers one call of the client API under the settings of the caller's snapshot. Runs on the control runtime; dropping the future does not stop a payment that has begun.
    pub async fn handle(self: Arc<Self>, settings: Arc<Settings>, request: ApiRequest) -> ApiResponse {
        let _ = (settings, request);
        todo!()
    }
}
