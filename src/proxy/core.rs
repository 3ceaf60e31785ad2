//! What one core owns: its view of the snapshot, its upstreams, its ids and its log lines.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use smallvec::SmallVec;

use super::forwarded::StripList;
use super::record::Spare;
use super::upstream::{InFlightCounts, Upstream};
use crate::clock::Timestamp;
use crate::payments::Distributor;
use crate::snapshot::{Backend, Route, Snapshot, SnapshotHandle, Target};
use crate::telemetry::{CoreMetrics, FlagSeries, IdSource, LineBuffer, Metrics, RouteSeries};

/// What all cores share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) handle: Arc<SnapshotHandle>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) in_flight: InFlightCounts,
    pub(crate) payments: Arc<OnceLock<Arc<Distributor>>>,
    /// The control plane's runtime, where payments run.
    pub(crate) control: tokio::runtime::Handle,
    pub(crate) connections: AtomicUsize,
    /// What the process's descriptors leave for clients.
    pub(crate) most_connections: usize,
    pub(crate) cores: usize,
}

/// What requests leave is kept for this many new ones.
const SPARES: usize = 128;

/// What one core owns.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: CoreMetrics,
    pub(crate) ids: RefCell<IdSource>,
    pub(crate) log: RefCell<LineBuffer>,
    /// Told when draining begins.
    pub(crate) drain: tokio::sync::Notify,
    pub(crate) draining: Cell<bool>,
    /// What finished h2 requests left for new ones; HTTP/1 connections keep their own.
    spares: RefCell<Vec<Spare>>,
    view: RefCell<Rc<View>>,
    /// One moment on both clocks, set anew every tick, so that a request asks the machine for one of them only.
    moment: Cell<(Instant, Timestamp)>,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, log: LineBuffer, seed: u64) -> Self {
        let metrics = shared.metrics.core();
        let view = View::new(shared.handle.load(), None, &shared, &metrics);
        Self {
            ids: RefCell::new(IdSource::new(seed)),
            log: RefCell::new(log),
            drain: tokio::sync::Notify::new(),
            draining: Cell::new(false),
            spares: RefCell::default(),
            view: RefCell::new(Rc::new(view)),
            moment: Cell::new((Instant::now(), Timestamp::now())),
            shared,
            metrics,
        }
    }

    /// The view of the snapshot that is current now; a request pins it once.
    pub(crate) fn view(&self) -> Rc<View> {
        let current = self.shared.handle.cell().load();
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&current, &view.snapshot) {
            *view = Rc::new(View::new(Arc::clone(&current), Some(&view), &self.shared, &self.metrics));
        }
        Rc::clone(&view)
    }

    /// Memory and a timer for a request that has none of its connection's.
    pub(crate) fn take_spare(&self) -> Spare {
        self.spares.borrow_mut().pop().unwrap_or_default()
    }

    /// Keeps what a request leaves, up to a bound.
    pub(crate) fn keep_spare(&self, mut spare: Spare) {
        let mut spares = self.spares.borrow_mut();
        if spares.len() < SPARES {
            spare.head.clear();
            spares.push(spare);
        }
    }

    /// Now, on the monotonic clock and on the wall's.
    pub(crate) fn now(&self) -> (Instant, Timestamp) {
        let (then, wall) = self.moment.get();
        let now = Instant::now();
        (now, wall.plus(now.saturating_duration_since(then)))
    }

    /// Follows the wall clock wherever it was set.
    pub(crate) fn read_clocks(&self) {
        self.moment.set((Instant::now(), Timestamp::now()));
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

/// One core's view of one snapshot: the snapshot, its upstreams, and series looked up once.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) strip: StripList,
    upstreams: HashMap<String, Rc<Upstream>>,
    routes: Vec<OnceCell<RouteView>>,
}

/// A route's series and targets on one core.
#[derive(Debug)]
pub(crate) struct RouteView {
    /// For answers that the gateway made.
    pub(crate) own: Arc<RouteSeries>,
    /// By variant; a route without a flag has one, without a further step in memory.
    targets: SmallVec<[OnceCell<TargetView>; 1]>,
}

impl RouteView {
    /// The target at `variant`, if a request went there before.
    pub(crate) fn reached(&self, variant: usize) -> Option<&TargetView> {
        self.targets[variant].get()
    }
}

/// One backend of a route on one core.
#[derive(Debug)]
pub(crate) struct TargetView {
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) series: Arc<RouteSeries>,
    pub(crate) flag: Option<Arc<FlagSeries>>,
}

impl View {
    fn new(snapshot: Arc<Snapshot>, before: Option<&Self>, shared: &Shared, metrics: &CoreMetrics) -> Self {
        let upstreams = snapshot
            .backends
            .iter()
            .map(|backend| {
                let name = backend.name.as_str();
                let kept = before.and_then(|before| before.upstreams.get(name));
                let upstream = Upstream::new(backend, kept.map(Rc::as_ref), &shared.in_flight, metrics, shared.cores);
                (name.to_owned(), Rc::new(upstream))
            })
            .collect();
        shared.in_flight.tidy();
        let routes = snapshot.routes.iter().map(|_| OnceCell::new()).collect();
        let strip = StripList::new(snapshot.auth.identity_header_names());
        Self { snapshot, strip, upstreams, routes }
    }

    /// Closes idle connections that are over their time.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for upstream in self.upstreams.values() {
            upstream.sweep(now);
        }
    }

    pub(crate) fn route(&self, index: usize) -> &Route {
        &self.snapshot.routes[index]
    }

    pub(crate) fn route_view(&self, index: usize, metrics: &CoreMetrics) -> &RouteView {
        self.routes[index].get_or_init(|| {
            let route = self.route(index);
            let targets = match &route.target {
                Target::Flagged { backends, .. } => backends.len(),
                Target::Backend(_) | Target::Payments => 1,
            };
            RouteView {
                own: metrics.route(route.name.as_str(), None),
                targets: (0..targets).map(|_| OnceCell::new()).collect(),
            }
        })
    }

    /// The target at `variant` of a route's flag (0 without a flag), going to `backend`.
    pub(crate) fn target(&self, index: usize, variant: usize, backend: &Backend, metrics: &CoreMetrics) -> &TargetView {
        self.route_view(index, metrics).targets[variant].get_or_init(|| {
            let route = self.route(index);
            let flag = match &route.target {
                Target::Flagged { flag, .. } => {
                    Some(metrics.flag(flag.key.as_str(), flag.variants()[variant].as_str()))
                }
                Target::Backend(_) | Target::Payments => None,
            };
            TargetView {
                upstream: Rc::clone(&self.upstreams[backend.name.as_str()]),
                series: metrics.route(route.name.as_str(), Some(backend.name.as_str())),
                flag,
            }
        })
    }

    /// Whether `X-Forwarded-*` and `X-Request-Id` of this peer are believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.snapshot.server.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_without_a_flag_fits_on_a_line() {
        assert!(size_of::<OnceCell<RouteView>>() <= 64, "{} bytes", size_of::<OnceCell<RouteView>>());
        let view = RouteView { own: Arc::default(), targets: std::iter::once(OnceCell::new()).collect() };
        assert!(!view.targets.spilled());
    }
}
