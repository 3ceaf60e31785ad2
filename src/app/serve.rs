//! `figway serve`: wires the gateway together, and ends it in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cli::ServeArgs;
use super::explainer::Published;
use super::payments::Payments;
use crate::admin::{self, AdminState, Limits, Readiness};
use crate::clock::Timestamp;
use crate::config::Kept;
use crate::proxy::{self, DataPlane};
use crate::reload::{self, Files, KeyFetcher, ReloadTrigger, Reloader};
use crate::snapshot::{AccessLog, Snapshot, SnapshotHandle};
use crate::telemetry::{AccessLogWriter, Destination, FlagActivity, Metrics};
use crate::types::Revision;

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
        // Before anybody can hear "ready", and end the process right then.
        let mut signals = Signals::listen()?;
        let gateway = tokio::select! {
            gateway = Gateway::start(Options { config: args.config }) => gateway?,
            () = signals.end() => return Ok(()),
        };
        gateway.run_until_told(signals).await
    });
    runtime.shutdown_background(); // whoever was told twice does not wait for what is still under way
    ended.map(|()| ExitCode::SUCCESS)
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    End,
}

/// The signals that the process listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }

    /// Completes when the process is told to end.
    async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
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
    control: Control,
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
        let mut control = Control::default();
        let (publications, counted) = (reloader.published(), Arc::clone(&metrics));
        let payments =
            Payments::open(Arc::clone(&handle), publications, counted, |task| control.run_until_ended(task)).await;
        // Taken before clients are served, answered after: whoever hears "ready" can be served.
        let admin_listener = match snapshot.startup.admin_listen {
            Some(address) => Some(listen_for_people(address).await?),
            None => None,
        };
        let admin_address = admin_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let data_plane = DataPlane::start(proxy::Options {
            listen: snapshot.startup.listen.clone(),
            threads: snapshot.startup.threads,
            descriptors: super::descriptors::available(),
            handle: Arc::clone(&handle),
            metrics: Arc::clone(&metrics),
            access_log: access_log.clone(),
            payments: payments.distributor(),
            control: tokio::runtime::Handle::current(),
        })
        .context("server.listen")?;

        let readiness = Arc::new(Readiness::new());
        let activity = Arc::new(FlagActivity::new(Arc::clone(&metrics)));
        let trigger = reloader.trigger();
        let fetcher = KeyFetcher::new(kept, super::key_fetch::fetcher(), Arc::clone(&metrics));
        control.run(fetch_keys(fetcher, reloader.published(), Arc::clone(&readiness), control.ended()));
        control.run_until_ended(follow_flags(Arc::clone(&activity)));
        control.run_until_ended(follow_access_log(reloader.published(), Arc::clone(&handle), access_log.clone()));
        if let Some(listener) = admin_listener {
            let state = AdminState {
                handle: Arc::clone(&handle),
                changes: reloader.writer(),
                explainer: Arc::new(Published(Arc::clone(&handle))),
                payments: payments.records(),
                metrics: Arc::new(move || metrics.render()),
                activity,
                readiness: Arc::clone(&readiness),
                limits: Limits::default(),
            };
            control.run(admin::serve(listener, state, control.ended()));
        }
        control.run(reloader.run(control.ended()));
        Ok(Self { data_plane, admin_address, payments, handle, trigger, readiness, access_log, control })
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
    async fn run_until_told(self, mut signals: Signals) -> anyhow::Result<()> {
        for address in self.addresses() {
            tracing::info!(%address, "serving");
        }
        if let Some(address) = self.admin_address {
            tracing::info!(%address, "control plane");
        }
        while signals.next().await == Told::Reload {
            tracing::info!("SIGHUP: looking at the files again");
            self.access_log.reopen(destination(&self.handle.load()));
            self.trigger.reload_now().await;
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
            () = signals.end() => {}
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
        self.control.end().await;
        self.access_log.flush();
        tracing::info!("ended");
    }
}

/// The control plane's tasks, which end together.
#[derive(Default)]
struct Control {
    ending: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Control {
    /// Ready once the end has begun.
    fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ending = self.ending.subscribe();
        async move {
            // An error means that nobody can say it any more, which is an end too.
            let _ = ending.wait_for(|ending| *ending).await;
        }
    }

    /// Runs a task that ends by itself once the end has begun.
    fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// Runs a task that has no end of its own.
    fn run_until_ended(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended();
        self.run(async move {
            tokio::select! {
                () = task => {}
                () = ended => {}
            }
        });
    }

    async fn end(self) {
        self.ending.send_replace(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn listen_for_people(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("admin.listen: can't listen on {address}"))
}

/// Fetches all keys once, which is when traffic may come, and then keeps them fresh.
async fn fetch_keys(
    fetcher: KeyFetcher,
    published: watch::Receiver<Revision>,
    readiness: Arc<Readiness>,
    ended: impl Future<Output = ()> + Send,
) {
    fetcher.prefetch().await;
    readiness.keys_are_prefetched();
    fetcher.run(published, ended).await;
}

/// Looks at what flags are asked, again and again.
async fn follow_flags(activity: Arc<FlagActivity>) {
    let mut looks = tokio::time::interval(FlagActivity::EVERY);
    loop {
        looks.tick().await;
        activity.look(Timestamp::now());
    }
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
    mut published: watch::Receiver<Revision>,
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
