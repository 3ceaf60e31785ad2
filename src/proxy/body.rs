//! Bodies on their way through: from a client to a backend, and back.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::core::View;
use super::deadline::Deadline;
use super::forwarded;
use super::http1::ClientIo;
use super::http1::client::Http1ResponseBody;
use super::message::BodyLength;
use super::upstream::OnStream;
use crate::problem::Code;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed or reset the connection, or the stream.
    #[error("the client is gone")]
    ClientGone,
    /// No byte of an announced body for too long.
    #[error("the client stopped sending the body")]
    ClientStalled,
    /// Framing that is not acceptable.
    #[error("the client's body is malformed: {0}")]
    ClientMalformed(&'static str),
    /// Over the limit.
    #[error("the client's body is too large")]
    TooLarge,
    /// The backend closed or reset the connection within the body.
    #[error("the backend closed the connection within the answer")]
    UpstreamClosed,
    /// The backend's framing is not acceptable.
    #[error("the backend's body is malformed: {0}")]
    UpstreamMalformed(&'static str),
    /// The backend stopped sending.
    #[error("the backend stopped sending the answer")]
    UpstreamStalled,
}

impl BodyError {
    /// What the client is told if it can still be told, for failures that are its own.
    pub(crate) fn client_code(self) -> Option<Code> {
        match self {
            Self::ClientStalled => Some(Code::RequestTimeout),
            Self::ClientMalformed(_) => Some(Code::MalformedRequest),
            Self::TooLarge => Some(Code::BodyTooLarge),
            _ => None,
        }
    }

    /// The word for the access log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClientGone => "client-gone",
            Self::ClientStalled => "client-stalled",
            Self::ClientMalformed(_) => "client-malformed",
            Self::TooLarge => "body-too-large",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamMalformed(_) => "upstream-malformed",
            Self::UpstreamStalled => "upstream-stalled",
        }
    }
}

/// Body bytes that were taken from a client and may have to be sent again are kept up to this many.
const REPLAY_CAP: usize = 64 << 10;

enum Source {
    Http1(Rc<RefCell<ClientIo>>),
    Http2 {
        incoming: hyper::body::Incoming,
        /// Runs while no byte comes.
        silence: Deadline,
        timeout: Duration,
    },
}

struct Shared {
    source: Source,
    /// Bytes taken so far.
    taken: u64,
    limit: u64,
    view: Option<Rc<View>>,
    /// When the last piece was taken.
    progress: Instant,
    ended: bool,
    failed: Option<BodyError>,
    /// What was taken, while it may have to be sent again and is small enough. Copied: the pieces of a
    /// client that sends byte by byte would each hold on to the memory of a whole read.
    kept: Option<Vec<u8>>,
}

/// A request's body. Clones read the same body; each try at a backend takes a clone of its own with
/// [`RequestBody::replayed`].
#[derive(Clone)]
pub(crate) struct RequestBody {
    shared: Option<Rc<RefCell<Shared>>>,
    /// How many of the kept bytes this one has passed on.
    replay: usize,
    length: BodyLength,
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("length", &self.length).finish_non_exhaustive()
    }
}

impl RequestBody {
    pub(crate) fn none() -> Self {
        Self { shared: None, replay: 0, length: BodyLength::None }
    }

    pub(crate) fn http1(io: &Rc<RefCell<ClientIo>>, length: BodyLength) -> Self {
        if length == BodyLength::None {
            return Self::none();
        }
        Self::new(Source::Http1(Rc::clone(io)), length)
    }

    pub(crate) fn http2(incoming: hyper::body::Incoming, length: BodyLength, timeout: Duration) -> Self {
        if length == BodyLength::None {
            return Self::none();
        }
        Self::new(Source::Http2 { incoming, silence: Deadline::default(), timeout }, length)
    }

    fn new(source: Source, length: BodyLength) -> Self {
        let shared = Shared {
            source,
            taken: 0,
            limit: u64::MAX,
            view: None,
            progress: Instant::now(),
            ended: false,
            failed: None,
            kept: Some(Vec::new()),
        };
        Self { shared: Some(Rc::new(RefCell::new(shared))), replay: 0, length }
    }

    /// From now on refuses more than `limit` bytes, and drops trailers that clients must not send under `view`.
    pub(crate) fn guard(&self, limit: u64, view: &Rc<View>) {
        if let Some(shared) = &self.shared {
            let mut shared = shared.borrow_mut();
            shared.limit = limit;
            shared.view = Some(Rc::clone(view));
            if let Source::Http1(io) = &shared.source {
                io.borrow_mut().set_body_limit(limit);
            }
        }
    }

    /// From now on the client may be silent for `timeout`: within a stream, silence is no failure.
    pub(crate) fn set_timeout(&self, wanted: Duration) {
        if let Some(shared) = &self.shared {
            match &mut shared.borrow_mut().source {
                Source::Http1(io) => io.borrow_mut().set_body_timeout(wanted),
                Source::Http2 { silence, timeout, .. } => {
                    silence.clear();
                    *timeout = wanted;
                }
            }
        }
    }

    /// Bytes taken from the client so far.
    pub(crate) fn taken(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.borrow().taken)
    }

    /// When the last piece was taken from the client; `None` without a body.
    pub(crate) fn last_progress(&self) -> Option<Instant> {
        self.shared.as_ref().map(|shared| shared.borrow().progress)
    }

    /// The body was read to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.borrow().ended)
    }

    /// What went wrong on the client's side, if anything.
    pub(crate) fn failure(&self) -> Option<BodyError> {
        self.shared.as_ref().and_then(|shared| shared.borrow().failed)
    }

    /// The same body from its beginning, if everything taken so far was kept.
    pub(crate) fn replayed(&self) -> Option<Self> {
        let replayable = self.shared.as_ref().is_none_or(|shared| {
            let shared = shared.borrow();
            shared.failed.is_none() && shared.kept.is_some()
        });
        replayable.then(|| Self { shared: self.shared.clone(), replay: 0, length: self.length })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(shared) = &self.shared else { return Poll::Ready(None) };
        let mut shared = shared.borrow_mut();
        if let Some(kept) = &shared.kept
            && self.replay < kept.len()
        {
            let again = Bytes::copy_from_slice(&kept[self.replay..]);
            self.replay = kept.len();
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        if let Some(error) = shared.failed {
            return Poll::Ready(Some(Err(error)));
        }
        if shared.ended {
            return Poll::Ready(None);
        }
        let next = match ready!(shared.poll_source(cx)) {
            None => {
                shared.ended = true;
                return Poll::Ready(None);
            }
            Some(next) => next,
        };
        let result = next.and_then(|frame| shared.note(frame));
        match &result {
            Ok(frame) => self.replay += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => shared.failed = Some(*error),
        }
        Poll::Ready(Some(result))
    }
}

impl Shared {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Http1(io) => io.borrow_mut().poll_body(cx),
            Source::Http2 { incoming, silence, timeout } => match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(next) => {
                    silence.clear();
                    Poll::Ready(next.map(|frame| frame.map_err(|_| BodyError::ClientGone)))
                }
                Poll::Pending => {
                    if !silence.is_set() {
                        silence.set(*timeout);
                    }
                    ready!(silence.poll(cx));
                    Poll::Ready(Some(Err(BodyError::ClientStalled)))
                }
            },
        }
    }

    /// Counts, checks and keeps a frame that was just taken.
    fn note(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        if let Some(trailers) = frame.trailers_mut() {
            if let Some(view) = &self.view {
                forwarded::strip_trailers(trailers, &view.strip);
            }
            self.ended = true;
            self.kept = None; // trailers are not kept, so such a body is not sent twice
            return Ok(frame);
        }
        let Some(data) = frame.data_ref() else { return Ok(frame) };
        self.taken += data.len() as u64;
        self.progress = Instant::now();
        if self.taken > self.limit {
            return Err(BodyError::TooLarge);
        }
        match &mut self.kept {
            Some(kept) if kept.len() + data.len() <= REPLAY_CAP => kept.extend_from_slice(data),
            kept => *kept = None,
        }
        Ok(frame)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.shared.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.length {
            BodyLength::None => http_body::SizeHint::with_exact(0),
            BodyLength::Exact(length) => http_body::SizeHint::with_exact(length),
            BodyLength::Unknown | BodyLength::UntilClose => http_body::SizeHint::default(),
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// Nothing.
    Empty,
    /// Made by the gateway.
    Full(Option<Bytes>),
    /// From an HTTP/1 backend.
    Http1(Box<Http1ResponseBody>),
    /// From an h2 backend.
    Http2(Box<Http2ResponseBody>),
}

/// An h2 backend's body, and its stream's place on the connection.
#[derive(Debug)]
pub(crate) struct Http2ResponseBody {
    pub(crate) incoming: hyper::body::Incoming,
    pub(crate) _stream: OnStream,
    /// How long the backend may be silent.
    pub(crate) idle: Duration,
    /// Runs while it is.
    pub(crate) silence: Deadline,
}

impl Http2ResponseBody {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(next) => {
                self.silence.clear();
                Poll::Ready(next.map(|frame| frame.map_err(|_| BodyError::UpstreamClosed)))
            }
            Poll::Pending => {
                if !self.silence.is_set() {
                    self.silence.set(self.idle);
                }
                self.silence.poll(cx).map(|()| Some(Err(BodyError::UpstreamStalled)))
            }
        }
    }
}

impl ResponseBody {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Http1(body) => body.poll_next(cx),
            Self::Http2(body) => body.poll_next(cx),
        }
    }
}
