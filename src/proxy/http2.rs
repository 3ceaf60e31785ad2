//! Serves a client's HTTP/2 connection with hyper: each stream is a request of its own.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{BodyError, RequestBody};
use super::coalesce::Coalesced;
use super::convert;
use super::core::Core;
use super::deadline::Deadline;
use super::exchange::{self, InterimSink};
use super::http1::{content_length, is_authority, read_expectation, store_target};
use super::message::{BodyLength, HeadError, RequestHead, ResponseHead, Version};
use super::record::Record;
use super::reply::Reply;
use super::upstream::LocalExecutor;
use super::worker::Peer;
use crate::problem::{Code, Problem};
use crate::snapshot::Limits;
use crate::types::fields::Known;

/// Streams at once on one connection.
const STREAMS: u32 = 100;
/// Receive windows of a stream and of the connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// How often clients are looked at for that.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Serves the connection to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(core: Rc<Core>, peer: Peer, stream: S) {
    let limits = core.view().snapshot.server.limits;
    let streams = Rc::new(Streams::default());
    let service = {
        let (core, streams) = (Rc::clone(&core), Rc::clone(&streams));
        hyper::service::service_fn(move |request| {
            let under_way = streams.begin();
            let (core, peer) = (Rc::clone(&core), peer.clone());
            async move { Ok::<_, std::convert::Infallible>(answer(core, peer, request, under_way).await) }
        })
    };
    let connection = Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(64 << 10)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(Coalesced::new(stream)), service);
    let mut connection = pin!(connection);
    let mut drained = pin!(core.drain.notified());
    let mut closing = false;
    let mut idle = Deadline::default();
    let mut look = Deadline::default();
    std::future::poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if closing {
                return Poll::Pending;
            }
            if core.draining.get() || drained.as_mut().poll(cx).is_ready() {
                closing = true;
            } else if !streams.is_empty() {
                idle.clear();
                if !look.is_set() {
                    look.set(LOOK_AGAIN);
                }
                std::task::ready!(look.poll(cx));
                look.clear();
                if streams.is_stalled(core.view().snapshot.server.timeouts.answer) {
                    return Poll::Ready(()); // dropping the connection cuts its streams
                }
                continue;
            } else {
                if !idle.is_set() {
                    idle.set(core.view().snapshot.server.timeouts.idle);
                }
                std::task::ready!(idle.poll(cx));
                closing = true;
            }
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
}

/// The streams of a connection that are under way, and since when each waits for its client to take bytes.
#[derive(Debug, Default)]
struct Streams(RefCell<slab::Slab<Option<Instant>>>);

impl Streams {
    fn begin(self: &Rc<Self>) -> UnderWay {
        UnderWay { key: self.0.borrow_mut().insert(None), streams: Rc::clone(self) }
    }

    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Some client takes none of the bytes that are ready for it, for too long.
    fn is_stalled(&self, patience: Duration) -> bool {
        self.0.borrow().iter().any(|(_, since)| since.is_some_and(|since| since.elapsed() >= patience))
    }
}

/// A stream under way; its connection is not idle.
#[derive(Debug)]
struct UnderWay {
    streams: Rc<Streams>,
    key: usize,
}

impl UnderWay {
    /// Bytes wait for the client from now on, or do not.
    fn set_waiting(&self, waiting: bool) {
        self.streams.0.borrow_mut()[self.key] = waiting.then(Instant::now);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.streams.0.borrow_mut().remove(self.key);
    }
}

/// HTTP/2 clients are not told interim answers: hyper can't send them.
struct NoInterim;

impl InterimSink for NoInterim {
    fn interim(&mut self, _: &ResponseHead) {}
}

async fn answer(
    core: Rc<Core>,
    peer: Peer,
    request: http::Request<Incoming>,
    under_way: UnderWay,
) -> http::Response<ReplyBody> {
    let (parts, incoming) = request.into_parts();
    let mut spare = core.take_spare();
    let head = &mut spare.head;
    let view = core.view();
    let server = &view.snapshot.server;
    let read = read_head(&server.limits, &parts, &incoming, head);
    let body = RequestBody::http2(incoming, head.body, server.timeouts.body);
    let record = Record::begin(&core, view, spare, &peer);
    let reply = match read {
        Ok(()) => exchange::answer(record, body.clone(), &mut NoInterim).await,
        Err(error) => Reply::problem(record, &Problem::from(error), Vec::new()),
    };
    into_response(reply, body, under_way)
}

fn read_head(
    limits: &Limits,
    parts: &http::request::Parts,
    incoming: &Incoming,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    head.version = Version::Http2;
    head.method.push_str(parts.method.as_str());
    head.takes_trailers = parts.headers.get(http::header::TE).is_some_and(|coding| coding == "trailers");
    convert::push_header_map(&parts.headers, &mut head.fields);
    let authority = parts.uri.authority().map_or("", http::uri::Authority::as_str);
    head.authority.push_str(authority);
    if parts.method == http::Method::CONNECT {
        return Err(HeadError::new(Code::MethodNotAllowed, "the gateway opens no tunnels"));
    }
    if parts.method.as_str().len() > 32 {
        return Err(HeadError::new(Code::NotImplemented, "the method is longer than the gateway takes"));
    }
    if parts.headers.len() > limits.header_lines {
        return Err(HeadError::new(Code::HeadersTooLarge, "the header section has too many lines"));
    }
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if target.len() > limits.uri_bytes {
        return Err(HeadError::new(Code::UriTooLong, "the request target is longer than the gateway takes"));
    }
    read_host(head)?;
    head.body = match content_length(&head.fields).map_err(HeadError::malformed)? {
        _ if incoming.is_end_stream() => BodyLength::None,
        Some(length) => BodyLength::Exact(length),
        None => BodyLength::Unknown,
    };
    read_expectation(head)?;
    head.expects_continue = false; // 100 can't be sent here, so the backend is not asked for it either
    head.fields.remove(Known::Expect);
    if target == "*" {
        head.target.push('*');
        head.path_end = 1;
        return Ok(());
    }
    store_target(target, head)
}

/// `:authority` wins over `Host`; without either there is no host (RFC 9113, section 8.3.1).
fn read_host(head: &mut RequestHead) -> Result<(), HeadError> {
    if head.fields.get_all(Known::Host).count() > 1 {
        return Err(HeadError::new(Code::InvalidHost, "there is more than one Host field"));
    }
    if head.authority.is_empty() {
        let host = head.fields.get_str(Known::Host).unwrap_or_default().to_owned();
        head.authority = host;
    }
    head.fields.remove(Known::Host);
    if is_authority(&head.authority) {
        Ok(())
    } else {
        Err(HeadError::new(Code::InvalidHost, "the authority is not a host with an optional port"))
    }
}

fn into_response(mut reply: Reply, request_body: RequestBody, under_way: UnderWay) -> http::Response<ReplyBody> {
    let mut headers = convert::header_map(&reply.head.fields);
    if let BodyLength::Exact(length) = reply.head.body
        && !headers.contains_key(http::header::CONTENT_LENGTH)
    {
        headers.insert(http::header::CONTENT_LENGTH, length.into());
    }
    let status = http::StatusCode::from_u16(reply.head.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let expected = match reply.head.body {
        BodyLength::Exact(length) => Some(length),
        BodyLength::None => Some(0),
        _ => None,
    };
    if reply.upgrade.take().is_some() {
        reply.record.aborted = "upstream-malformed";
    }
    under_way.set_waiting(true); // until hyper asks for the body, which it does once the client gives room
    let body = ReplyBody { reply, request_body, expected, ended: false, under_way };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// An answer's body as hyper pulls it; keeps the request's record until the stream ends.
struct ReplyBody {
    reply: Reply,
    request_body: RequestBody,
    /// Bytes still to come, if their number is known.
    expected: Option<u64>,
    ended: bool,
    under_way: UnderWay,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        this.under_way.set_waiting(false);
        let next = match this.reply.body.poll_next(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                std::task::ready!(this.reply.record.deadline.poll(cx));
                this.reply.record.aborted = "request-timeout";
                return Poll::Ready(Some(Err(BodyError::UpstreamStalled)));
            }
        };
        let result = match next {
            None if this.expected.is_some_and(|left| left > 0) => Some(Err(BodyError::UpstreamClosed)),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.reply.record.sent += length;
                this.expected = this.expected.map(|left| left.saturating_sub(length));
                this.ended = this.expected == Some(0) || frame.is_trailers();
                this.under_way.set_waiting(true);
                Some(Ok(frame))
            }
            other => other,
        };
        match &result {
            None => this.ended = true,
            Some(Err(error)) => this.reply.record.aborted = error.word(),
            Some(Ok(_)) => {}
        }
        Poll::Ready(result)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.reply.head.body == BodyLength::None
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.expected.map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.reply.record.received = self.request_body.taken();
        if !self.is_end_stream() && self.reply.record.aborted.is_empty() {
            self.reply.record.aborted = "client-gone";
        }
    }
}
