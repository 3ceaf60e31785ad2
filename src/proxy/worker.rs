//! One core: its runtime, its accept loops, its connections, and its small periodic chores.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::core::{Core, Shared};
use super::deadline::Deadline;
use super::http1::{self, ClientIo};
use super::stream::Stream;
use super::{http2, listener};
use crate::telemetry::LineBuffer;

/// How often log lines are handed over and a new snapshot is looked for when nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// Every so many ticks, idle upstream connections are looked through.
const SWEEP_EVERY: u32 = 10;
/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the process is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
    Stopped,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// The address as text, written once a connection.
    pub(crate) text: Rc<str>,
    pub(crate) tls: bool,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, tls: bool) -> Self {
        Self { ip, text: ip.to_string().into(), tls }
    }
}

/// Runs one core until the phase is [`Phase::Stopped`].
pub(super) fn run(
    shared: Arc<Shared>,
    listeners: Vec<std::net::TcpListener>,
    log: LineBuffer,
    seed: u64,
    mut phase: watch::Receiver<Phase>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let core = Rc::new(Core::new(shared, log, seed));
        let registry = Rc::new(Registry::default());
        for listener in listeners {
            let (accepting, core, registry) = (Rc::clone(&core), Rc::clone(&core), Rc::clone(&registry));
            tokio::task::spawn_local(listener::accept(accepting, listener, move |stream, peer| {
                let counted = Counted::new(&core);
                let (core, registry) = (Rc::clone(&core), Rc::clone(&registry));
                tokio::task::spawn_local(async move {
                    connection(core, registry, stream, peer.ip().to_canonical()).await;
                    drop(counted);
                });
            }));
        }
        tokio::task::spawn_local(chores(Rc::clone(&core), Rc::clone(&registry)));
        loop {
            match *phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Draining => {
                    core.draining.set(true);
                    core.drain.notify_waiters();
                    registry.wake_idle();
                }
                Phase::Stopped => break,
            }
            if phase.changed().await.is_err() {
                break;
            }
        }
        core.log.borrow_mut().hand_over();
    });
    Ok(())
}

/// Counts a connection while it is open.
struct Counted(Rc<Core>);

impl Counted {
    fn new(core: &Rc<Core>) -> Self {
        core.shared.connections.fetch_add(1, Ordering::Relaxed);
        core.metrics().connections.inc();
        Self(Rc::clone(core))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics().connections.dec();
    }
}

async fn chores(core: Rc<Core>, registry: Rc<Registry>) {
    let mut interval = tokio::time::interval(TICK);
    let mut ticks: u32 = 0;
    loop {
        interval.tick().await;
        ticks = ticks.wrapping_add(1);
        core.log.borrow_mut().hand_over();
        core.read_clocks();
        let view = core.view(); // also lets go of an old snapshot when no request does
        if ticks.is_multiple_of(SWEEP_EVERY) {
            view.sweep();
            registry.release_memory();
        }
    }
}

/// Serves one accepted connection: TLS if configured, then whichever HTTP version the client speaks.
async fn connection(core: Rc<Core>, registry: Rc<Registry>, tcp: TcpStream, ip: IpAddr) {
    let view = core.view();
    let server = &view.snapshot.server;
    let (stream, speaks_h2) = match &server.tls {
        None => (Stream::Plain(tcp), false),
        Some(tls) => {
            let handshake = TlsAcceptor::from(Arc::clone(&tls.config)).accept(tcp);
            match Box::pin(pingora_timeout::timeout(server.timeouts.header, handshake)).await {
                Ok(Ok(stream)) => {
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    (Stream::Tls(Box::new(stream.into())), h2)
                }
                Ok(Err(error)) => return tracing::debug!(%error, client = %ip, "TLS handshake failed"),
                Err(_) => return tracing::debug!(client = %ip, "TLS handshake took too long"),
            }
        }
    };
    let peer = Peer::new(ip, server.tls.is_some());
    drop(view); // an idle connection must not hold on to an old snapshot
    if speaks_h2 {
        return Box::pin(http2::server::serve(core, peer, stream, BytesMut::new())).await;
    }
    let io = Rc::new(RefCell::new(ClientIo::new(stream, BytesMut::new())));
    let registration = registry.add(&io);
    if !peer.tls {
        match sniff(&core, &io).await {
            Some(true) => {
                drop(registration);
                let Some(io) = Rc::into_inner(io) else { return };
                let ClientIo { stream, buffer, .. } = io.into_inner();
                return Box::pin(http2::server::serve(core, peer, stream, buffer)).await;
            }
            Some(false) => {}
            None => return,
        }
    }
    http1::server::serve(core, peer, io, registration).await;
}

/// Whether the client begins with HTTP/2's preface; `None` if it left or said nothing in time.
async fn sniff(core: &Core, io: &RefCell<ClientIo>) -> Option<bool> {
    let timeouts = core.view().snapshot.server.timeouts;
    let mut deadline = Deadline::after(timeouts.idle);
    let mut begun = false;
    std::future::poll_fn(|cx| {
        let mut io = io.borrow_mut();
        loop {
            if io
                .buffer
                .first()
                .is_some_and(|first| !first.is_ascii_graphic() && !matches!(first, b'\r' | b'\n' | b' '))
            {
                return Poll::Ready(None); // a TLS hello, most likely: nothing that could read an answer
            }
            let seen = io.buffer.len().min(PREFACE.len());
            if seen == PREFACE.len() || io.buffer[..seen] != PREFACE[..seen] {
                return Poll::Ready(Some(io.buffer.starts_with(PREFACE)));
            }
            if seen > 0 && !begun {
                begun = true;
                deadline.set(timeouts.header);
            }
            match io.poll_fill(cx) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => return Poll::Ready(begun.then_some(false)),
                Poll::Pending => {
                    ready!(deadline.poll(cx));
                    return Poll::Ready(begun.then_some(false));
                }
            }
        }
    })
    .await
}

/// The core's HTTP/1 connections, so that idle ones can be woken when draining begins.
#[derive(Debug, Default)]
pub(crate) struct Registry(RefCell<slab::Slab<Registered>>);

#[derive(Debug)]
struct Registered {
    io: Weak<RefCell<ClientIo>>,
    state: Cell<Activity>,
}

/// What a connection is doing, as far as others must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// Within a request.
    Busy,
    /// Between requests.
    Idle,
    /// Between requests for so long that its buffers were freed.
    Asleep,
}

impl Registry {
    fn add(self: &Rc<Self>, io: &Rc<RefCell<ClientIo>>) -> Registration {
        let key = self.0.borrow_mut().insert(Registered { io: Rc::downgrade(io), state: Cell::new(Activity::Idle) });
        Registration { registry: Rc::clone(self), key }
    }

    /// Frees the buffers of connections that are idle; called once a second, so that busy ones keep theirs.
    fn release_memory(&self) {
        for (_, registered) in self.0.borrow().iter().filter(|(_, registered)| registered.state.get() == Activity::Idle)
        {
            if let Some(io) = registered.io.upgrade() {
                io.borrow_mut().release_memory();
            }
            registered.state.set(Activity::Asleep);
        }
    }

    /// Ends the input of idle connections: they wake, find nothing, and close.
    fn wake_idle(&self) {
        for (_, registered) in self.0.borrow().iter().filter(|(_, registered)| registered.state.get() != Activity::Busy)
        {
            if let Some(io) = registered.io.upgrade() {
                let _ = socket2::SockRef::from(io.borrow().stream.tcp()).shutdown(std::net::Shutdown::Read);
            }
        }
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Rc<Registry>,
    key: usize,
}

impl Registration {
    /// Between requests, or within one.
    pub(crate) fn set_idle(&self, idle: bool) {
        let state = if idle { Activity::Idle } else { Activity::Busy };
        self.registry.0.borrow()[self.key].state.set(state);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.0.borrow_mut().remove(self.key);
    }
}
