//! Who is asked for a payment: a filter, then a weighted rendezvous hash of the payment's id, then
//! the breakers and capacities in that order.
//!
//! Each provider draws a number that depends on the payment and itself alone, scaled by its weight;
//! the highest wins, the next is the one to fail over to. Taking a provider away moves only its own
//! payments. Every provider that was passed over is told with the reason.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::adapter::{Ability, Adapter};
use super::health::{Health, Permit, Refused};
use super::id::PaymentId;
use super::maintenance;
use super::money::Currency;
use super::record::Operation;
use super::settings::{Provider, Settings};
use crate::clock::Timestamp;
use crate::resilience::Need;
use crate::types::ProviderName;

/// What a provider is wanted for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) payment: &'a PaymentId,
    pub(super) currency: Currency,
    pub(super) method: &'a str,
    /// Whether the money is to be captured at once.
    pub(super) capture: bool,
    /// Asked already in this run.
    pub(super) tried: &'a [ProviderName],
}

/// Why a provider is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It was asked before in this run.
    Tried,
    /// It can't do the steps that are asked for.
    Steps,
    /// It does not take the currency.
    Currency,
    /// It does not take the method.
    Method,
    /// Its weight is 0.
    Drained,
    /// It said that it would be away, until then.
    Maintenance(Timestamp),
    /// It is at its limit, for so long.
    Full(Duration),
    /// Its breaker refuses, for so long.
    Broken(Duration),
}

/// A provider that is not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PassedOver {
    pub(super) provider: ProviderName,
    pub(super) why: Why,
}

/// Providers in the order in which to ask them, and those not to ask.
#[derive(Debug)]
pub(super) struct Ranking<'a> {
    pub(super) candidates: Vec<&'a Arc<Provider>>,
    pub(super) passed_over: Vec<PassedOver>,
}

/// Who is asked, for what, and who was not.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) provider: Arc<Provider>,
    /// [`Operation::Charge`] or [`Operation::Prepare`].
    pub(super) operation: Operation,
    pub(super) permit: Permit,
    pub(super) passed_over: Vec<PassedOver>,
}

/// Nobody can be asked now; its text is for a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nobody {
    pub(super) passed_over: Vec<PassedOver>,
    /// When it makes sense to ask again.
    pub(super) retry_after: Duration,
}

/// Chooses a provider and gets its permit.
///
/// # Errors
/// [`Nobody`] says why each was passed over, and when to ask again.
pub(super) fn choose(
    health: &Arc<Health>,
    settings: &Settings,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Chosen, Nobody> {
    let Ranking { candidates, mut passed_over } = rank(settings, &health.factors(settings), wanted, now);
    // One that is half-open gives way to others first.
    for need in [Need::Usual, Need::LastResort] {
        let mut refused = Vec::new();
        for provider in &candidates {
            let Some(operation) = opening(&*provider.adapter, wanted.capture) else { continue };
            match health.admit(provider, need) {
                Ok(permit) => {
                    passed_over.append(&mut refused);
                    return Ok(Chosen { provider: Arc::clone(provider), operation, permit, passed_over });
                }
                Err(Refused::Full(span)) => refused.push(provider.passed_over(Why::Full(span))),
                Err(Refused::Broken(span)) => refused.push(provider.passed_over(Why::Broken(span))),
            }
        }
        if need == Need::LastResort {
            passed_over.append(&mut refused);
        }
    }
    Err(Nobody::of(passed_over, now))
}

/// Providers that take what is wanted, the first choice first; `factors` multiply their weights.
#[must_use]
pub(super) fn rank<'a>(settings: &'a Settings, factors: &[f64], wanted: &Wanted<'_>, now: Timestamp) -> Ranking<'a> {
    let (mut drawn, mut passed_over) = (Vec::new(), Vec::new());
    for (place, provider) in settings.providers.iter().enumerate() {
        match objection(provider, wanted, now) {
            Some(why) => passed_over.push(provider.passed_over(why)),
            None => {
                let weight = f64::from(provider.weight) * factors.get(place).copied().unwrap_or(1.0);
                drawn.push((score(wanted.payment, provider.name.as_str(), weight), provider));
            }
        }
    }
    drawn.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Ranking { candidates: drawn.into_iter().map(|(_, provider)| provider).collect(), passed_over }
}

/// The operation that begins a payment with this adapter; `None` if it can't do what is asked for.
#[must_use]
pub(super) fn opening(adapter: &dyn Adapter, capture: bool) -> Option<Operation> {
    if capture && adapter.ability(Operation::Charge) == Ability::Call && !adapter.confirms_itself() {
        return Some(Operation::Charge);
    }
    let two_steps =
        adapter.ability(Operation::Prepare) != Ability::None && adapter.ability(Operation::Confirm) == Ability::Call;
    two_steps.then_some(Operation::Prepare)
}

fn objection(provider: &Provider, wanted: &Wanted<'_>, now: Timestamp) -> Option<Why> {
    if opening(&*provider.adapter, wanted.capture).is_none() {
        Some(Why::Steps)
    } else if !provider.currencies.is_empty() && !provider.currencies.contains(&wanted.currency) {
        Some(Why::Currency)
    } else if !provider.methods.is_empty() && !provider.methods.iter().any(|method| method == wanted.method) {
        Some(Why::Method)
    } else if wanted.tried.contains(&provider.name) {
        Some(Why::Tried)
    } else if provider.weight == 0 {
        Some(Why::Drained)
    } else {
        maintenance::open_until(&provider.maintenance, now).map(Why::Maintenance)
    }
}

/// Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): `-weight / ln(u)` for a uniform `u`.
fn score(payment: &PaymentId, provider: &str, weight: f64) -> f64 {
    let hash = digest(&SHA256, format!("{payment}/{provider}").as_bytes());
    let head: [u8; 8] = hash.as_ref()[..8].try_into().expect("SHA-256 has 32 bytes");
    // 53 bits fill a double's mantissa; the half keeps `u` strictly between 0 and 1.
    let uniform = ((u64::from_be_bytes(head) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -weight / uniform.ln()
}

impl Provider {
    fn passed_over(&self, why: Why) -> PassedOver {
        PassedOver { provider: self.name.clone(), why }
    }
}

impl Why {
    /// As metrics write it.
    #[must_use]
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Steps => "steps",
            Self::Currency => "currency",
            Self::Method => "method",
            Self::Drained => "drained",
            Self::Maintenance(_) => "maintenance",
            Self::Full(_) => "full",
            Self::Broken(_) => "breaker",
        }
    }

    /// Whether the provider takes payments of this kind at other times, or did.
    fn may_pass(self) -> bool {
        !matches!(self, Self::Steps | Self::Currency | Self::Method)
    }

    /// How long it will be so, where that is known.
    fn wait(self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::Maintenance(until) => Some(until.since(now)),
            Self::Full(span) | Self::Broken(span) => Some(span),
            Self::Tried | Self::Steps | Self::Currency | Self::Method | Self::Drained => None,
        }
    }
}

impl Nobody {
    /// Everybody was passed over.
    #[must_use]
    pub(super) fn of(passed_over: Vec<PassedOver>, now: Timestamp) -> Self {
        let waits = passed_over.iter().filter_map(|one| one.why.wait(now));
        let retry_after = waits.min().unwrap_or(Duration::from_secs(1));
        Self { passed_over, retry_after }
    }

    /// Whether some provider takes payments of this kind at other times.
    #[must_use]
    pub(super) fn takes_it(&self) -> bool {
        self.passed_over.iter().any(|one| one.why.may_pass())
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = &self.provider;
        match self.why {
            Why::Tried => write!(f, "{provider} was tried"),
            Why::Steps => write!(f, "{provider} can't do it in these steps"),
            Why::Currency => write!(f, "{provider} does not take the currency"),
            Why::Method => write!(f, "{provider} does not take the method"),
            Why::Drained => write!(f, "{provider} takes no new payments"),
            Why::Maintenance(until) => write!(f, "{provider} is under maintenance until {}", until.rfc3339()),
            Why::Full(_) => write!(f, "{provider} is at its limit"),
            Why::Broken(_) => write!(f, "{provider} does not work at the moment"),
        }
    }
}

/// Of those that take payments of this kind, if there are any: the others were never to be asked.
impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let takes_it = self.takes_it();
        let told = self.passed_over.iter().filter(|one| !takes_it || one.why.may_pass());
        for (place, one) in told.enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{one}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
