//! Listening sockets and the accept loop: one socket a core and address, shared out by the kernel.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::core::Core;

/// Connections that the kernel keeps waiting for each socket.
const BACKLOG: i32 = 4096;
/// How long accepting pauses when it can't go on.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds one address once for each core; port 0 is chosen by the first and shared by the others.
pub(super) fn bind(address: SocketAddr, cores: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let mut address = address;
    let mut listeners = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_tcp_nodelay(true)?; // what is accepted inherits it
        socket.listen(BACKLOG)?;
        let listener: std::net::TcpListener = socket.into();
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// An address on which another process listens with the same option would share its connections: refuse it.
pub(super) fn check_free(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

/// Accepts connections until draining begins.
pub(super) async fn accept(core: Rc<Core>, listener: std::net::TcpListener, serve: impl Fn(TcpStream, SocketAddr)) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listening socket can't be used");
            return;
        }
    };
    let mut drained = std::pin::pin!(core.drain.notified());
    let mut pausing = false;
    while !core.draining.get() {
        if is_full(&core) {
            note_pause(
                &core,
                &mut pausing,
                "as many connections are open as server.max_connections or the limit of open files allows",
            );
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut drained => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                pausing = false;
                core.metrics().connections_accepted.inc();
                serve(stream, peer);
            }
            // The client left before it was accepted: the next one may be there already.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                note_pause(&core, &mut pausing, &error.to_string());
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_full(core: &Core) -> bool {
    let most = core.view().snapshot.server.max_connections.min(core.shared.most_connections);
    core.shared.connections.load(Ordering::Relaxed) >= most
}

/// Says once that accepting pauses, and counts it.
fn note_pause(core: &Core, pausing: &mut bool, why: &str) {
    if !*pausing {
        *pausing = true;
        core.metrics().accept_pauses.inc();
        tracing::warn!(why, "accepting connections pauses");
    }
}
