//! One request at an HTTP/1 backend: sends head and body, reads interim answers, the answer's head
//! and its body, in both directions at once, and gives the connection back when it may be used again.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as _, Frame};

use super::body::BodyReader;
use super::chunked::Piece;
use super::head_end::HeadScan;
use super::response_head::{self, Persistence};
use super::write::{self, WriteQueue};
use crate::proxy::body::{BodyError, RequestBody};
use crate::proxy::convert;
use crate::proxy::deadline::Deadline;
use crate::proxy::message::{BodyLength, RequestHead, ResponseHead};
use crate::proxy::stream::Stream;
use crate::proxy::upstream::{Endpoint, Event, Exchange, ExchangeError, INTERIM_LIMIT};
use crate::telemetry::UpstreamSeries;
use crate::types::fields::{Fields, Known, list_elements};

/// Room made for each read from a backend.
const READ: usize = 16 << 10;

/// A connection to an HTTP/1 backend and what is under way on it.
#[derive(Debug)]
pub(crate) struct Http1Exchange {
    stream: Stream,
    _open: Open,
    buffer: BytesMut,
    queue: WriteQueue,
    /// It served a request before: the backend may have closed it meanwhile.
    pub(crate) reused: bool,
    upload: Upload,
    sent: u64,
    received: bool,
    interims: u32,
    to_head: bool,
    /// The protocols that the client would switch to; empty if none.
    upgrade: Vec<u8>,
    keep_alive: bool,
    idle_for: Duration,
    scan: HeadScan,
    /// For the answer's head; kept with the connection, so that its timer is started rarely.
    response: Deadline,
}

/// Counts the connection as open until it is dropped.
#[derive(Debug)]
struct Open(Arc<UpstreamSeries>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

/// The sending side.
#[derive(Debug)]
enum Upload {
    /// Everything is queued or sent.
    Done,
    /// Body frames are still to come.
    Body { body: RequestBody, chunked: bool },
    /// The backend no longer takes bytes; it may have answered before.
    Broken,
}

impl Http1Exchange {
    pub(crate) fn new(stream: Stream, series: Arc<UpstreamSeries>) -> Self {
        series.open.inc();
        Self {
            stream,
            _open: Open(series),
            buffer: BytesMut::new(),
            queue: WriteQueue::default(),
            reused: false,
            upload: Upload::Done,
            sent: 0,
            received: false,
            interims: 0,
            to_head: false,
            upgrade: Vec::new(),
            keep_alive: false,
            idle_for: Duration::MAX,
            scan: HeadScan::default(),
            response: Deadline::default(),
        }
    }

    /// The idle connection is open and silent.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.stream.is_quiet()
    }

    /// Drops buffers that an idle connection does not need.
    pub(crate) fn release_memory(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        self.queue.release();
    }

    /// How long the backend keeps the connection when it is idle, as far as it said.
    pub(crate) fn idle_for(&self) -> Duration {
        self.idle_for
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self, head: &RequestHead, body: RequestBody) {
        write::request_head(self.queue.gather(), head);
        self.upload = match head.body {
            BodyLength::None => Upload::Done,
            BodyLength::Exact(_) => Upload::Body { body, chunked: false },
            BodyLength::Unknown | BodyLength::UntilClose => Upload::Body { body, chunked: true },
        };
        self.sent = 0;
        self.received = false;
        self.interims = 0;
        self.to_head = head.method == "HEAD";
        self.upgrade.clear();
        if head.upgrade {
            self.upgrade.extend_from_slice(head.fields.get(Known::Upgrade).unwrap_or_default());
        }
        self.scan = HeadScan::default();
    }

    /// The request was sent to its end.
    pub(crate) fn upload_is_done(&self) -> bool {
        !matches!(self.upload, Upload::Body { .. }) && self.queue.is_empty()
    }

    /// Sends what there is to send. `Err` only for failures of the client's body.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if matches!(self.upload, Upload::Broken) {
                return Poll::Ready(Ok(()));
            }
            if !self.queue.is_empty() {
                // A head and the first piece of its body leave together if the piece is here already.
                if !self.queue.is_full()
                    && let Upload::Body { body, chunked } = &mut self.upload
                    && let Poll::Ready(next) = Pin::new(body).poll_frame(cx)
                {
                    let chunked = *chunked;
                    self.queue_frame(next, chunked)?;
                    continue;
                }
                let Self { queue, stream, sent, .. } = self;
                match ready!(queue.poll_flush(&mut *stream, cx, sent)) {
                    Ok(()) => {}
                    Err(_) => {
                        self.upload = Upload::Broken;
                        continue;
                    }
                }
            }
            if let Stream::Tls(_) = &self.stream
                && ready!(tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.stream), cx)).is_err()
            {
                self.upload = Upload::Broken;
                continue;
            }
            let Upload::Body { body, chunked } = &mut self.upload else { return Poll::Ready(Ok(())) };
            let chunked = *chunked;
            let next = ready!(Pin::new(body).poll_frame(cx));
            self.queue_frame(next, chunked)?;
        }
    }

    fn queue_frame(&mut self, next: Option<Result<Frame<Bytes>, BodyError>>, chunked: bool) -> Result<(), BodyError> {
        match next {
            None => {
                if chunked {
                    write::last_chunk(self.queue.gather(), None);
                }
                self.upload = Upload::Done;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => self.queue.push(data, chunked),
                Err(frame) => {
                    if let (true, Ok(trailers)) = (chunked, frame.into_trailers()) {
                        let mut fields = Fields::new();
                        convert::push_header_map(&trailers, &mut fields);
                        write::last_chunk(self.queue.gather(), Some(&fields));
                        self.upload = Upload::Done;
                    }
                }
            },
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn take_head(&mut self) -> Result<Option<Event>, ExchangeError> {
        let end = self
            .scan
            .advance(&self.buffer, response_head::LIMITS)
            .map_err(|_| ExchangeError::Invalid("its head is too large or not well-formed"))?;
        let Some(end) = end else { return Ok(None) };
        let mut head = ResponseHead::default();
        let persistence: Persistence =
            response_head::parse(&self.buffer[..end], self.scan.lines(), self.to_head, &mut head)
                .map_err(ExchangeError::Invalid)?;
        self.buffer.advance(end);
        self.scan = HeadScan::default();
        if head.status == 101 {
            return if self.asked_for(&head) {
                Ok(Some(Event::Final(head)))
            } else {
                Err(ExchangeError::Invalid("it switches to a protocol that nobody asked for"))
            };
        }
        if head.status < 200 {
            self.interims += 1;
            return if self.interims > INTERIM_LIMIT {
                Err(ExchangeError::Invalid("it sends interim answers without end"))
            } else {
                Ok(Some(Event::Interim(head)))
            };
        }
        self.keep_alive = persistence.keep_alive;
        if let Some(seconds) = persistence.idle_seconds {
            self.idle_for = Duration::from_secs(seconds.saturating_sub(1));
        }
        Ok(Some(Event::Final(head)))
    }

    /// A 101 names protocols, and the client offered each of them (RFC 9110, section 7.8).
    fn asked_for(&self, switch: &ResponseHead) -> bool {
        let offered = |chosen: &[u8]| list_elements(&self.upgrade).any(|offer| offer.eq_ignore_ascii_case(chosen));
        let mut chosen = switch.fields.get_all(Known::Upgrade).flat_map(list_elements).peekable();
        chosen.peek().is_some() && chosen.all(offered)
    }

    /// After a 101: the stream, and the bytes that came behind the head.
    pub(crate) fn tunnel(&mut self) -> (&mut Stream, BytesMut) {
        (&mut self.stream, std::mem::take(&mut self.buffer))
    }
}

impl Exchange for Http1Exchange {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, ExchangeError>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(cx) {
            return Poll::Ready(Err(ExchangeError::Client(error)));
        }
        loop {
            if let Some(event) = self.take_head()? {
                return Poll::Ready(Ok(event));
            }
            self.buffer.reserve(READ);
            match ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer)) {
                Ok(0) | Err(_) if !self.received => {
                    return Poll::Ready(Err(ExchangeError::ClosedBeforeAnswer { unsent: self.sent == 0 }));
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(ExchangeError::ClosedWithinHead)),
                Ok(_) => self.received = true,
            }
        }
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn waits_for_body(&self) -> bool {
        matches!(self.upload, Upload::Body { .. }) && self.queue.is_empty()
    }

    fn response_deadline(&mut self) -> &mut Deadline {
        &mut self.response
    }
}

/// An answer's body; goes on sending the request's while it is read.
#[derive(Debug)]
pub(crate) struct Http1ResponseBody {
    /// Taken when the body is over and the connection went back to its pool.
    exchange: Option<Box<Http1Exchange>>,
    reader: BodyReader,
    endpoint: Rc<Endpoint>,
    /// When the request began; the connection is idle since then at most.
    began: Instant,
}

impl Http1ResponseBody {
    /// Reads the body that the head announced; `None` if there is none and the connection is settled.
    pub(crate) fn new(
        exchange: Box<Http1Exchange>,
        length: BodyLength,
        endpoint: Rc<Endpoint>,
        began: Instant,
    ) -> Option<Self> {
        let reader = BodyReader::new(length);
        let mut body = Self { exchange: Some(exchange), reader, endpoint, began };
        if body.reader.is_done() {
            body.settle();
        }
        body.exchange.is_some().then_some(body)
    }

    /// Nothing is left to be read.
    pub(crate) fn is_over(&self) -> bool {
        self.exchange.is_none()
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
        if let Poll::Ready(Err(error)) = exchange.poll_upload(cx) {
            self.exchange = None;
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match self.reader.read(&mut exchange.buffer) {
                Err(what) => {
                    self.exchange = None;
                    return Poll::Ready(Some(Err(BodyError::UpstreamMalformed(what))));
                }
                Ok(Piece::Data(data)) => {
                    if self.reader.is_done() {
                        self.settle();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Piece::End(trailers)) => {
                    self.settle();
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(convert::header_map(&trailers)))));
                }
                Ok(Piece::NeedMore | Piece::OverLimit) => {} // answers have no limit
            }
            exchange.buffer.reserve(4 * READ);
            match tokio_util::io::poll_read_buf(Pin::new(&mut exchange.stream), cx, &mut exchange.buffer) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(result) => {
                    let clean = result.is_ok() && self.reader.end_of_input();
                    self.exchange = None;
                    return Poll::Ready((!clean).then_some(Err(BodyError::UpstreamClosed)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The answer is over: the connection goes back to its pool if nothing is left on it.
    fn settle(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        if exchange.keep_alive
            && exchange.upload_is_done()
            && exchange.buffer.is_empty()
            && !matches!(exchange.upload, Upload::Broken)
        {
            exchange.reused = true;
            exchange.response.clear();
            self.endpoint.give_back(exchange, self.began);
        }
    }
}
