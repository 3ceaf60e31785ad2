//! Wires the payment distributor: its ledger, what it tells the metrics, what operators may ask it.
//!
//! A ledger that can't be opened stops payments and nothing else: the gateway serves on, answers each payment with 503,
//! and says so in the log, in the metrics and to whoever asks for payments on the control plane.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::{Future, PaymentRecords};
use crate::payments::{Distributor, Filter, LedgerError, Observer, OpenError, PaymentState, Verdict};
use crate::problem::{Code, Problem};
use crate::resilience::BreakerState;
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;
use crate::types::ProviderName;

/// Stands where a metric's provider would, for payments that no provider has taken.
const NOBODY: &str = "-";

/// Payments as they stand with this process.
pub(super) enum Payments {
    /// None are configured.
    Off,
    /// They are taken.
    On(Arc<Distributor>),
    /// They are configured, and refused for want of a ledger.
    Refused(Arc<OpenError>),
}

impl Payments {
    /// Opens the ledger that the configuration names. Must run on the runtime that is to carry the payments.
    pub(super) async fn open(snapshot: &Snapshot, metrics: &Arc<Metrics>) -> Self {
        let Some(ledger) = &snapshot.startup.ledger else { return Self::Off };
        let counted = Arc::new(Counted(Arc::clone(metrics)));
        match Distributor::open(Path::new(ledger), counted).await {
            Ok(distributor) => Self::On(distributor),
            Err(error) => {
                tracing::error!(%error, "PAYMENTS ARE REFUSED: mend the ledger and start again; all else is served");
                metrics.payment_ledger_failures.inc();
                Self::Refused(Arc::new(error))
            }
        }
    }

    /// Who takes payments.
    pub(super) fn distributor(&self) -> Option<Arc<Distributor>> {
        match self {
            Self::On(distributor) => Some(Arc::clone(distributor)),
            Self::Off | Self::Refused(_) => None,
        }
    }

    /// What operators may ask; `None` if payments are not configured.
    pub(super) fn records(&self) -> Option<Arc<dyn PaymentRecords>> {
        match self {
            Self::Off => None,
            Self::On(distributor) => Some(Arc::new(Records(Arc::clone(distributor)))),
            Self::Refused(error) => Some(Arc::new(NoRecords(Arc::clone(error)))),
        }
    }

    /// Waits for payments under way. A client may be gone long before its payment has ended.
    pub(super) async fn end(self, within: Duration) {
        if let Self::On(distributor) = self
            && tokio::time::timeout(within, distributor.drained()).await.is_err()
        {
            tracing::warn!("payments are still under way; the next start marks them as unknown");
        }
    }
}

/// Tells the metrics what happens.
#[derive(Debug)]
struct Counted(Arc<Metrics>);

impl Observer for Counted {
    fn attempt_ended(&self, provider: &ProviderName, verdict: &Verdict, took: Duration) {
        let provider = provider.as_str();
        self.0.payment_attempts.with_label_values(&[provider, verdict.class()]).inc();
        self.0.payment_attempt_duration.with_label_values(&[provider]).observe(took.as_secs_f64());
        // The series begins with the first call, not with the first trouble; new ones are at zero: closed.
        let _ = self.0.payment_breaker.with_label_values(&[provider]);
    }

    fn payment_answered(&self, provider: Option<&ProviderName>, state: PaymentState, overhead: Duration) {
        let provider = provider.map_or(NOBODY, ProviderName::as_str);
        self.0.payments.with_label_values(&[provider, state.as_str()]).inc();
        self.0.payment_overhead.observe(overhead.as_secs_f64());
    }

    fn alarm(&self, provider: &ProviderName) {
        self.0.payment_alarms.with_label_values(&[provider.as_str()]).inc();
    }

    fn breaker_changed(&self, provider: &ProviderName, state: BreakerState) {
        let open = match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 0.5,
            BreakerState::Open => 1.0,
        };
        self.0.payment_breaker.with_label_values(&[provider.as_str()]).set(open);
    }

    fn pending(&self, payments: u64) {
        self.0.payments_pending.set(i64::try_from(payments).unwrap_or(i64::MAX));
    }

    fn ledger_failed(&self) {
        self.0.payment_ledger_failures.inc();
    }
}

/// The distributor's ledger, for operators.
struct Records(Arc<Distributor>);

impl PaymentRecords for Records {
    fn list(&self, status: Option<String>, limit: usize) -> Future<Result<Value, Problem>> {
        let distributor = Arc::clone(&self.0);
        Box::pin(async move {
            let state = status.as_deref().map(state_named).transpose()?;
            let filter = Filter { state, limit: Some(u32::try_from(limit).unwrap_or(u32::MAX)), ..Filter::default() };
            Ok(json!(distributor.list(filter).await.map_err(|error| unreadable(&error))?))
        })
    }

    fn get(&self, id: String) -> Future<Result<Option<Value>, Problem>> {
        let distributor = Arc::clone(&self.0);
        Box::pin(async move {
            let payment = distributor.get(&id).await.map_err(|error| unreadable(&error))?;
            Ok(payment.map(|payment| json!(payment)))
        })
    }
}

fn state_named(status: &str) -> Result<PaymentState, Problem> {
    PaymentState::parse(status).ok_or_else(|| {
        let known: Vec<_> = PaymentState::ALL.iter().map(|state| state.as_str()).collect();
        let detail = format!("there is no status {status:?}; there are {}", known.join(", "));
        Problem::new(Code::InvalidRequest, detail)
    })
}

fn unreadable(error: &LedgerError) -> Problem {
    Problem::new(Code::PaymentsUnavailable, error.to_string())
}

/// Says why there is nothing to ask.
struct NoRecords(Arc<OpenError>);

impl NoRecords {
    fn why(&self) -> String {
        format!("{}; then start the gateway again", self.0)
    }

    fn problem(&self) -> Problem {
        Problem::new(Code::PaymentsUnavailable, self.why())
    }
}

impl PaymentRecords for NoRecords {
    fn list(&self, _: Option<String>, _: usize) -> Future<Result<Value, Problem>> {
        Box::pin(std::future::ready(Err(self.problem())))
    }

    fn get(&self, _: String) -> Future<Result<Option<Value>, Problem>> {
        Box::pin(std::future::ready(Err(self.problem())))
    }

    fn refused(&self) -> Option<String> {
        Some(self.why())
    }
}
