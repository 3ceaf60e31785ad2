//! Moves an answer's body to a client: reads when the client can take more, writes what there is, and
//! knows which of the two sides keeps the other waiting.

use std::cell::RefCell;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;

use super::connection::ClientIo;
use super::write::{self, Delimiter};
use crate::proxy::body::BodyError;
use crate::proxy::convert;
use crate::proxy::deadline::Deadline;
use crate::proxy::message::BodyLength;
use crate::proxy::reply::Reply;
use crate::types::fields::Fields;

/// Moves the answer's body. The exchange's deadline runs while the backend is waited for, not while the
/// client is. `Err` is the access log's word for what broke it off.
pub(super) async fn pump(io: &RefCell<ClientIo>, reply: &mut Reply, delimiter: Delimiter) -> Result<(), &'static str> {
    let left = match reply.head.body {
        BodyLength::Exact(length) => Some(length),
        _ => None,
    };
    let ended = reply.head.body == BodyLength::None;
    let patience = reply.record.view.snapshot.server.timeouts.answer;
    let stall = Deadline::default();
    let mut pump = Pump { io, reply, delimiter, left, ended, patience, stall, blocked: None };
    std::future::poll_fn(|cx| pump.poll(cx)).await
}

struct Pump<'a> {
    io: &'a RefCell<ClientIo>,
    reply: &'a mut Reply,
    delimiter: Delimiter,
    /// What is missing of an announced length.
    left: Option<u64>,
    /// Everything is queued.
    ended: bool,
    /// How long the client may take not a byte.
    patience: Duration,
    stall: Deadline,
    /// Since when the client takes nothing more, and the bytes written by the last look.
    blocked: Option<(Instant, u64)>,
}

impl Pump<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        loop {
            if self.ended || self.io.borrow().queue.is_full() {
                ready!(self.poll_write(cx))?;
                if self.ended {
                    return Poll::Ready(Ok(()));
                }
            }
            match self.reply.body.poll_next(cx) {
                Poll::Ready(next) => self.take(next, cx)?,
                Poll::Pending => {
                    ready!(self.poll_write(cx))?;
                    if self.io.borrow_mut().poll_gone(cx).is_ready() {
                        return Poll::Ready(Err("client-gone"));
                    }
                    return self.reply.record.deadline.poll(cx).map(|()| Err("request-timeout"));
                }
            }
        }
    }

    /// Writes what is queued, within the time that a client may take nothing.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        let mut io = self.io.borrow_mut();
        match io.poll_flush(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(Err("client-gone")),
            Poll::Ready(Ok(())) => {
                if let Some((since, _)) = self.blocked.take() {
                    self.reply.record.deadline.extend(since.elapsed());
                    self.stall.clear();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let written = io.written();
                if self.blocked.is_none_or(|(_, before)| before != written) {
                    let since = self.blocked.map_or_else(Instant::now, |(since, _)| since);
                    self.blocked = Some((since, written));
                    self.stall.set(self.patience);
                }
                self.reply.body.read_ahead(cx);
                self.stall.poll(cx).map(|()| Err("client-stalled"))
            }
        }
    }

    /// Queues what the backend sent.
    fn take(
        &mut self,
        next: Option<Result<Frame<Bytes>, BodyError>>,
        cx: &mut Context<'_>,
    ) -> Result<(), &'static str> {
        match next {
            None => self.end(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.take_data(data),
                Err(frame) => {
                    let mut trailers = Fields::new();
                    convert::push_header_map(&frame.into_trailers().unwrap_or_default(), &mut trailers);
                    self.end(Some(&trailers))
                }
            },
            Some(Err(error)) => {
                // What came so far leaves; then the connection breaks off, so that nobody takes it for whole.
                let _ = self.io.borrow_mut().poll_flush(cx);
                Err(error.word())
            }
        }
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), &'static str> {
        if data.is_empty() {
            return Ok(());
        }
        let length = data.len() as u64;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or("upstream-malformed")?;
        }
        self.reply.record.sent += length;
        self.io.borrow_mut().queue.push(data, self.delimiter == Delimiter::Chunked);
        // An h2 stream is read to its own end, so that it is not reset.
        self.ended = self.left == Some(0) && self.reply.body.is_over();
        Ok(())
    }

    fn end(&mut self, trailers: Option<&Fields>) -> Result<(), &'static str> {
        if self.left.is_some_and(|left| left > 0) {
            return Err("upstream-closed");
        }
        if self.delimiter == Delimiter::Chunked {
            let trailers = trailers.filter(|_| self.reply.record.head.takes_trailers);
            write::last_chunk(self.io.borrow_mut().queue.gather(), trailers);
        }
        self.ended = true;
        Ok(())
    }
}
