//! What the distributor tells whoever counts: metrics, and nothing that a rule depends on.

use std::fmt;
use std::time::Duration;

use super::record::PaymentState;
use super::verdict::Verdict;
use crate::resilience::BreakerState;
use crate::types::ProviderName;

/// Hears what happens; every method may be left out. Called on the payment's own path: be quick.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A call at a provider came to this after so long.
    fn attempt_ended(&self, provider: &ProviderName, verdict: &Verdict, took: Duration) {
        let _ = (provider, verdict, took);
    }

    /// A request of a client was answered; the provider is the one that settled the payment or holds it.
    /// `overhead` is the time spent other than waiting for providers.
    fn payment_answered(&self, provider: Option<&ProviderName>, state: PaymentState, overhead: Duration) {
        let _ = (provider, state, overhead);
    }

    /// A provider's answer was about something else than it was asked: somebody must look.
    fn alarm(&self, provider: &ProviderName) {
        let _ = provider;
    }

    /// A provider's breaker is now in this state; told when it changes, within a second.
    fn breaker_changed(&self, provider: &ProviderName, state: BreakerState) {
        let _ = (provider, state);
    }

    /// So many payments are pending; told about once a second.
    fn pending(&self, payments: u64) {
        let _ = payments;
    }

    /// The ledger refused or failed to save something.
    fn ledger_failed(&self) {}
}

/// Hears nothing.
#[derive(Debug)]
pub struct NoObserver;

impl Observer for NoObserver {}
