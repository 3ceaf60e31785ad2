//! One request at an h2 backend: sends head and body, reads interim answers, the answer's head and its
//! body, in both directions at once. Its stream leaves the connection when it is dropped.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use http_body::{Body as _, Frame};

use super::outgoing::Outgoing;
use super::{Gone, incoming};
use crate::proxy::body::{BodyError, RequestBody};
use crate::proxy::convert;
use crate::proxy::deadline::Deadline;
use crate::proxy::http1::content_length;
use crate::proxy::message::{BodyLength, ResponseHead};
use crate::proxy::upstream::{Event, Exchange, ExchangeError, INTERIM_LIMIT, OnStream};

/// A request under way on a stream.
#[derive(Debug)]
pub(crate) struct Http2Exchange {
    upload: Upload,
    answer: ResponseFuture,
    /// The answer's body, once its head is there.
    incoming: Option<RecvStream>,
    interims: u32,
    to_head: bool,
    response: Deadline,
    place: OnStream,
}

impl Http2Exchange {
    /// Begins a request; what it fails with never left.
    pub(crate) fn begin(
        sender: &mut SendRequest<Bytes>,
        place: OnStream,
        request: Request<()>,
        body: RequestBody,
    ) -> Result<Self, h2::Error> {
        let to_head = request.method() == http::Method::HEAD;
        let (answer, stream) = sender.send_request(request, body.is_end_stream())?;
        let body = (!body.is_end_stream()).then_some(body);
        let upload = Upload { out: Outgoing::new(stream), body };
        Ok(Self { upload, answer, incoming: None, interims: 0, to_head, response: Deadline::default(), place })
    }

    /// The answer's body; `None` if its head was the end of it.
    pub(crate) fn into_body(self) -> Option<Http2ResponseBody> {
        let incoming = self.incoming.filter(|incoming| !incoming.is_end_stream())?;
        Some(Http2ResponseBody { upload: self.upload, incoming, ahead: BytesMut::new(), _place: self.place })
    }

    fn read_interim(&mut self, interim: Response<()>) -> Result<Event, ExchangeError> {
        self.interims += 1;
        if interim.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(ExchangeError::Invalid("it switches protocols, which HTTP/2 does not know"));
        }
        if self.interims > INTERIM_LIMIT {
            return Err(ExchangeError::Invalid("it sends interim answers without end"));
        }
        Ok(Event::Interim(read_head(&interim)))
    }

    fn read_final(&mut self, answer: Response<RecvStream>) -> Result<Event, ExchangeError> {
        let mut head = read_head(&answer);
        let length = content_length(&head.fields).map_err(ExchangeError::Invalid)?;
        let bodiless = self.to_head || matches!(head.status, 204 | 304);
        head.body = match length {
            _ if bodiless || answer.body().is_end_stream() => BodyLength::None,
            Some(length) => BodyLength::Exact(length),
            None => BodyLength::Unknown,
        };
        if head.body == BodyLength::None && !bodiless && length.is_none() {
            // An HTTP/1 client must be told that nothing follows: h2 said it by ending the stream.
            head.fields.push("content-length", b"0");
        }
        self.incoming = Some(answer.into_body());
        Ok(Event::Final(head))
    }
}

impl Exchange for Http2Exchange {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, ExchangeError>> {
        if let Poll::Ready(Err(error)) = self.upload.poll(cx) {
            return Poll::Ready(Err(ExchangeError::Client(error)));
        }
        if let Some(interim) = ready!(self.answer.poll_informational(cx)) {
            return Poll::Ready(
                interim.map_err(|error| classify(&error)).and_then(|interim| self.read_interim(interim)),
            );
        }
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.map_err(|error| classify(&error)).and_then(|answer| self.read_final(answer)))
    }

    fn sent(&self) -> u64 {
        self.upload.out.sent()
    }

    fn waits_for_body(&self) -> bool {
        self.upload.body.is_some() && self.upload.out.is_empty()
    }

    fn response_deadline(&mut self) -> &mut Deadline {
        &mut self.response
    }
}

fn read_head<T>(response: &Response<T>) -> ResponseHead {
    let mut head = ResponseHead { status: response.status().as_u16(), ..ResponseHead::default() };
    convert::push_header_map(response.headers(), &mut head.fields);
    head
}

fn classify(error: &h2::Error) -> ExchangeError {
    // REFUSED_STREAM, or a GOAWAY that does not count this stream: the backend promises that it did
    // nothing (RFC 9113, sections 6.8 and 8.7).
    let refused = error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
    if error.is_io() || refused {
        ExchangeError::ClosedBeforeAnswer { unsent: refused }
    } else if error.is_remote() {
        ExchangeError::StreamReset
    } else {
        ExchangeError::Invalid("it does not keep to HTTP/2")
    }
}

/// A request's body on its way out.
#[derive(Debug)]
struct Upload {
    out: Outgoing,
    /// `None` once everything has left, or the backend takes no more of it; it may have answered before.
    body: Option<RequestBody>,
}

impl Upload {
    /// Sends what there is to send. `Err` only for failures of the client's body.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        while let Some(body) = &mut self.body {
            let taken = match ready!(self.out.poll_flush(cx)) {
                Err(Gone) => Err(Gone),
                Ok(()) => match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                    Some(Ok(Ok(data))) => self.out.push(data, false),
                    Some(Ok(Err(frame))) => self.end(frame.into_trailers().ok()),
                    Some(Err(error)) => {
                        self.out.reset(Reason::CANCEL);
                        return Poll::Ready(Err(error));
                    }
                    None => self.end(None),
                },
            };
            if taken.is_err() {
                self.body = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Option<http::HeaderMap>) -> Result<(), Gone> {
        self.body = None;
        self.out.end(trailers)
    }
}

/// An answer's body; goes on sending the request's while it is read.
#[derive(Debug)]
pub(crate) struct Http2ResponseBody {
    upload: Upload,
    incoming: RecvStream,
    /// Read before anybody had room for it; the backend does not get this room back yet.
    ahead: BytesMut,
    _place: OnStream,
}

impl Http2ResponseBody {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.upload.poll(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        if !self.ahead.is_empty() {
            let data = std::mem::take(&mut self.ahead).freeze();
            incoming::give_room(&mut self.incoming, data.len());
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let next = ready!(incoming::poll_frame(&mut self.incoming, cx));
        Poll::Ready(next.map(|frame| frame.map_err(|Gone| BodyError::UpstreamClosed)))
    }

    /// Gathers what has come while the client has no room for it. In the library each frame costs some 256
    /// bytes beside its own: a few clients that do not take their streams of small messages would use up
    /// what it allows the connection, and it would break off everybody's streams.
    pub(crate) fn read_ahead(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(Ok(data))) = self.incoming.poll_data(cx) {
            self.ahead.extend_from_slice(&data);
        }
    }

    /// The stream has ended, and all of it was read.
    pub(crate) fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.incoming.is_end_stream()
    }
}
