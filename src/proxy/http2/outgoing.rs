//! Sends a body on a stream as far as the peer gives room for it, and holds back the rest.
//!
//! The library would take whatever it is given into its own memory. It is given no more than the
//! windows of the stream and of the connection allow, so that whoever waits is seen to wait.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::Gone;

/// The sending half of a stream.
#[derive(Debug)]
pub(super) struct Outgoing {
    stream: SendStream<Bytes>,
    /// Bytes that there was no room for yet.
    held: Bytes,
    /// The stream ends with the last of them.
    ends: bool,
    sent: u64,
}

impl Outgoing {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream, held: Bytes::new(), ends: false, sent: 0 }
    }

    /// Body bytes for which the peer had room.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes the next piece; everything before it must have been sent.
    pub(super) fn push(&mut self, data: Bytes, ends: bool) -> Result<(), Gone> {
        debug_assert!(self.held.is_empty(), "pieces leave one after the other");
        if data.is_empty() && ends {
            return self.end(None);
        }
        self.held = data;
        self.ends = ends;
        Ok(())
    }

    /// Ends the stream behind what was sent.
    pub(super) fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Gone> {
        match trailers {
            Some(trailers) => self.stream.send_trailers(trailers),
            None => self.stream.send_data(Bytes::new(), true),
        }
        .map_err(|_| Gone)
    }

    /// Sends what is held.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while !self.held.is_empty() {
            let room = ready!(self.poll_room(cx))?;
            let piece = self.held.split_to(room.min(self.held.len()));
            self.sent += piece.len() as u64;
            self.stream.send_data(piece, self.ends && self.held.is_empty()).map_err(|_| Gone)?;
        }
        Poll::Ready(Ok(()))
    }

    /// How much may be sent now. Room is asked for only once there is something to put in it: asked for
    /// earlier, it would be kept from the connection's other streams.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Gone>> {
        self.stream.reserve_capacity(self.held.len());
        loop {
            match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Poll::Ready(Err(Gone)),
                },
                room => return Poll::Ready(Ok(room)),
            }
        }
    }

    /// Ready once the peer has reset the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(|_| ())
    }

    /// Breaks the stream off.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}
