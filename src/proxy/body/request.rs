//! A request's body: read from its client, checked, and kept for another try while it is small.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

use super::BodyError;
use crate::proxy::core::View;
use crate::proxy::deadline::Deadline;
use crate::proxy::forwarded;
use crate::proxy::http1::ClientIo;
use crate::proxy::http2::{Gone, incoming};
use crate::proxy::message::BodyLength;

/// Body bytes that were taken from a client and may have to be sent again are kept up to this many.
const REPLAY_CAP: usize = 64 << 10;

#[derive(Debug)]
enum Source {
    Http1(Rc<RefCell<ClientIo>>),
    Http2(Http2Source),
}

/// A client's h2 stream being read.
#[derive(Debug)]
struct Http2Source {
    stream: RecvStream,
    /// How long the client may be silent; for ever if `None`.
    patience: Option<Duration>,
    /// Runs while it is.
    silence: Deadline,
    /// The client waits to be told to go on.
    owes_continue: bool,
}

impl Http2Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match incoming::poll_frame(&mut self.stream, cx) {
            Poll::Ready(next) => {
                self.owes_continue = false;
                self.silence.clear();
                Poll::Ready(next.map(|frame| frame.map_err(|Gone| BodyError::ClientGone)))
            }
            Poll::Pending if self.owes_continue => Poll::Pending, // it is the backend that is waited for
            Poll::Pending => {
                let Some(patience) = self.patience else { return Poll::Pending };
                if !self.silence.is_set() {
                    self.silence.set(patience);
                }
                self.silence.poll(cx).map(|()| Some(Err(BodyError::ClientStalled)))
            }
        }
    }
}

#[derive(Debug)]
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
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    shared: Option<Rc<RefCell<Shared>>>,
    /// How many of the kept bytes this one has passed on.
    replay: usize,
}

impl RequestBody {
    pub(crate) fn none() -> Self {
        Self { shared: None, replay: 0 }
    }

    pub(crate) fn http1(io: &Rc<RefCell<ClientIo>>, length: BodyLength) -> Self {
        if length == BodyLength::None { Self::none() } else { Self::new(Source::Http1(Rc::clone(io))) }
    }

    pub(crate) fn http2(stream: RecvStream, length: BodyLength, patience: Duration, expects_continue: bool) -> Self {
        if length == BodyLength::None {
            return Self::none();
        }
        Self::new(Source::Http2(Http2Source {
            stream,
            patience: Some(patience),
            silence: Deadline::default(),
            owes_continue: expects_continue,
        }))
    }

    fn new(source: Source) -> Self {
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
        Self { shared: Some(Rc::new(RefCell::new(shared))), replay: 0 }
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

    /// From now on the client may be silent for so long.
    pub(crate) fn set_patience(&self, wanted: Duration) {
        self.change_patience(Some(wanted));
    }

    /// There is an answer: nothing is sent again, and the client may have nothing to say while it
    /// listens, so that its silence alone is no failure any more.
    pub(crate) fn was_answered(&self) {
        if let Some(shared) = &self.shared {
            shared.borrow_mut().kept = None;
        }
        self.change_patience(None);
    }

    fn change_patience(&self, wanted: Option<Duration>) {
        if let Some(shared) = &self.shared {
            match &mut shared.borrow_mut().source {
                Source::Http1(io) => io.borrow_mut().set_body_patience(wanted),
                Source::Http2(Http2Source { silence, patience, .. }) => {
                    silence.clear();
                    *patience = wanted;
                }
            }
        }
    }

    /// A 100 is on its way to the client.
    pub(crate) fn continue_was_sent(&self) {
        if let Some(shared) = &self.shared {
            match &mut shared.borrow_mut().source {
                Source::Http1(io) => io.borrow_mut().continue_was_sent(),
                Source::Http2(source) => source.owes_continue = false,
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
        replayable.then(|| Self { shared: self.shared.clone(), replay: 0 })
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
        let next = ready!(match &mut shared.source {
            Source::Http1(io) => io.borrow_mut().poll_body(cx),
            Source::Http2(source) => source.poll(cx),
        });
        let Some(next) = next else {
            shared.ended = true;
            return Poll::Ready(None);
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
}
