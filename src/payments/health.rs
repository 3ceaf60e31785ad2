//! The providers' breakers, by name; they outlive reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::settings::Provider;
use super::verdict::{Proof, Verdict};
use crate::resilience::{Breaker, BreakerRules, BreakerState, Ended, Need, Refused, Ticket};
use crate::types::ProviderName;

/// All breakers.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    breakers: Mutex<HashMap<ProviderName, Watched>>,
}

#[derive(Debug)]
struct Watched {
    breaker: Breaker,
    last_told: BreakerState,
}

/// An admitted call. Dropped without [`Permit::end`], the call was never made.
#[derive(Debug)]
pub(super) struct Permit {
    health: Arc<Health>,
    provider: ProviderName,
    ticket: Option<Ticket>,
}

impl Default for Health {
    fn default() -> Self {
        Self { started: Instant::now(), breakers: Mutex::default() }
    }
}

impl Health {
    /// Asks a provider's breaker for a call now.
    ///
    /// # Errors
    /// [`Refused`] says when to ask again.
    pub(super) fn admit(self: &Arc<Self>, provider: &Provider, need: Need) -> Result<Permit, Refused> {
        let now = self.now();
        let rules = BreakerRules { overdue_at_most: provider.timeouts.response, ..BreakerRules::default() };
        let mut breakers = self.breakers();
        let watched = breakers
            .entry(provider.name.clone())
            .or_insert_with(|| Watched { breaker: Breaker::new(rules), last_told: BreakerState::Closed });
        watched.breaker.set_rules(rules);
        let ticket = watched.breaker.admit(now, need)?;
        Ok(Permit { health: Arc::clone(self), provider: provider.name.clone(), ticket: Some(ticket) })
    }

    /// State of every breaker that was ever asked, by provider's name.
    #[must_use]
    pub(super) fn states(&self) -> Vec<(ProviderName, BreakerState)> {
        let now = self.now();
        let mut states: Vec<_> =
            self.breakers().iter_mut().map(|(name, watched)| (name.clone(), watched.breaker.state(now))).collect();
        states.sort_by(|(one, _), (other, _)| one.cmp(other));
        states
    }

    /// Breakers whose state is another than when this was last asked.
    pub(super) fn changes(&self) -> Vec<(ProviderName, BreakerState)> {
        let now = self.now();
        let mut changes = Vec::new();
        for (name, watched) in self.breakers().iter_mut() {
            let state = watched.breaker.state(now);
            if state != watched.last_told {
                watched.last_told = state;
                changes.push((name.clone(), state));
            }
        }
        changes
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn breakers(&self) -> MutexGuard<'_, HashMap<ProviderName, Watched>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Tells the breaker how the call ended.
    pub(super) fn end(mut self, verdict: &Verdict) {
        let ended = match verdict {
            Verdict::NotProcessed { proof: Proof::Full | Proof::NotBuilt } => Ended::Neutral,
            verdict if verdict.is_providers_fault() => Ended::Failed,
            _ => Ended::Good,
        };
        let now = self.health.now();
        if let Some(ticket) = self.ticket.take()
            && let Some(watched) = self.health.breakers().get_mut(&self.provider)
        {
            watched.breaker.end(now, ticket, ended);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take()
            && let Some(watched) = self.health.breakers().get_mut(&self.provider)
        {
            watched.breaker.withdraw(ticket);
        }
    }
}
