//! HTTP/2 connections to one endpoint: shared by the requests of a core, and further ones when the
//! backend takes no more streams on them.
//!
//! There are no pings: gRPC servers end a connection that sends them while it is silent. A connection
//! on which a request timed out takes no new ones instead, so that a host that is gone is found out.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};

use super::endpoint::IDLE;
use super::{ConnectError, Endpoint, resolve_connect};
use crate::proxy::http2::Coalesced;
use crate::telemetry::UpstreamSeries;

/// Connections to one endpoint at most, each with as many streams as the backend allows.
const CONNECTIONS: usize = 8;
/// Receive windows of a stream and of the connection: room for 256 answers that their clients do not
/// take, before those of other clients wait for them.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Request bytes of one stream that may wait in the library's memory.
const SEND_BUFFER: usize = 64 << 10;
/// Header section of an answer: twice what requests may have, since backends are ours.
const HEADER_BYTES: u32 = 64 << 10;

/// A connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct H2Connection {
    sender: SendRequest<Bytes>,
    usage: Rc<Usage>,
}

#[derive(Debug)]
struct Usage {
    streams: Cell<usize>,
    last_used: Cell<Instant>,
    /// The connection has ended, or is not trusted any more.
    retired: Cell<bool>,
    /// The backend has answered on it.
    proven: Cell<bool>,
}

/// A stream under way on a connection; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct OnStream(Rc<Usage>);

impl Drop for OnStream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

impl H2Connection {
    /// Makes a connection on a stream; done when the backend has said how many streams it takes.
    async fn begin<S>(stream: S, series: Arc<UpstreamSeries>) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let handshake = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(0)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(HEADER_BYTES)
            .handshake::<_, Bytes>(Coalesced::new(stream));
        let (sender, mut connection) = handshake.await.map_err(ConnectError::Http2)?;
        std::future::poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(ConnectError::Http2(error))),
            Poll::Ready(Ok(())) => Poll::Ready(Err(ConnectError::NoHttp2)),
            Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let usage = Rc::new(Usage {
            streams: Cell::new(0),
            last_used: Cell::new(Instant::now()),
            retired: Cell::new(false),
            proven: Cell::new(false),
        });
        let ended = Rc::clone(&usage);
        tokio::task::spawn_local(async move {
            series.open.inc();
            let _ = connection.await; // each request learns of its own failure
            ended.retired.set(true);
            series.open.dec();
        });
        Ok(Self { sender, usage })
    }

    /// Takes a place for a request that began at `now`.
    pub(crate) fn enter(&self, now: Instant) -> OnStream {
        self.usage.streams.set(self.usage.streams.get() + 1);
        self.usage.last_used.set(now);
        OnStream(Rc::clone(&self.usage))
    }

    /// Where requests are sent.
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.sender
    }

    /// From now on it takes no new requests; those under way go on.
    pub(crate) fn retire(&self) {
        self.usage.retired.set(true);
    }

    /// The backend has answered on it.
    pub(crate) fn is_proven(&self) -> bool {
        self.usage.proven.get()
    }

    /// Notes that the backend has answered on it.
    pub(crate) fn prove(&self) {
        self.usage.proven.set(true);
    }

    /// It takes requests: it is open and the backend has not said that it goes away.
    fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.usage.retired.get() && !matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    fn has_room(&self) -> bool {
        self.usage.streams.get() < self.sender.current_max_send_streams()
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.usage.streams.get() == 0 && now.saturating_duration_since(self.usage.last_used.get()) >= IDLE
    }
}

impl Endpoint {
    /// An h2 connection with room for a request, made within `timeout` if there is none. Single flight.
    pub(crate) async fn h2(self: &Rc<Self>, timeout: Duration) -> Result<H2Connection, ConnectError> {
        if let Some(connection) = self.usable_h2() {
            return Ok(connection);
        }
        let making = async {
            let _one_at_a_time = self.h2_connecting.lock().await;
            if let Some(connection) = self.usable_h2() {
                return Ok(connection);
            }
            let stream = resolve_connect(self, timeout).await?;
            let connection = H2Connection::begin(stream, Arc::clone(&self.series)).await?;
            self.h2.borrow_mut().push(connection.clone());
            Ok(connection)
        };
        pingora_timeout::timeout(timeout, making).await.unwrap_or(Err(ConnectError::Timeout))
    }

    fn usable_h2(&self) -> Option<H2Connection> {
        let mut connections = self.h2.borrow_mut();
        connections.retain_mut(H2Connection::is_usable);
        let free = connections.iter().rev().find(|connection| connection.has_room());
        // At the limit of connections, requests wait for a stream of the least busy one.
        let least_busy = || connections.iter().min_by_key(|connection| connection.usage.streams.get());
        match free {
            None if connections.len() >= CONNECTIONS => least_busy().cloned(),
            free => free.cloned(),
        }
    }

    /// Lets go of connections that have ended or are idle; they close by themselves.
    pub(super) fn sweep_h2(&self, now: Instant) {
        self.h2.borrow_mut().retain_mut(|connection| connection.is_usable() && !connection.is_idle(now));
    }
}
