//! HTTP/2 towards backends: a connection an endpoint and core, shared by its requests, and further
//! ones when the backend takes no more streams on it.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{ConnectError, Endpoint, resolve_connect};
use crate::proxy::body::RequestBody;

/// Runs hyper's tasks on the core's own runtime.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(async move {
            future.await;
        }));
    }
}

/// Connections to one endpoint at most, each with as many streams as the backend allows.
const CONNECTIONS: usize = 8;
/// Streams on a connection whose backend has not said how many it allows: none beside the first.
const STREAMS_BEFORE_SETTINGS: usize = 1;

/// Sends requests on one h2 connection.
#[derive(Debug, Clone)]
pub(crate) struct H2Sender {
    sender: SendRequest<RequestBody>,
    streams: Rc<Cell<usize>>,
    /// How many streams the backend takes, as it said last.
    limit: Rc<Cell<usize>>,
}

/// A stream under way on a connection; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct OnStream(Rc<Cell<usize>>);

impl Drop for OnStream {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Why an h2 request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum H2Error {
    /// The connection was closing; nothing of the request left.
    #[error("the backend's connection was closing")]
    Unsent,
    /// The stream or the connection ended before an answer.
    #[error("{0}")]
    Failed(hyper::Error),
}

impl H2Sender {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The backend would take another stream now, or has not said yet how many it takes.
    fn has_room(&self) -> bool {
        let limit = self.limit.get();
        limit <= STREAMS_BEFORE_SETTINGS || self.streams.get() < limit
    }

    /// Takes a place on the connection.
    pub(crate) fn enter(&self) -> OnStream {
        self.streams.set(self.streams.get() + 1);
        OnStream(Rc::clone(&self.streams))
    }

    /// Sends a request and waits for the answer's head.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, H2Error> {
        if self.sender.ready().await.is_err() {
            return Err(H2Error::Unsent);
        }
        self.sender.try_send_request(request).await.map_err(|mut error| {
            if error.take_message().is_some() || is_refused(error.error()) {
                H2Error::Unsent
            } else {
                H2Error::Failed(error.into_error())
            }
        })
    }
}

/// REFUSED_STREAM: the backend promises that it did nothing (RFC 9113, section 8.7).
fn is_refused(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason() == Some(h2::Reason::REFUSED_STREAM);
        }
        source = error.source();
    }
    false
}

impl Endpoint {
    /// A live h2 connection, made if there is none. Single flight.
    pub(crate) async fn h2(self: &Rc<Self>, timeout: Duration) -> Result<H2Sender, ConnectError> {
        if let Some(sender) = self.live_h2() {
            return Ok(sender);
        }
        let _one_at_a_time = self.h2_connecting.lock().await;
        if let Some(sender) = self.live_h2() {
            return Ok(sender);
        }
        let stream = resolve_connect(self, timeout).await?;
        let (sender, connection) = Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_header_list_size(64 << 10)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Tcp(std::io::Error::other(error)))?;
        let limit = Rc::new(Cell::new(STREAMS_BEFORE_SETTINGS));
        let (open, said) = (self.series.open.clone(), Rc::clone(&limit));
        tokio::task::spawn_local(async move {
            open.inc();
            let mut connection = std::pin::pin!(connection);
            // Each request learns of its own failure.
            let _ = std::future::poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                said.set(connection.current_max_send_streams());
                ended
            })
            .await;
            open.dec();
        });
        let sender = H2Sender { sender, streams: Rc::default(), limit };
        self.h2.borrow_mut().push(sender.clone());
        Ok(sender)
    }

    fn live_h2(&self) -> Option<H2Sender> {
        let mut senders = self.h2.borrow_mut();
        senders.retain(|sender| !sender.is_closed());
        let free = senders.iter().rev().find(|sender| sender.has_room());
        // At the limit of connections, requests wait for a stream of the least busy one.
        let least_busy = || senders.iter().min_by_key(|sender| sender.streams.get());
        match free {
            None if senders.len() >= CONNECTIONS => least_busy().cloned(),
            free => free.cloned(),
        }
    }
}
