//! The data plane: sockets, HTTP on both sides, and the path of a request between them.
//!
//! One single-threaded runtime a core; nothing on the path of a request is shared between cores but
//! the snapshot's pointer and counters. Start reading at [`exchange`] (what happens to a request)
//! and `http1/server.rs` or `http2/stream.rs` (how it comes in and goes out).
//!
//! Deliberately not here: WebSocket over HTTP/2 (extended CONNECT), forward proxying (CONNECT),
//! caching, and any rewriting of a backend's answers.

mod body;
mod convert;
mod core;
mod deadline;
mod exchange;
mod forward;
mod forwarded;
mod http1;
mod http2;
mod listener;
mod message;
mod record;
mod reply;
mod stream;
mod tunnel;
mod turn;
mod upstream;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::core::Shared;
use self::worker::Phase;
use crate::payments::Distributor;
use crate::snapshot::SnapshotHandle;
use crate::telemetry::{AccessLogWriter, Metrics};

/// What the data plane is started with.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 is allowed.
    pub listen: Vec<SocketAddr>,
    /// Cores to serve on; 0 means all of the machine's.
    pub threads: usize,
    /// Files and sockets that the process may have open, if there is a limit.
    pub descriptors: Option<u64>,
    /// The snapshots to serve by.
    pub handle: Arc<SnapshotHandle>,
    /// Where to count.
    pub metrics: Arc<Metrics>,
    /// Where access lines go.
    pub access_log: AccessLogWriter,
    /// Serves the payment API once its ledger is open; stays empty if payments are not configured.
    pub payments: Arc<OnceLock<Arc<Distributor>>>,
    /// The control plane's runtime.
    pub control: tokio::runtime::Handle,
}

/// Client connections that leave enough descriptors for backends, files and the control plane: a
/// quarter of all, between 32 and 4,096.
fn room_for_clients(descriptors: u64) -> usize {
    let reserve = (descriptors / 4).clamp(32, 4096);
    usize::try_from(descriptors.saturating_sub(reserve).max(1)).unwrap_or(usize::MAX)
}

/// Why the data plane can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A thread can't be started.
    #[error("can't start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// The running data plane.
#[derive(Debug)]
pub struct DataPlane {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    phase: watch::Sender<Phase>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl DataPlane {
    /// Binds every address and starts one thread a core.
    ///
    /// # Errors
    /// An address that can't be listened on, also because somebody else does.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let cores = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let mut listeners: Vec<Vec<std::net::TcpListener>> = (0..cores).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for address in options.listen {
            let refused = |error| StartError::Listen(address, error);
            listener::check_free(address).map_err(refused)?;
            let bound = listener::bind(address, cores).map_err(refused)?;
            addresses.push(bound[0].local_addr().map_err(refused)?);
            for (core, listener) in bound.into_iter().enumerate() {
                listeners[core].push(listener);
            }
        }
        let shared = Arc::new(Shared {
            handle: options.handle,
            metrics: options.metrics,
            in_flight: upstream::InFlightCounts::default(),
            payments: options.payments,
            control: options.control,
            connections: AtomicUsize::new(0),
            most_connections: options.descriptors.map_or(usize::MAX, room_for_clients),
            cores,
        });
        let (phase, watching) = watch::channel(Phase::Serving);
        let mut threads = Vec::with_capacity(cores);
        for (core, listeners) in listeners.into_iter().enumerate() {
            let (shared, log, phase) = (Arc::clone(&shared), options.access_log.buffer(), watching.clone());
            let seed = fastrand::u64(..);
            let thread = std::thread::Builder::new().name(format!("core-{core}")).spawn(move || {
                if let Err(error) = worker::run(shared, listeners, log, seed, phase) {
                    tracing::error!(%error, core, "a core can't run");
                }
            });
            threads.push(thread.map_err(StartError::Thread)?);
        }
        Ok(Self { shared, addresses, phase, threads })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Client connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Stops accepting, closes idle connections, answers what is under way with `Connection: close`
    /// or GOAWAY, and waits up to `timeout` for all connections to end. Returns how many were cut.
    pub async fn drain(&self, timeout: Duration) -> usize {
        let _ = self.phase.send(Phase::Draining);
        let start = Instant::now();
        while self.connections() > 0 && start.elapsed() < timeout {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.connections()
    }

    /// Ends every connection and thread.
    pub fn stop(self) {
        let _ = self.phase.send(Phase::Stopped);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}
