//! HTTP/2 neighbours of the gateway, made of hyper: a client and a backend that echoes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{mpsc, watch};

use super::LIMIT;

type AnyBody = BoxBody<Bytes, Infallible>;

/// Runs a test's asynchronous part with a limit.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("in time") })
}

/// A body whose frames are known beforehand.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    data: VecDeque<Bytes>,
    pub(crate) trailers: Vec<(&'static str, &'static str)>,
}

impl Frames {
    pub(crate) fn new<const N: usize>(data: [&str; N]) -> Self {
        let data = data.into_iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        Self { data, trailers: Vec::new() }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers: HeaderMap = self
            .trailers
            .drain(..)
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_empty()
    }
}

/// A body that is sent as the test goes along.
#[derive(Debug)]
pub(crate) struct StreamedBody(mpsc::UnboundedReceiver<Bytes>);

impl StreamedBody {
    pub(crate) fn new() -> (mpsc::UnboundedSender<Bytes>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) status: StatusCode,
    body: Incoming,
}

impl Streaming {
    /// The next piece of data; `None` at the end.
    pub(crate) async fn data(&mut self) -> Option<Bytes> {
        let frame = self.body.frame().await?.expect("an unbroken stream");
        frame.into_data().ok()
    }

    /// The answer breaks off before its end, sooner or later.
    pub(crate) async fn breaks_off(&mut self) -> bool {
        loop {
            match self.body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    }
}

/// One connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct H2Client {
    sender: SendRequest<AnyBody>,
    closed: watch::Receiver<bool>,
}

impl H2Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the gateway accepts");
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        let (ended, closed) = watch::channel(false);
        tokio::spawn(async move {
            let _ = connection.await;
            let _ = ended.send(true);
        });
        Self { sender, closed }
    }

    /// Sends a request and waits for the answer's head only.
    pub(crate) async fn begin<B>(&mut self, request: Request<B>) -> Streaming
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
    {
        let (head, body) = self.exchange(request.map(BodyExt::boxed)).await.into_parts();
        Streaming { status: head.status, body }
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn send(&mut self, request: Request<Frames>) -> Answer {
        let (head, body) = self.exchange(request.map(BodyExt::boxed)).await.into_parts();
        let collected = body.collect().await.expect("a whole body");
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Answer { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
    }

    /// Like [`H2Client::send`], for tasks of their own.
    pub(crate) async fn send_owned(mut self, request: Request<Frames>) -> Answer {
        self.send(request).await
    }

    async fn exchange(&mut self, request: Request<AnyBody>) -> Response<Incoming> {
        self.sender.ready().await.expect("an open connection");
        self.sender.send_request(request).await.expect("an answer")
    }

    /// Waits until the connection has ended.
    pub(crate) async fn closed(&mut self) {
        self.closed.wait_for(|closed| *closed).await.expect("the connection's task");
    }
}

/// A backend that speaks HTTP/2 only and echoes body and trailers. `/hang` never answers, `/empty` ends with its
/// head, `/silent` says one word and falls silent, `/ticks` never does, `/after` answers once it was sent something, `/whole` once it has everything, `/flood`
/// sends 40,000 small messages.
#[derive(Debug)]
pub(crate) struct H2Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl H2Backend {
    pub(crate) fn start() -> Self {
        Self::taking(200)
    }

    /// Takes so many streams at once on a connection.
    pub(crate) fn taking(streams: u32) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(accept(listener, &count, streams));
        });
        Self { address, connections }
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

async fn accept(listener: std::net::TcpListener, connections: &AtomicUsize, streams: u32) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::AcqRel);
        let service = hyper::service::service_fn(echo);
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(streams)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

/// The client's trailers behind its body, and the status that gRPC asks for.
struct Echo {
    body: Incoming,
    trailers: HeaderMap,
    ended: bool,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        while !self.ended {
            match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                Some(Ok(frame)) => self.trailers.extend(frame.into_trailers().unwrap_or_default()),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    let trailers = std::mem::take(&mut self.trailers);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

type EchoedBody = BoxBody<Bytes, hyper::Error>;

/// A body whose pieces are sent from a task; it ends when the task ends.
fn sent_by<F: Future<Output = ()> + Send + 'static>(
    task: impl FnOnce(mpsc::UnboundedSender<Bytes>) -> F,
) -> EchoedBody {
    let (sender, body) = StreamedBody::new();
    tokio::spawn(task(sender));
    body.map_err(|never| match never {}).boxed()
}

async fn echo(request: Request<Incoming>) -> Result<Response<EchoedBody>, Infallible> {
    let (head, mut body) = request.into_parts();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))]);
    let body: EchoedBody = match head.uri.path() {
        "/hang" => std::future::pending().await,
        "/empty" => Echo { body, trailers, ended: true }.boxed(),
        "/silent" => sent_by(|sender| async move {
            sender.send(Bytes::from_static(b"word")).expect("it is listened to");
            sender.closed().await;
        }),
        "/ticks" => sent_by(|sender| async move {
            while sender.send(Bytes::from_static(b"tick")).is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }),
        "/whole" => {
            let whole = body.collect().await.expect("unbroken").to_bytes();
            sent_by(|sender| async move { sender.send(whole).expect("it is listened to") })
        }
        "/flood" => sent_by(|sender| async move {
            // No faster than it is taken: the pieces wait in this task's own queue.
            for _ in 0..40_000 {
                if sender.send(Bytes::from_static(b"message")).is_err() {
                    return;
                }
            }
            sender.closed().await;
        }),
        "/after" => {
            let first = body.frame().await.expect("a first frame").expect("unbroken").into_data().expect("data");
            let first = sent_by(|sender| async move { sender.send(first).expect("it is listened to") });
            Following { first, rest: Echo { body, trailers, ended: false } }.boxed()
        }
        _ => Echo { body, trailers, ended: false }.boxed(),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    headers.insert("x-saw-authority", authority.parse().expect("a value"));
    headers.insert("x-saw-query", head.uri.query().unwrap_or_default().parse().expect("a value"));
    for (name, shown) in [("te", "x-saw-te"), ("content-type", "content-type")] {
        if let Some(value) = head.headers.get(name) {
            headers.insert(shown, value.clone());
        }
    }
    Ok(response)
}

/// One body behind another.
struct Following {
    first: EchoedBody,
    rest: Echo,
}

impl Body for Following {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::task::ready!(Pin::new(&mut self.first).poll_frame(cx)) {
            None => Pin::new(&mut self.rest).poll_frame(cx),
            first => Poll::Ready(first),
        }
    }
}
