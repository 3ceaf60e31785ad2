//! The payment distributor: several providers, one ledger, never two charges.

pub mod adapter;
mod answer;
mod api;
mod capacity;
mod card_numbers;
mod choose;
mod clock;
mod demotion;
mod distributor;
mod health;
mod id;
mod idempotency;
mod json;
mod leases;
pub mod ledger;
mod machine;
mod maintenance;
mod money;
mod observer;
mod operator;
mod randomness;
mod reconciliation;
mod record;
#[cfg(test)]
mod rehearsal;
mod request;
mod resolution;
mod resolver;
mod retention;
mod run;
mod settings;
#[cfg(test)]
mod simulation;
mod slots;
mod standing;
mod terms;
mod transport;
mod verdict;
mod view;
mod webhooks;

use bytes::Bytes;

use crate::problem::Problem;

pub use answer::without_ledger;
pub use api::refusal;
pub use capacity::Capacity;
pub use card_numbers::{contains as holds_card_number, masked as mask_card_number};
pub use demotion::Demotion;
pub use distributor::Distributor;
pub use id::PaymentId;
pub use ledger::{Filter, LedgerError, LedgerPlace, OpenError, PostgresAddress, Tally};
pub use maintenance::{Maintenance, Window};
pub use money::{Currency, MAX_AMOUNT, Money};
pub use observer::{NoObserver, Observer};
pub use operator::{Decision, DecisionError, Target};
pub use reconciliation::{Difference, DifferenceKind, EntryKind, LedgerEntry, SettledLine, Settlement};
pub use record::{AttemptState, Intent, Operation, PaymentState, Record};
pub use request::{MAX_BODY, is_method};
pub use settings::{BaseUrl, BaseUrlError, OnUnknown, Provider, ProviderTimeouts, Settings};
pub use standing::{ProviderView, WindowView};
pub use transport::{CallError, HttpTransport, Transport};
pub use verdict::{Doubt, Proof, Verdict};
pub use view::PaymentView;
pub use webhooks::{Algorithm, Encoding, MAX_WEBHOOK, Pointer, PointerError, Scheme, Secret, Webhook, WebhookOutcome};

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
