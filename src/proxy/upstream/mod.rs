//! Backends as one core sees them: endpoints, their idle connections, and how to get a new one.
//!
//! Nothing here is shared between cores but each backend's count of requests under way. Endpoints
//! are kept across reloads as long as address, protocol and TLS stay the same.

mod connect;
mod endpoint;
mod exchange;
mod h2;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

pub(crate) use connect::{ConnectError, resolve_connect};
pub(crate) use endpoint::{Connection, Endpoint};
pub(crate) use exchange::{Event, Exchange, ExchangeError, INTERIM_LIMIT};
pub(crate) use h2::OnStream;

use crate::resilience::RetryBudget;
use crate::resilience::balance::{self, AVOID_AFTER_FAILED_CONNECT, Load};
use crate::snapshot::Backend;
use crate::telemetry::{CoreMetrics, UpstreamSeries};

/// Counts of requests under way by backend, over all cores and reloads.
#[derive(Debug, Default)]
pub(crate) struct InFlightCounts(std::sync::Mutex<HashMap<String, Arc<AtomicU32>>>);

impl InFlightCounts {
    fn of(&self, backend: &str) -> Arc<AtomicU32> {
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(counts.entry(backend.to_owned()).or_default())
    }

    /// Forgets backends that no core knows any more and that have no request under way.
    pub(crate) fn tidy(&self) {
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counts.retain(|_, count| Arc::strong_count(count) > 1);
    }
}

/// A backend on one core.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) backend: Arc<Backend>,
    pub(crate) endpoints: Vec<Rc<Endpoint>>,
    pub(crate) series: Arc<UpstreamSeries>,
    pub(crate) budget: Rc<RefCell<RetryBudget>>,
    in_flight: Arc<AtomicU32>,
}

/// A request under way; counts itself out when dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    upstream: Rc<Upstream>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.upstream.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.upstream.series.in_flight.dec();
    }
}

impl Upstream {
    /// A backend of a new snapshot; takes over what `before` has that is still the same.
    pub(crate) fn new(
        backend: &Arc<Backend>,
        before: Option<&Self>,
        counts: &InFlightCounts,
        metrics: &CoreMetrics,
        cores: usize,
    ) -> Self {
        let series = metrics.upstream(backend.name.as_str());
        let endpoints = backend
            .endpoints
            .iter()
            .map(|address| {
                let kept = before
                    .and_then(|before| before.endpoints.iter().find(|endpoint| endpoint.is_same(address, backend)));
                kept.map_or_else(
                    || Rc::new(Endpoint::new(address, backend, Arc::clone(&series))),
                    |kept| {
                        kept.set_tls(backend.tls.clone());
                        Rc::clone(kept)
                    },
                )
            })
            .collect();
        Self {
            backend: Arc::clone(backend),
            endpoints,
            series,
            budget: before.map_or_else(
                || Rc::new(RefCell::new(RetryBudget::new(Instant::now(), cores))),
                |before| Rc::clone(&before.budget),
            ),
            in_flight: counts.of(backend.name.as_str()),
        }
    }

    /// Counts a request in; `None` if the backend is at its limit.
    pub(crate) fn enter(self: &Rc<Self>) -> Option<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if before >= self.backend.max_in_flight {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.series.in_flight.inc();
        Some(InFlight { upstream: Rc::clone(self) })
    }

    /// The less loaded of two; `None` when every endpoint was `tried` (bit n: endpoint n).
    pub(crate) fn choose(&self, tried: u64, random: u64, now: Instant) -> Option<(usize, &Rc<Endpoint>)> {
        let load = |index: usize| {
            let endpoint = &self.endpoints[index];
            let tried = index < u64::BITS as usize && tried & (1 << index) != 0;
            Load { in_flight: endpoint.in_flight(), avoid_until: endpoint.avoid_until(), tried }
        };
        balance::pick(self.endpoints.len(), random, now, load).map(|index| (index, &self.endpoints[index]))
    }

    /// Marks an endpoint as not to be connected to for a moment.
    pub(crate) fn avoid(endpoint: &Endpoint, now: Instant) {
        endpoint.set_avoid_until(now + AVOID_AFTER_FAILED_CONNECT);
    }

    /// Closes idle connections that are over their time or that the backend has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        for endpoint in &self.endpoints {
            endpoint.sweep(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_that_is_gone_is_forgotten_once_it_has_no_request_under_way() {
        let counts = InFlightCounts::default();
        let under_way = counts.of("gone");
        drop(counts.of("long-gone"));
        counts.tidy();
        assert!(Arc::ptr_eq(&under_way, &counts.of("gone")), "who comes back finds the requests that are under way");
        drop(under_way);
        counts.tidy();
        assert!(counts.0.lock().expect("lock").is_empty());
    }
}
