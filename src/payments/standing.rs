//! How the providers stand, as operators see it: the admin API and the command line print this.

use std::sync::Arc;

use serde::Serialize;

use super::distributor::Distributor;
use super::health::Standing;
use super::maintenance::{Maintenance, Window};
use super::settings::{Provider, Settings};
use crate::clock::Timestamp;

/// A provider's part in new payments, ready for JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderView {
    /// Its name.
    pub provider: String,
    /// As configured, or as the flag says.
    pub weight: u32,
    /// What demotion multiplies it by: 1 unless the provider succeeds clearly less often than others.
    pub factor: f64,
    /// Of all new payments that everybody takes, while all can be asked; 0 to 1.
    pub share: f64,
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// How much longer it is at its limit, in milliseconds.
    pub full_for_ms: Option<u64>,
    /// Charges that succeeded lately …
    pub succeeded: u32,
    /// … of so many that were settled.
    pub settled: u32,
    /// The window that it is in.
    pub maintenance: Option<WindowView>,
    /// The window that comes next.
    pub next_maintenance: Option<WindowView>,
}

/// A maintenance window, ready for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// Its first moment (RFC 3339), by the clocks of its zone.
    pub from: String,
    /// The first moment after it.
    pub until: String,
    /// Whose clocks.
    pub zone: String,
}

impl Distributor {
    /// How each provider stands, in the order of the settings.
    #[must_use]
    pub fn providers(&self, settings: &Settings) -> Vec<ProviderView> {
        let standings = self.health.standings(settings);
        let total: f64 = settings.providers.iter().zip(&standings).map(|(one, standing)| weight(one, standing)).sum();
        let now = self.clock.wall();
        let views = settings.providers.iter().zip(&standings);
        views.map(|(provider, standing)| view(provider, standing, total, now)).collect()
    }
}

fn weight(provider: &Arc<Provider>, standing: &Standing) -> f64 {
    f64::from(provider.weight) * standing.factor
}

fn view(provider: &Arc<Provider>, standing: &Standing, total: f64, now: Timestamp) -> ProviderView {
    let open = provider.maintenance.iter().filter_map(|one| Some((one, one.open_at(now)?)));
    let next = provider.maintenance.iter().filter_map(|one| Some((one, one.after(now, 1).next()?)));
    let show = |(maintenance, window): (&Maintenance, Window)| WindowView::new(maintenance, window);
    ProviderView {
        provider: provider.name.as_str().into(),
        weight: provider.weight,
        factor: standing.factor,
        share: if total > 0.0 { weight(provider, standing) / total } else { 0.0 },
        breaker: standing.breaker.as_str(),
        full_for_ms: standing.full_for.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        succeeded: standing.tally.succeeded,
        settled: standing.tally.settled,
        maintenance: open.max_by_key(|(_, window)| window.until).map(show),
        next_maintenance: next.min_by_key(|(_, window)| window.from).map(show),
    }
}

impl WindowView {
    /// A window as its zone's clocks show it.
    #[must_use]
    pub fn new(maintenance: &Maintenance, window: Window) -> Self {
        let zone = maintenance.zone();
        Self { from: zone.show(window.from), until: zone.show(window.until), zone: zone.name().into() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Cron, Zone};
    use crate::payments::demotion::Tally;
    use crate::resilience::BreakerState;

    #[test]
    fn a_view_tells_share_factor_and_windows() {
        let seoul = Zone::named("Asia/Seoul").expect("a zone");
        let nightly = Maintenance::new(Cron::parse("0 2 * * *").expect("cron"), seoul, Duration::from_secs(3600));
        let provider = Arc::new(Provider { maintenance: vec![nightly], ..Provider::sample("alpha", 70) });
        let standing = Standing {
            breaker: BreakerState::HalfOpen,
            full_for: Some(Duration::from_millis(400)),
            tally: Tally { succeeded: 9, settled: 10 },
            factor: 0.5,
        };
        let now = Timestamp::parse("2026-11-21T17:30:00Z").expect("a moment");
        let view = view(&provider, &standing, 70.0, now);
        assert!((view.share - 0.5).abs() < 1e-9);
        assert_eq!((view.breaker, view.full_for_ms, view.succeeded), ("half-open", Some(400), 9));
        let open = view.maintenance.expect("open");
        assert_eq!((&*open.from, &*open.until), ("2026-11-22T02:00:00+09:00", "2026-11-22T03:00:00+09:00"));
        assert_eq!(view.next_maintenance.expect("another").from, "2026-11-23T02:00:00+09:00");
    }
}
