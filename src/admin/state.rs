//! What the control plane is given: the snapshot handle, and the things it may ask, each behind a trait.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::Readiness;
use crate::payments::{Decision, Filter, Settings};
use crate::problem::Problem;
use crate::reload::{ChangeError, Changed, FlagWriter, HistoryEntry, Wish};
use crate::snapshot::SnapshotHandle;
use crate::telemetry::FlagActivity;
use crate::types::FlagKey;

/// A boxed future, so that traits with asynchronous methods stay usable as objects.
pub type Future<T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// Renders all metrics in Prometheus' text format.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Everything that the handlers use; cloning it copies pointers.
#[derive(Clone)]
pub struct AdminState {
    /// Where the current snapshot and the last reload's story are read.
    pub handle: Arc<SnapshotHandle>,
    /// Changes flags and knows their history.
    pub changes: Arc<dyn FlagChanges>,
    /// Says what would happen to a request.
    pub explainer: Arc<dyn Explainer>,
    /// The payments known to the ledger, if payments are configured.
    pub payments: Option<Arc<dyn PaymentRecords>>,
    /// What `/metrics` answers.
    pub metrics: Metrics,
    /// Which flags are asked, and how often.
    pub activity: Arc<FlagActivity>,
    /// Whether traffic may come.
    pub readiness: Arc<Readiness>,
    /// What a caller may measure and take.
    pub limits: Limits,
}

/// What a caller of the control plane may measure and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request body in bytes (64 KiB).
    pub body_bytes: usize,
    /// For a request's head, and between requests on a connection (10 s).
    pub head: Duration,
    /// For a request's whole body (10 s).
    pub body: Duration,
    /// For a response's bytes to move on while the caller does not read (30 s).
    pub stalled_write: Duration,
    /// Connections at once; more wait in the listener's queue (256).
    pub connections: usize,
    /// Event streams at once; more are refused with 503 (64).
    pub event_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            stalled_write: Duration::from_secs(30),
            connections: 256,
            event_streams: 64,
        }
    }
}

/// Changes flags; [`FlagWriter`] in the gateway.
pub trait FlagChanges: Send + Sync {
    /// Writes, publishes and records one change: new values by key of the flag's definition.
    fn change(self: Arc<Self>, wish: Wish, changes: Map<String, Value>) -> Future<Result<Changed, ChangeError>>;

    /// Takes the last change of a flag back, as a new change.
    fn undo(self: Arc<Self>, wish: Wish) -> Future<Result<Changed, ChangeError>>;

    /// History of a flag, newest first.
    fn history(&self, key: &FlagKey) -> Vec<HistoryEntry>;

    /// The newest entry of a flag's history.
    fn last_change(&self, key: &FlagKey) -> Option<HistoryEntry> {
        self.history(key).into_iter().next()
    }
}

impl FlagChanges for FlagWriter {
    fn change(self: Arc<Self>, wish: Wish, changes: Map<String, Value>) -> Future<Result<Changed, ChangeError>> {
        Box::pin(Self::change(self, wish, changes))
    }

    fn undo(self: Arc<Self>, wish: Wish) -> Future<Result<Changed, ChangeError>> {
        Box::pin(Self::undo(self, wish))
    }

    fn history(&self, key: &FlagKey) -> Vec<HistoryEntry> {
        Self::history(self, key)
    }
}

/// A request that nobody sends, to be explained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExplainRequest {
    /// Upper-case method.
    pub method: String,
    /// Path as a client would write it, with its query if any.
    pub path: String,
    /// Host, if the routes look at it.
    pub host: Option<String>,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// An authenticated caller with this subject.
    pub subject: Option<String>,
}

impl ExplainRequest {
    /// Refuses what could not stand in a request at all and writes the rest in one spelling (method in upper
    /// case, header names in lower case); everything else is for the explainer to judge.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn checked(mut self) -> Result<Self, String> {
        Method::from_bytes(self.method.as_bytes()).map_err(|_| format!("{:?} is not a method", self.method))?;
        if !self.path.starts_with('/') {
            return Err(format!("path {:?} does not start with a slash", self.path));
        }
        for (name, value) in &mut self.headers {
            *name = name.trim().to_ascii_lowercase();
            *value = value.trim().to_owned();
            HeaderName::try_from(name.as_str()).map_err(|_| format!("{name:?} is not a header name"))?;
            HeaderValue::try_from(value.as_str())
                .map_err(|_| format!("the value of header {name} is not acceptable"))?;
        }
        if self.subject.as_deref() == Some("") {
            return Err("subject is empty; leave it out for a caller who is not authenticated".into());
        }
        Ok(self)
    }
}

/// Says which route, identity, flag, variant and backend a request gets, and why, without sending it.
pub trait Explainer: Send + Sync {
    /// The explanation as a JSON object. A request that the gateway would refuse is explained, not an error.
    fn explain(&self, request: &ExplainRequest) -> Value;
}

/// The payments known to the ledger; the distributor in the gateway.
pub trait PaymentRecords: Send + Sync {
    /// Those that match, newest first. A JSON array.
    fn list(&self, filter: Filter) -> Future<Result<Value, Problem>>;

    /// One payment with its attempts, or `None` if the ledger has none of that id.
    fn get(&self, id: String) -> Future<Result<Option<Value>, Problem>>;

    /// How the providers of these settings stand. A JSON array.
    fn providers(&self, settings: &Settings) -> Result<Value, Problem>;

    /// Settles what is open about a payment as a person decided; the payment after that.
    fn resolve(&self, id: String, decision: Decision) -> Future<Result<Value, Problem>>;

    /// Why no payment is taken although payments are configured; `None` while they are.
    fn refused(&self) -> Option<String> {
        None
    }
}
