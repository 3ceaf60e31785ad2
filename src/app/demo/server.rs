//! A small HTTP/1.1 server for the demo's pretended services, which can really go away and come back.
//!
//! Closing it drops the listener and every connection, so that callers meet a refused connection and not a polite
//! answer. Loopback and trusted callers only: there are no limits here but one on the body.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

/// Largest request body that a service reads.
const MAX_BODY: usize = 1 << 20;

/// Idle connections stay open longer than any caller keeps them, so that a caller's request never meets a close.
const IDLE: Duration = Duration::from_secs(600);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An answer of a service.
pub(super) type Answer = Response<Full<Bytes>>;

/// The service closes the connection instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the service hangs up without an answer")]
pub(super) struct HangUp;

/// Answers requests.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers one request, or hangs up.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Result<Answer, HangUp>> + Send;
}

/// A service on its address.
#[derive(Debug)]
pub(super) struct Server<S> {
    service: Arc<S>,
    address: SocketAddr,
    door: Mutex<Door>,
}

/// Open or closed.
#[derive(Debug, Default)]
struct Door {
    /// Has the listener and the connections.
    accepting: Option<JoinHandle<()>>,
    /// Keeps the address while nobody listens: whoever else got it would be taken for this service.
    reserved: Option<TcpSocket>,
}

impl<S: Service> Server<S> {
    /// Starts to serve on a listener.
    ///
    /// # Errors
    /// The listener has no address.
    pub(super) fn start(listener: TcpListener, service: Arc<S>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&service))));
        Ok(Self { service, address, door: Mutex::new(Door { accepting, reserved: None }) })
    }

    /// Where it listens, or did before it was closed.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The service itself.
    pub(super) fn service(&self) -> &Arc<S> {
        &self.service
    }

    /// Stops listening and cuts every connection; returns when new ones are refused.
    pub(super) async fn close(&self) {
        let mut door = self.door.lock().await;
        if let Some(accepting) = door.accepting.take() {
            accepting.abort();
            // The listener lives in the task, and the connections end with it: nobody may rely on that before it has
            // ended. What a connection is writing at that moment may still arrive.
            let _aborted = accepting.await;
            door.reserved = bind(self.address).and_then(reserve).ok();
        }
    }

    /// Listens again on the same address, if it was closed.
    ///
    /// # Errors
    /// Somebody else took the address in the moment when it was closed.
    pub(super) async fn open(&self) -> io::Result<()> {
        let mut door = self.door.lock().await;
        if door.accepting.is_none() {
            let socket = door.reserved.take().map_or_else(|| bind(self.address), Ok)?;
            socket.set_reuseaddr(true)?;
            door.accepting = Some(tokio::spawn(accept(socket.listen(BACKLOG)?, Arc::clone(&self.service))));
        }
        Ok(())
    }
}

/// A socket with this address that does not listen: connections to it are refused.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Keeps others from listening there: the system lets them, as long as both allow the address to be used again.
fn reserve(socket: TcpSocket) -> io::Result<TcpSocket> {
    socket.set_reuseaddr(false)?;
    Ok(socket)
}

async fn accept<S: Service>(listener: TcpListener, service: Arc<S>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    let service = Arc::clone(&service);
                    connections.spawn(serve(socket, service));
                }
                // Out of descriptors: wait for some to be freed instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve<S: Service>(socket: tokio::net::TcpStream, service: Arc<S>) {
    // Without it, small answers wait for the peer's delayed acknowledgement.
    let _unsupported = socket.set_nodelay(true);
    let respond = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (head, body) = request.into_parts();
            match Limited::new(body, MAX_BODY).collect().await {
                Ok(body) => service.answer(Request::from_parts(head, body.to_bytes())).await,
                Err(_) => Ok(text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off\n")),
            }
        }
    });
    let _hung_up_or_gone = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(socket), respond)
        .await;
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, document: &serde_json::Value) -> Answer {
    with_type(status, "application/json", format!("{document}\n"))
}

/// A plain text answer.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    with_type(status, "text/plain; charset=utf-8", text.into())
}

/// An answer with a media type.
pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    answer
}
