//! The control plane's listener: bounded connections, time limits against slow callers, a clean end.
//!
//! HTTP/1.1 without TLS: it is meant for loopback or a private network; put a TLS proxy in front of anything else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::stall::StallGuard;
use super::{AdminState, Ends, Limits, router};

/// How long answers under way may take once the end has begun.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// After a failed accept (no descriptors left), how long to leave the listener alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` completes and the answers under way are out (5 s at most).
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()> + Send) {
    let limits = state.limits;
    let service = router(state);
    let free = Arc::new(Semaphore::new(limits.connections));
    // Each connection holds a receiver: `closed` tells when the last one is gone.
    let (ending, ended) = watch::channel(false);
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, service.clone(), limits, ended.clone());
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("control plane can't accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    drop(listener);
    drop(ended);
    ending.send_replace(true);
    if tokio::time::timeout(LAST_ANSWERS, ending.closed()).await.is_err() {
        tracing::warn!("control plane ended with answers under way");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: Router,
    limits: Limits,
    ended: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { local, peer };
    let mut ending = Ending(ended);
    let told = ending.clone();
    let service = TowerToHyperService::new(service);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ends);
        request.extensions_mut().insert(told.clone());
        service.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(32 << 10)
        .serve_connection(TokioIo::new(StallGuard::new(stream, limits.stalled_write)), service);
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = &mut served => outcome,
        () = ending.wait() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, "control plane connection ended: {error}");
    }
}

/// Tells answers without an end of their own that the process is ending.
#[derive(Debug, Clone)]
pub(super) struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Completes when the end has begun.
    pub(super) async fn wait(&mut self) {
        // An error means that the sender is gone, which is an end too; dropping the guard lets the future be sent.
        drop(self.0.wait_for(|ended| *ended).await);
    }
}
