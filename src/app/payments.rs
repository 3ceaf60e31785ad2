//! Wires the payment distributor: its ledger, what it tells the metrics, what operators may ask it.
//!
//! A ledger that can't be opened stops payments and nothing else: the gateway serves on, answers each payment with 503,
//! and says so in the log, in the metrics and to whoever asks for payments on the control plane. It tries again until the
//! ledger opens, and takes payments from then on.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admin::{Future, PaymentRecords};
use crate::payments::{
    Decision, DecisionError, Distributor, Filter, HttpTransport, LedgerError, Observer, OpenError, Operation,
    PaymentState, Settings, Tally, Verdict, WebhookOutcome,
};
use crate::problem::{Code, Problem};
use crate::resilience::BreakerState;
use crate::snapshot::{Snapshot, SnapshotHandle};
use crate::telemetry::Metrics;
use crate::types::{ProviderName, Revision};

/// Stands where a metric's provider would, for payments that no provider has taken.
const NOBODY: &str = "-";

/// Payments as they stand with this process.
pub(super) struct Payments {
    /// Empty as long as the ledger is not open.
    distributor: Arc<OnceLock<Arc<Distributor>>>,
    /// Whether they are configured, and why they are refused.
    standing: watch::Receiver<Standing>,
}

/// Whether payments are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// None are configured.
    Off,
    /// The ledger is opened for the first time.
    Opening,
    /// They are taken.
    On,
    /// They are configured, and refused for want of a ledger.
    Refused(String),
}

impl Payments {
    /// Opens the ledger that the configuration names. Must run on the runtime that is to carry the payments; ready once
    /// the ledger is open or was found not to open. The second value goes on trying and follows publications.
    pub(super) async fn open(
        handle: Arc<SnapshotHandle>,
        published: watch::Receiver<Revision>,
        metrics: Arc<Metrics>,
        spawn: impl FnOnce(Task),
    ) -> Self {
        let distributor = Arc::new(OnceLock::new());
        let Some(place) = handle.load().startup.ledger.clone() else {
            return Self { distributor, standing: watch::channel(Standing::Off).1 };
        };
        let (told, mut standing) = watch::channel(Standing::Opening);
        let slot = Arc::clone(&distributor);
        spawn(Box::pin(async move {
            let ledger = place.open_when_possible(|error| refuse(error, &told, &metrics)).await;
            if *told.borrow() != Standing::Opening {
                tracing::warn!("The payment ledger is open: payments are taken from now on");
            }
            let distributor =
                Distributor::start(ledger, Arc::new(HttpTransport::default()), Arc::new(Counted(metrics)));
            configure(&distributor, &handle.load());
            // Only this task fills it, and once.
            let _ = slot.set(Arc::clone(&distributor));
            told.send_replace(Standing::On);
            follow_settings(published, handle, distributor).await;
        }));
        // The sender lives in the task; if that has ended, so has the process's serving.
        let _ = standing.wait_for(|standing| *standing != Standing::Opening).await;
        Self { distributor, standing }
    }

    /// Who takes payments, as soon as there is somebody.
    pub(super) fn distributor(&self) -> Arc<OnceLock<Arc<Distributor>>> {
        Arc::clone(&self.distributor)
    }

    /// What operators may ask; `None` if payments are not configured.
    pub(super) fn records(&self) -> Option<Arc<dyn PaymentRecords>> {
        if *self.standing.borrow() == Standing::Off {
            return None;
        }
        Some(Arc::new(Records { distributor: self.distributor(), standing: self.standing.clone() }))
    }

    /// Waits for payments under way. A client may be gone long before its payment has ended.
    pub(super) async fn end(self, within: Duration) {
        if let Some(distributor) = self.distributor.get()
            && tokio::time::timeout(within, distributor.drain()).await.is_err()
        {
            tracing::warn!("payments are still under way; the next start marks them as unknown");
        }
    }
}

/// What the control plane runs beside everything else until the end.
pub(super) type Task = Pin<Box<dyn std::future::Future<Output = ()> + Send>>;

fn refuse(error: &OpenError, told: &watch::Sender<Standing>, metrics: &Metrics) {
    tracing::error!(%error, "PAYMENTS ARE REFUSED until the ledger can be opened; all else is served");
    metrics.payment_ledger_failures.inc();
    told.send_replace(Standing::Refused(format!("{error}; it is tried again until it opens")));
}

/// Gives the worker the settings of each publication.
async fn follow_settings(
    mut published: watch::Receiver<Revision>,
    handle: Arc<SnapshotHandle>,
    distributor: Arc<Distributor>,
) {
    while published.changed().await.is_ok() {
        configure(&distributor, &handle.load());
    }
}

/// Payments that are open stay open if the section is taken away: nobody is there to ask about them.
fn configure(distributor: &Distributor, snapshot: &Snapshot) {
    if let Some(settings) = &snapshot.payments {
        distributor.configure(Arc::clone(settings));
    }
}

/// Tells the metrics what happens.
#[derive(Debug)]
struct Counted(Arc<Metrics>);

impl Observer for Counted {
    fn called(&self, provider: &ProviderName, operation: Operation, verdict: &Verdict, took: Duration) {
        let provider = provider.as_str();
        let calls = match operation {
            Operation::Charge | Operation::Prepare | Operation::Confirm => &self.0.payment_attempts,
            Operation::Lookup => &self.0.payment_looks,
            Operation::Void | Operation::Cancel => &self.0.payment_voids,
            Operation::Refund => &self.0.payment_refunds,
        };
        calls.with_label_values(&[provider, verdict.class()]).inc();
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

    fn late_capture(&self, provider: &ProviderName) {
        self.0.payment_late_captures.with_label_values(&[provider.as_str()]).inc();
    }

    fn passed_over(&self, provider: &ProviderName, why: &'static str) {
        self.0.payment_passed_over.with_label_values(&[provider.as_str(), why]).inc();
    }

    fn weight_factor_changed(&self, provider: &ProviderName, factor: f64) {
        self.0.payment_weight_factor.with_label_values(&[provider.as_str()]).set(factor);
    }

    fn webhook_received(&self, provider: &ProviderName, outcome: WebhookOutcome) {
        self.0.payment_webhooks.with_label_values(&[provider.as_str(), outcome.as_str()]).inc();
    }

    fn tally(&self, tally: &Tally) {
        let count = |payments: u64| i64::try_from(payments).unwrap_or(i64::MAX);
        self.0.payments_pending.set(count(tally.pending));
        self.0.payments_manual.set(count(tally.manual));
        self.0.payments_requires_action.set(count(tally.requires_action));
    }

    fn ledger_failed(&self) {
        self.0.payment_ledger_failures.inc();
    }
}

/// The distributor's ledger, for operators; or why there is nothing to ask.
struct Records {
    distributor: Arc<OnceLock<Arc<Distributor>>>,
    standing: watch::Receiver<Standing>,
}

impl Records {
    fn distributor(&self) -> Result<Arc<Distributor>, Problem> {
        let why = || self.refused().unwrap_or_else(|| "the payment ledger is being opened".to_owned());
        self.distributor.get().map(Arc::clone).ok_or_else(|| Problem::new(Code::PaymentsUnavailable, why()))
    }
}

impl PaymentRecords for Records {
    fn list(&self, filter: Filter) -> Future<Result<Value, Problem>> {
        let distributor = self.distributor();
        Box::pin(async move { Ok(json!(distributor?.list(filter).await.map_err(|error| unreadable(&error))?)) })
    }

    fn get(&self, id: String) -> Future<Result<Option<Value>, Problem>> {
        let distributor = self.distributor();
        Box::pin(async move {
            let payment = distributor?.get(&id).await.map_err(|error| unreadable(&error))?;
            Ok(payment.map(|payment| json!(payment)))
        })
    }

    fn providers(&self, settings: &Settings) -> Result<Value, Problem> {
        Ok(json!(self.distributor()?.providers(settings)))
    }

    fn resolve(&self, id: String, decision: Decision) -> Future<Result<Value, Problem>> {
        let distributor = self.distributor();
        Box::pin(async move {
            let resolved = distributor?.resolve(&id, &decision).await;
            resolved.map(|payment| json!(payment)).map_err(|error| undecided(&error))
        })
    }

    fn refused(&self) -> Option<String> {
        match &*self.standing.borrow() {
            Standing::Refused(why) => Some(why.clone()),
            Standing::Off | Standing::Opening | Standing::On => None,
        }
    }
}

fn undecided(error: &DecisionError) -> Problem {
    let code = match error {
        DecisionError::Missing(_) => Code::NotFound,
        DecisionError::Busy | DecisionError::Unfit(_) => Code::Conflict,
        DecisionError::Ledger(_) => Code::PaymentsUnavailable,
    };
    Problem::new(code, error.to_string())
}

fn unreadable(error: &LedgerError) -> Problem {
    Problem::new(Code::PaymentsUnavailable, error.to_string())
}

#[cfg(test)]
mod tests;
