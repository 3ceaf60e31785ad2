//! The payment distributor: several providers, one ledger, never two charges.

pub mod adapter;
mod api;
mod card_numbers;
mod charge;
mod choose;
mod distributor;
mod health;
mod id;
mod idempotency;
mod json;
pub mod ledger;
mod machine;
mod money;
mod observer;
mod record;
mod request;
mod settings;
mod transport;
mod verdict;
mod view;

use bytes::Bytes;

use crate::problem::Problem;

pub use distributor::Distributor;
pub use id::PaymentId;
pub use ledger::{Filter, LedgerError, OpenError};
pub use money::{Currency, MAX_AMOUNT, Money};
pub use observer::{NoObserver, Observer};
pub use record::{AttemptState, Intent, Operation, PaymentState, Record};
pub use request::{MAX_BODY, is_method};
pub use settings::{BaseUrl, BaseUrlError, OnUnknown, Provider, ProviderTimeouts, Settings};
pub use transport::{CallError, HttpTransport, Transport};
pub use verdict::{Doubt, Proof, Verdict};
pub use view::PaymentView;

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
