//! One address of a backend: its idle connections and its load, on one core.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connect::Resolved;
use super::h2::H2Connection;
use crate::proxy::http1::client::Http1Exchange;
use crate::snapshot::{Backend, BackendTls, EndpointAddress, Protocol};
use crate::telemetry::UpstreamSeries;

/// Idle connections are closed after this long: shorter than what servers commonly keep (60 s and more);
/// a backend that keeps less says so in `Keep-Alive`, or loses the race and the request is sent again.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// One address of a backend.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: EndpointAddress,
    /// The address as text, for the log.
    pub(crate) text: String,
    pub(crate) protocol: Protocol,
    pub(crate) series: Arc<UpstreamSeries>,
    pub(super) resolved: RefCell<Option<Resolved>>,
    pub(super) tls: RefCell<Option<BackendTls>>,
    pub(super) h2: RefCell<Vec<H2Connection>>,
    pub(super) h2_connecting: tokio::sync::Mutex<()>,
    idle: RefCell<Vec<Idle>>,
    in_flight: Cell<u32>,
    avoid_until: Cell<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    exchange: Box<Http1Exchange>,
    until: Instant,
}

/// A request at an endpoint; counts itself out when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: std::rc::Rc<Endpoint>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.endpoint.in_flight.set(self.endpoint.in_flight.get() - 1);
    }
}

impl Endpoint {
    pub(super) fn new(address: &EndpointAddress, backend: &Backend, series: Arc<UpstreamSeries>) -> Self {
        Self {
            address: address.clone(),
            text: address.to_string(),
            protocol: backend.protocol,
            series,
            resolved: RefCell::default(),
            tls: RefCell::new(backend.tls.clone()),
            h2: RefCell::default(),
            h2_connecting: tokio::sync::Mutex::default(),
            idle: RefCell::default(),
            in_flight: Cell::new(0),
            avoid_until: Cell::new(None),
        }
    }

    /// Connections of this endpoint may serve `backend` at `address`.
    pub(super) fn is_same(&self, address: &EndpointAddress, backend: &Backend) -> bool {
        let tls = self.tls.borrow();
        let sni = |tls: &Option<BackendTls>| tls.as_ref().map(|tls| tls.sni.clone());
        self.address == *address && self.protocol == backend.protocol && sni(&tls) == sni(&backend.tls)
    }

    /// New connections use the new snapshot's roots.
    pub(super) fn set_tls(&self, tls: Option<BackendTls>) {
        *self.tls.borrow_mut() = tls;
    }

    /// Connections are TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.tls.borrow().is_some()
    }

    /// Counts a request in.
    pub(crate) fn enter(self: &std::rc::Rc<Self>) -> Connection {
        self.in_flight.set(self.in_flight.get() + 1);
        Connection { endpoint: std::rc::Rc::clone(self) }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    pub(super) fn set_avoid_until(&self, until: Instant) {
        self.avoid_until.set(Some(until));
    }

    pub(super) fn avoid_until(&self) -> Option<Instant> {
        self.avoid_until.get()
    }

    /// An idle connection that is still open, the one used last.
    pub(crate) fn take_idle(&self, now: Instant) -> Option<Box<Http1Exchange>> {
        loop {
            let Idle { mut exchange, until } = self.idle.borrow_mut().pop()?;
            self.series.idle.dec();
            if now < until && exchange.is_usable() {
                return Some(exchange);
            }
        }
    }

    /// Keeps a connection, used last at `now`, for the next request.
    pub(crate) fn give_back(&self, exchange: Box<Http1Exchange>, now: Instant) {
        let until = now + exchange.idle_for().min(IDLE);
        self.series.idle.inc();
        self.idle.borrow_mut().push(Idle { exchange, until });
    }

    /// Closes every idle connection: after one of them turned out to be closed, the others are likely to be.
    pub(crate) fn drop_idle(&self) {
        let dropped = std::mem::take(&mut *self.idle.borrow_mut());
        self.series.idle.sub(dropped.len() as u64);
    }

    pub(super) fn sweep(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain_mut(|idle| {
            let keep = now < idle.until && idle.exchange.is_usable();
            idle.exchange.release_memory();
            keep
        });
        self.series.idle.sub((before - idle.len()) as u64);
        drop(idle);
        self.sweep_h2(now);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.drop_idle();
    }
}
