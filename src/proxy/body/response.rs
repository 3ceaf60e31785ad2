//! A response's body, wherever it comes from, and how long both sides may be silent within it.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;

use super::{BodyError, RequestBody};
use crate::proxy::deadline::Deadline;
use crate::proxy::http1::client::Http1ResponseBody;
use crate::proxy::http2::client::Http2ResponseBody;

/// A response's body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// Nothing.
    Empty,
    /// Made by the gateway.
    Full(Option<Bytes>),
    /// From a backend.
    Streamed(Box<Streamed>),
}

/// A backend's body.
#[derive(Debug)]
pub(crate) struct Streamed {
    source: Source,
    /// What the client may still be sending.
    upload: RequestBody,
    /// How long neither side may say anything.
    idle: Duration,
    /// Runs while the backend is waited for.
    silence: Deadline,
}

#[derive(Debug)]
enum Source {
    Http1(Http1ResponseBody),
    Http2(Http2ResponseBody),
}

impl ResponseBody {
    /// From an HTTP/1 backend.
    pub(crate) fn http1(body: Http1ResponseBody, idle: Duration, upload: RequestBody) -> Self {
        Self::streamed(Source::Http1(body), idle, upload)
    }

    /// From an h2 backend.
    pub(crate) fn http2(body: Http2ResponseBody, idle: Duration, upload: RequestBody) -> Self {
        Self::streamed(Source::Http2(body), idle, upload)
    }

    fn streamed(source: Source, idle: Duration, upload: RequestBody) -> Self {
        Self::Streamed(Box::new(Streamed { source, upload, idle, silence: Deadline::default() }))
    }

    /// The next piece.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(body) => body.poll_next(cx),
        }
    }

    /// Tidies up what has come while the client has no room for it.
    pub(crate) fn read_ahead(&mut self, cx: &mut Context<'_>) {
        if let Self::Streamed(body) = self
            && let Source::Http2(body) = &mut body.source
        {
            body.read_ahead(cx);
        }
    }

    /// It is known that nothing follows, trailers included.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_none(),
            Self::Streamed(body) => match &body.source {
                Source::Http1(body) => body.is_over(),
                Source::Http2(body) => body.is_over(),
            },
        }
    }
}

impl Streamed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match &mut self.source {
            Source::Http1(body) => body.poll_next(cx),
            Source::Http2(body) => body.poll_next(cx),
        };
        if next.is_ready() {
            self.silence.clear();
            return next;
        }
        if !self.silence.is_set() {
            self.silence.set(self.idle);
        }
        loop {
            ready!(self.silence.poll(cx));
            let heard = self.upload.last_progress().map(|last| last + self.idle);
            match heard.filter(|end| *end > Instant::now()) {
                Some(end) => self.silence.set_at(end),
                None => return Poll::Ready(Some(Err(BodyError::UpstreamStalled))),
            }
        }
    }
}
