//! `figway serve`: wires the gateway together, and ends it in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cli::ServeArgs;
use super::explainer::Published;
use super::payments::Payments;
use crate::admin::{self, AdminState, Limits, Readiness};
use crate::config::Kept;
use crate::proxy::{self, DataPlane};
use crate::reload::{self, Files, KeyFetcher, ReloadTrigger, Reloader};
use crate::snapshot::{AccessLog, Snapshot, SnapshotHandle};
use crate::telemetry::{AccessLogWriter, Destination, Metrics};

/// Threads of the control plane's runtime: it serves people, reloads and payments, not the traffic.
const CONTROL_THREADS: usize = 2;

/// What payments get at the end even if connections took the whole drain timeout.
const LAST_PAYMENTS: Duration = Duration::from_secs(1);

/// Runs the gateway until SIGTERM or SIGINT.
pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    super::logging::start("info,h2=error,hyper=error,rustls=error");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let gateway = Gateway::start(Options { config: args.config }).await?;
        gateway.run_until_told().await
    });
    runtime.shutdown_background(); // whoever was told twice does not wait for what is still under way
    ended.map(|()| ExitCode::SUCCESS)
}

/// What a gateway is started with.
#[derive(Debug)]
pub(crate) struct Options {
    /// The config file.
    pub(crate) config: PathBuf,
}

/// A running gateway.
pub(crate) struct Gateway {
    data_plane: DataPlane,
    admin_address: Option<SocketAddr>,
    payments: Payments,
    handle: Arc<SnapshotHandle>,
    trigger: ReloadTrigger,
    readiness: Arc<Readiness>,
    access_log: AccessLogWriter,
    /// Told when the control plane is to end.
    ending: watch::Sender<bool>,
    control: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Loads, listens and serves; returns once everything does. Must run on the control plane's runtime.
    pub(crate) async fn start(options: Options) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let kept = Arc::new(Kept::default());
        let files = Files::new(&options.config, Arc::clone(&kept));
        let reload_options = reload::Options::new(options.config, files, Arc::clone(&metrics));
        let (reloader, handle) = tokio::task::spawn_blocking(|| Reloader::start(reload_options)).await??;
        let snapshot = handle.load();
        let access_log = AccessLogWriter::start(destination(&snapshot), &metrics)?;
        let payments = Payments::open(&snapshot, &metrics).await;
        let (ending, ended) = watch::channel(false);
        let mut control = Vec::new();

        let readiness = Arc::new(Readiness::new());
        let fetcher = KeyFetcher::new(Arc::clone(&kept), super::key_fetch::fetcher(), Arc::clone(&metrics));
        let (published, ready) = (reloader.published(), Arc::clone(&readiness));
        let until = ended.clone();
        control.push(tokio::spawn(async move {
            fetcher.prefetch().await;
            ready.keys_are_prefetched();
            fetcher.run(published, told(until)).await;
        }));

        // Taken before clients are served, answered after: whoever hears "ready" can be served.
        let admin_listener = match snapshot.startup.admin_listen {
            Some(address) => Some(listen_for_people(address).await?),
            None => None,
        };
        let rendered = Arc::clone(&metrics);
        let data_plane = DataPlane::start(proxy::Options {
            listen: snapshot.startup.listen.clone(),
            threads: snapshot.startup.threads,
            descriptors: super::descriptors::available(),
            handle: Arc::clone(&handle),
            metrics,
            access_log: access_log.clone(),
            payments: payments.distributor(),
            control: tokio::runtime::Handle::current(),
        })
        .context("server.listen")?;
        let admin_address = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some(listener) = admin_listener {
            let state = AdminState {
                handle: Arc::clone(&handle),
                changes: reloader.writer(),
                explainer: Arc::new(Published(Arc::clone(&handle))),
                payments: payments.records(),
                metrics: Arc::new(move || rendered.render()),
                readiness: Arc::clone(&readiness),
                limits: Limits::default(),
            };
            control.push(tokio::spawn(admin::serve(listener, state, told(ended.clone()))));
        }

        let trigger = reloader.trigger();
        let follow = follow_access_log(reloader.published(), Arc::clone(&handle), access_log.clone());
        let until = ended.clone();
        // The sender of publications lives as long as anybody can ask for a reload, so its end can't be waited for.
        control.push(tokio::spawn(async move {
            tokio::select! {
                () = follow => {}
                () = told(until) => {}
            }
        }));
        control.push(tokio::spawn(reloader.run(told(ended))));
        Ok(Self { data_plane, admin_address, payments, handle, trigger, readiness, access_log, ending, control })
    }

    /// Where clients are served.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.data_plane.addresses()
    }

    /// Where the control plane is served, if it is.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Serves until SIGTERM or SIGINT, reloading on SIGHUP; then drains.
    async fn run_until_told(self) -> anyhow::Result<()> {
        for address in self.addresses() {
            tracing::info!(%address, "serving");
        }
        if let Some(address) = self.admin_address {
            tracing::info!(%address, "control plane");
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    tracing::info!("SIGHUP: looking at the files again");
                    self.access_log.reopen(destination(&self.handle.load()));
                    self.trigger.reload_now().await;
                }
            }
        }
        let drain = self.handle.load().server.drain;
        tracing::info!(delay_ms = drain.delay.as_millis(), timeout_ms = drain.timeout.as_millis(), "draining");
        self.readiness.drain();
        let access_log = self.access_log.clone();
        let drained = async {
            tokio::time::sleep(drain.delay).await;
            self.shutdown().await;
        };
        tokio::select! {
            () = drained => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told again: what is under way is cut");
        access_log.flush();
        Ok(())
    }

    /// Stops accepting, waits for requests and payments under way up to the drain timeout, and ends.
    pub(crate) async fn shutdown(self) {
        self.readiness.drain();
        let (begun, timeout) = (Instant::now(), self.handle.load().server.drain.timeout);
        let cut = self.data_plane.drain(timeout).await;
        if cut > 0 {
            tracing::warn!(connections = cut, "the drain timeout is over; connections are cut");
        }
        let _ = tokio::task::spawn_blocking(|| self.data_plane.stop()).await;
        self.payments.end(timeout.saturating_sub(begun.elapsed()).max(LAST_PAYMENTS)).await;
        self.ending.send_replace(true);
        for task in self.control {
            let _ = task.await;
        }
        self.access_log.flush();
        tracing::info!("ended");
    }
}

async fn listen_for_people(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("admin.listen: can't listen on {address}"))
}

/// Ready once the watched value says so, or nobody can say it any more.
async fn told(mut ending: watch::Receiver<bool>) {
    let _ = ending.wait_for(|ending| *ending).await;
}

fn destination(snapshot: &Snapshot) -> Destination {
    match &snapshot.server.access_log {
        AccessLog::Stdout => Destination::Stdout,
        AccessLog::File(path) => Destination::File(path.clone()),
        AccessLog::Off => Destination::Off,
    }
}

/// Opens the access log anew when a publication names another place.
async fn follow_access_log(
    mut published: watch::Receiver<crate::types::Revision>,
    handle: Arc<SnapshotHandle>,
    log: AccessLogWriter,
) {
    let mut current = destination(&handle.load());
    while published.changed().await.is_ok() {
        let wanted = destination(&handle.load());
        if wanted != current {
            log.reopen(wanted.clone());
            current = wanted;
        }
    }
}
