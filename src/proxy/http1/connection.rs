//! A client's HTTP/1 connection: its bytes in both directions and the body now under way.
//!
//! The task that serves the connection and the body that a backend's task may read share it; both
//! run on the same core, and nothing is borrowed across an await.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::body::BodyReader;
use super::chunked::Piece;
use super::write::WriteQueue;
use crate::proxy::body::BodyError;
use crate::proxy::deadline::Deadline;
use crate::proxy::message::BodyLength;
use crate::proxy::stream::{PeerState, Stream};

/// Room made for each read of a body.
const READ: usize = 16 << 10;
/// How long a client that has its answer may go on sending.
const LONGEST_LINGER: Duration = Duration::from_secs(30);
/// How often a peer that can't be watched otherwise is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A client's connection.
#[derive(Debug)]
pub(crate) struct ClientIo {
    pub(crate) stream: Stream,
    pub(crate) buffer: BytesMut,
    pub(crate) queue: WriteQueue,
    body: BodyReader,
    body_deadline: Deadline,
    body_patience: Option<Duration>,
    owes_continue: bool,
    peer: PeerWatch,
    written: u64,
    /// For the next head, or for its first byte; kept with the connection, so that its timer is started rarely.
    pub(crate) head_deadline: Deadline,
}

/// What is known of a peer that waits.
#[derive(Debug)]
enum PeerWatch {
    /// It only waits: the socket tells when that changes.
    Waiting,
    /// It sent more or half-closed; only a look at the socket tells of a reset.
    Look(Deadline),
}

impl ClientIo {
    pub(crate) fn new(stream: Stream, first: BytesMut) -> Self {
        Self {
            stream,
            buffer: first,
            queue: WriteQueue::default(),
            body: BodyReader::Done,
            body_deadline: Deadline::default(),
            body_patience: None,
            owes_continue: false,
            peer: PeerWatch::Waiting,
            written: 0,
            head_deadline: Deadline::default(),
        }
    }

    /// Reads more bytes into the buffer; 0 at the end of input.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_fill(cx, &mut self.buffer)
    }

    /// Begins the body of the request whose head was just taken out of the buffer.
    pub(crate) fn begin_body(&mut self, length: BodyLength, patience: Duration, expects_continue: bool) {
        self.body = BodyReader::new(length);
        self.body_patience = Some(patience);
        self.body_deadline.clear();
        self.owes_continue = expects_continue;
        self.peer = PeerWatch::Waiting;
    }

    /// Refuses a body of more than `limit` bytes from now on.
    pub(crate) fn set_body_limit(&mut self, limit: u64) {
        self.body.set_limit(limit);
    }

    /// From now on the client may be silent for so long within its body; for ever if `None`.
    pub(crate) fn set_body_patience(&mut self, patience: Option<Duration>) {
        self.body_patience = patience;
        self.body_deadline.clear();
    }

    /// The body was read to its end.
    pub(crate) fn body_is_done(&self) -> bool {
        self.body.is_done()
    }

    /// The client waits for 100 and has sent nothing of its body.
    pub(crate) fn owes_continue(&self) -> bool {
        self.owes_continue && self.buffer.is_empty()
    }

    /// A 100 is on its way to the client.
    pub(crate) fn continue_was_sent(&mut self) {
        self.owes_continue = false;
    }

    /// Next piece of the body, within the time that a client may be silent.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match self.body.read(&mut self.buffer) {
                Err(what) => return Poll::Ready(Some(Err(BodyError::ClientMalformed(what)))),
                Ok(Piece::Data(data)) => {
                    self.owes_continue = false;
                    self.body_deadline.clear();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Piece::End(None)) => return Poll::Ready(None),
                Ok(Piece::End(Some(trailers))) => {
                    let trailers = crate::proxy::convert::header_map(&trailers);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Piece::OverLimit) => return Poll::Ready(Some(Err(BodyError::TooLarge))),
                Ok(Piece::NeedMore) => {}
            }
            self.buffer.reserve(READ);
            match tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Some(Err(BodyError::ClientGone))),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if self.owes_continue => return Poll::Pending, // it is the backend that is waited for
                Poll::Pending => {
                    let Some(patience) = self.body_patience else { return Poll::Pending };
                    if !self.body_deadline.is_set() {
                        self.body_deadline.set(patience);
                    }
                    ready!(self.body_deadline.poll(cx));
                    return Poll::Ready(Some(Err(BodyError::ClientStalled)));
                }
            }
        }
    }

    /// Ready once the client has reset the connection. Only looks while nobody else reads.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.body.is_done() {
            return Poll::Pending; // whoever reads the body will notice
        }
        loop {
            match &mut self.peer {
                PeerWatch::Waiting => match ready!(self.stream.poll_peer(cx)) {
                    PeerState::Gone => return Poll::Ready(()),
                    PeerState::HalfClosed | PeerState::Sending => {
                        self.peer = PeerWatch::Look(Deadline::after(LOOK_AGAIN));
                    }
                },
                PeerWatch::Look(again) => {
                    ready!(again.poll(cx));
                    if self.stream.has_failed() {
                        return Poll::Ready(());
                    }
                    again.set(LOOK_AGAIN);
                }
            }
        }
    }

    /// Writes everything queued.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, queue, written, .. } = self;
        ready!(queue.poll_flush(&mut *stream, cx, written))?;
        match stream {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(_) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Whether a client that sends no further request keeps to that, as far as this core has heard: then the socket can
    /// be closed, and the answer still arrives. With bytes unread, that would be a reset, which takes the answer away.
    /// TLS has to say goodbye first.
    pub(crate) fn has_said_all(&mut self) -> bool {
        self.body.is_done()
            && self.buffer.is_empty()
            && matches!(self.stream, Stream::Plain(_))
            && self.stream.is_quiet()
    }

    /// The connection will end with a reset: all that tells a client that an answer without a length is not whole.
    pub(crate) fn end_with_reset(&self) {
        let _ = socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Bytes written over the connection's life; a client that takes none is stalled.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Closes our side.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Drops buffers that an idle connection does not need.
    pub(crate) fn release_memory(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        self.queue.release();
    }
}

/// Reads what nobody wants until the client has closed too, so that the last answer is not lost to a reset (RFC 9112,
/// section 9.6): a client that uploads may read it only when everything is sent. Ends after `silence` without a byte.
pub(crate) async fn linger(io: &std::cell::RefCell<ClientIo>, silence: Duration) {
    let mut pause = Deadline::after(silence);
    let end = Instant::now() + LONGEST_LINGER;
    std::future::poll_fn(|cx| {
        let mut io = io.borrow_mut();
        loop {
            // Looked at before anything that may wait, and by the clock as well for a client that never pauses.
            if pause.poll(cx).is_ready() || Instant::now() > end {
                return Poll::Ready(());
            }
            let _ = ready!(io.poll_shutdown(cx));
            io.buffer.clear();
            match ready!(io.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => pause.set(silence),
            }
        }
    })
    .await;
}
