//! What the distributor tells whoever counts: metrics, and nothing that a rule depends on.

use std::fmt;
use std::time::Duration;

use super::ledger::Tally;
use super::record::{Operation, PaymentState};
use super::verdict::Verdict;
use super::webhooks::WebhookOutcome;
use crate::resilience::BreakerState;
use crate::types::ProviderName;

/// Hears what happens; every method may be left out. Called on the payment's own path: be quick.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A call at a provider came to this after so long: for money, to look, or to take something back.
    fn called(&self, provider: &ProviderName, operation: Operation, verdict: &Verdict, took: Duration) {
        let _ = (provider, operation, verdict, took);
    }

    /// A request of a client was answered; the provider is the one that settled the payment or holds it.
    /// `overhead` is the time spent other than waiting for providers.
    fn payment_answered(&self, provider: Option<&ProviderName>, state: PaymentState, overhead: Duration) {
        let _ = (provider, state, overhead);
    }

    /// A provider's answer was about something else than it was asked, or a refund that counted as not
    /// processed was carried out: somebody must look.
    fn alarm(&self, provider: &ProviderName) {
        let _ = provider;
    }

    /// An attempt that was released is captured: somebody must look, though it is being taken back.
    fn late_capture(&self, provider: &ProviderName) {
        let _ = provider;
    }

    /// A provider's breaker is now in this state; told when it changes, within a second.
    fn breaker_changed(&self, provider: &ProviderName, state: BreakerState) {
        let _ = (provider, state);
    }

    /// A provider was not asked for a payment that it could take: it is in maintenance (`maintenance`),
    /// at its limit (`full`), or its breaker refused (`breaker`).
    fn passed_over(&self, provider: &ProviderName, why: &'static str) {
        let _ = (provider, why);
    }

    /// A provider's weight is multiplied by this from now on; told when it changes, within a second.
    fn weight_factor_changed(&self, provider: &ProviderName, factor: f64) {
        let _ = (provider, factor);
    }

    /// A provider's webhook came to this.
    fn webhook_received(&self, provider: &ProviderName, outcome: WebhookOutcome) {
        let _ = (provider, outcome);
    }

    /// So many payments are open; told about once a second.
    fn tally(&self, tally: &Tally) {
        let _ = tally;
    }

    /// The ledger refused or failed to save something.
    fn ledger_failed(&self) {}
}

/// Hears nothing.
#[derive(Debug)]
pub struct NoObserver;

impl Observer for NoObserver {}
