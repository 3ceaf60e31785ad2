//! What is known of the providers, by name: breaker, capacity in use, rate of success. Outlives reloads.
//!
//! A new payment needs a permit ([`Health::admit`]); a call that only its owner can answer gets one
//! always ([`Health::attend`]). Both count towards capacity. The breaker hears of charges, prepares
//! and confirms, and holds against the provider what it is to blame for: unknown outcomes, calls that
//! it did not take, calls overdue. Never declines, and never that it is full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::capacity::Usage;
use super::demotion::{Demotion, Outcomes, Tally};
use super::record::Operation;
use super::settings::{Provider, Settings};
use super::verdict::{Proof, Verdict};
use crate::resilience::{Breaker, BreakerRules, BreakerState, Ended, Need, Ticket};
use crate::types::ProviderName;

/// How far back the rate of success goes that people are shown where none is configured.
const SHOWN_WINDOW: Duration = Duration::from_secs(600);

/// Everything known of the providers.
#[derive(Debug)]
pub(super) struct Health {
    started: Instant,
    providers: Mutex<HashMap<ProviderName, Watched>>,
}

#[derive(Debug)]
struct Watched {
    breaker: Breaker,
    breaker_told: BreakerState,
    usage: Usage,
    outcomes: Outcomes,
    /// By what its weight was multiplied when it was last asked for, and what was told of that.
    factor: f64,
    factor_told: f64,
}

/// Why a provider gets no new payment at the moment, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is at its limit.
    Full(Duration),
    /// Its breaker is open, or half-open and not in need of a probe.
    Broken(Duration),
}

/// How a provider stands, for people.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) breaker: BreakerState,
    pub(super) full_for: Option<Duration>,
    /// Charges settled within the window of the demotion, or of ten minutes.
    pub(super) tally: Tally,
    /// By what its weight is multiplied.
    pub(super) factor: f64,
}

/// A call that may be made. Dropped before [`Permit::begin`], it never was.
#[derive(Debug)]
pub(super) struct Permit {
    health: Arc<Health>,
    provider: ProviderName,
    /// Whether it is about money that is to come in, so that its outcome counts.
    tells: bool,
    ticket: Option<Ticket>,
    taken: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Granted,
    Begun,
    Ended,
}

impl Default for Health {
    fn default() -> Self {
        Self { started: Instant::now(), providers: Mutex::default() }
    }
}

impl Watched {
    fn new(rules: BreakerRules) -> Self {
        Self {
            breaker: Breaker::new(rules),
            breaker_told: BreakerState::Closed,
            usage: Usage::default(),
            outcomes: Outcomes::default(),
            factor: 1.0,
            factor_told: 1.0,
        }
    }
}

impl Health {
    /// Asks for a call that begins a payment: a charge or a prepare.
    ///
    /// # Errors
    /// [`Refused`] says why not, and when to ask again.
    pub(super) fn admit(self: &Arc<Self>, provider: &Provider, need: Need) -> Result<Permit, Refused> {
        let now = self.now();
        let mut providers = self.providers();
        let watched = watch(&mut providers, provider);
        // Before the breaker is asked: a full provider must not use up a probe.
        if let Some(full) = watched.usage.full_for(now, provider.capacity) {
            return Err(Refused::Full(full));
        }
        let ticket = watched.breaker.admit(now, need).map_err(|refused| Refused::Broken(refused.retry_after))?;
        watched.usage.take(now);
        Ok(self.permit(provider, true, Some(ticket), now))
    }

    /// A call about a payment that the provider has: never held back, whatever breaker and capacity say.
    pub(super) fn attend(self: &Arc<Self>, provider: &Provider, operation: Operation) -> Permit {
        let now = self.now();
        let mut providers = self.providers();
        let watched = watch(&mut providers, provider);
        // A confirmation takes the money, so it tells as much as a charge, and serves as a probe.
        let tells = operation == Operation::Confirm;
        let ticket = tells.then(|| watched.breaker.admit(now, Need::LastResort).ok()).flatten();
        watched.usage.take(now);
        self.permit(provider, tells, ticket, now)
    }

    fn permit(self: &Arc<Self>, provider: &Provider, tells: bool, ticket: Option<Ticket>, taken: Duration) -> Permit {
        let (health, provider) = (Arc::clone(self), provider.name.clone());
        Permit { health, provider, tells, ticket, taken, state: State::Granted }
    }

    /// By what the weight of each provider is multiplied, in their order; 1 unless demotion is configured.
    pub(super) fn factors(&self, settings: &Settings) -> Vec<f64> {
        let now = self.now();
        let mut providers = self.providers();
        let tallies = tallies(&providers, settings, now);
        let factors: Vec<f64> =
            (0..tallies.len()).map(|place| factor(settings.demote.as_ref(), &tallies, place)).collect();
        for (provider, factor) in settings.providers.iter().zip(&factors) {
            if let Some(watched) = providers.get_mut(&provider.name) {
                watched.factor = *factor;
            }
        }
        factors
    }

    /// How each provider stands, in their order.
    #[must_use]
    pub(super) fn standings(&self, settings: &Settings) -> Vec<Standing> {
        let now = self.now();
        let mut providers = self.providers();
        let tallies = tallies(&providers, settings, now);
        let standing = |(place, provider): (usize, &Arc<Provider>)| {
            let watched = watch(&mut providers, provider);
            Standing {
                breaker: watched.breaker.state(now),
                full_for: watched.usage.full_for(now, provider.capacity),
                tally: tallies[place],
                factor: factor(settings.demote.as_ref(), &tallies, place),
            }
        };
        settings.providers.iter().enumerate().map(standing).collect()
    }

    /// State of every breaker that was ever asked, by provider's name.
    #[cfg(test)]
    pub(super) fn states(&self) -> Vec<(ProviderName, BreakerState)> {
        let now = self.now();
        let mut providers = self.providers();
        let mut states: Vec<_> =
            providers.iter_mut().map(|(name, watched)| (name.clone(), watched.breaker.state(now))).collect();
        states.sort_by(|(one, _), (other, _)| one.cmp(other));
        states
    }

    /// Breakers whose state is another than when this was last asked.
    pub(super) fn changes(&self) -> Vec<(ProviderName, BreakerState)> {
        let now = self.now();
        let mut changes = Vec::new();
        for (name, watched) in self.providers().iter_mut() {
            let state = watched.breaker.state(now);
            if state != watched.breaker_told {
                watched.breaker_told = state;
                changes.push((name.clone(), state));
            }
        }
        changes
    }

    /// Providers whose weight is multiplied by something else than when this was last asked.
    pub(super) fn demotions(&self) -> Vec<(ProviderName, f64)> {
        let mut changes = Vec::new();
        for (name, watched) in self.providers().iter_mut() {
            if (watched.factor - watched.factor_told).abs() > f64::EPSILON {
                watched.factor_told = watched.factor;
                changes.push((name.clone(), watched.factor));
            }
        }
        changes
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn providers(&self) -> MutexGuard<'_, HashMap<ProviderName, Watched>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch<'a>(providers: &'a mut HashMap<ProviderName, Watched>, provider: &Provider) -> &'a mut Watched {
    let rules = BreakerRules { overdue_at_most: provider.timeouts.response, ..BreakerRules::default() };
    let watched = providers.entry(provider.name.clone()).or_insert_with(|| Watched::new(rules));
    watched.breaker.set_rules(rules);
    watched
}

fn tallies(providers: &HashMap<ProviderName, Watched>, settings: &Settings, now: Duration) -> Vec<Tally> {
    let window = settings.demote.map_or(SHOWN_WINDOW, |demote| demote.window);
    let tally = |provider: &Arc<Provider>| {
        providers.get(&provider.name).map_or_else(Tally::default, |watched| watched.outcomes.within(now, window))
    };
    settings.providers.iter().map(tally).collect()
}

fn factor(demote: Option<&Demotion>, tallies: &[Tally], place: usize) -> f64 {
    let Some(demote) = demote else { return 1.0 };
    let peers = tallies.iter().enumerate().filter(|(peer, _)| *peer != place);
    let peers = peers.fold(Tally::default(), |sum, (_, tally)| sum.plus(*tally));
    demote.factor(tallies[place], peers)
}

impl Permit {
    /// The call begins now.
    pub(super) fn begin(&mut self) {
        self.state = State::Begun;
        let now = self.health.now();
        if let Some(ticket) = self.ticket {
            self.with(|watched| watched.breaker.begin(now, ticket));
        }
    }

    /// The call came to this; `retry_after` is what the provider asked for, if it did.
    pub(super) fn end(mut self, verdict: &Verdict, retry_after: Option<Duration>) {
        self.state = State::Ended;
        let now = self.health.now();
        let (ticket, settled) = (self.ticket.take(), self.settled(verdict));
        self.with(|watched| {
            watched.usage.end();
            if matches!(verdict, Verdict::NotProcessed { proof: Proof::Full }) {
                watched.usage.mark_full(now, retry_after);
            }
            if let Some(succeeded) = settled {
                watched.outcomes.note(now, succeeded);
            }
            if let Some(ticket) = ticket {
                watched.breaker.end(now, ticket, ended(verdict));
            }
        });
    }

    /// Nothing is to be called after all, as the customer's own device does this step. What was
    /// granted stays granted: a half-open breaker's small share is no larger for it.
    pub(super) fn end_without_call(mut self) {
        self.state = State::Ended;
        let (now, ticket, taken) = (self.health.now(), self.ticket.take(), self.taken);
        self.with(|watched| {
            watched.usage.give_back(taken);
            if let Some(ticket) = ticket {
                watched.breaker.end(now, ticket, Ended::Neutral);
            }
        });
    }

    /// Whether the verdict settles a charge, and how.
    fn settled(&self, verdict: &Verdict) -> Option<bool> {
        match verdict {
            Verdict::Succeeded { .. } if self.tells => Some(true),
            Verdict::Declined { .. } if self.tells => Some(false),
            _ => None,
        }
    }

    fn with(&self, act: impl FnOnce(&mut Watched)) {
        if let Some(watched) = self.health.providers().get_mut(&self.provider) {
            act(watched);
        }
    }
}

fn ended(verdict: &Verdict) -> Ended {
    match verdict {
        Verdict::NotProcessed { proof: Proof::Full | Proof::NotBuilt } => Ended::Neutral,
        verdict if verdict.is_providers_fault() => Ended::Failed,
        _ => Ended::Good,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (now, ticket, taken, state) = (self.health.now(), self.ticket.take(), self.taken, self.state);
        self.with(|watched| match (state, ticket) {
            (State::Ended, _) => {}
            (State::Granted, ticket) => {
                watched.usage.give_back(taken);
                ticket.into_iter().for_each(|ticket| watched.breaker.withdraw(ticket));
            }
            // Cut off in the middle: nobody knows how it would have ended.
            (State::Begun, ticket) => {
                watched.usage.end();
                ticket.into_iter().for_each(|ticket| watched.breaker.end(now, ticket, Ended::Neutral));
            }
        });
    }
}

#[cfg(test)]
mod tests;
