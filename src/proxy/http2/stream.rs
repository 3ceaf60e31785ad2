//! One stream of a client's connection: read its head, have it answered, send the answer.

use std::cell::RefCell;
use std::future::Future as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use super::outgoing::Outgoing;
use super::{Gone, request_head};
use crate::proxy::body::RequestBody;
use crate::proxy::convert;
use crate::proxy::core::Core;
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::{self, InterimSink};
use crate::proxy::message::{HeadError, ResponseHead};
use crate::proxy::record::Record;
use crate::proxy::reply::{Reply, clean_backend_fields};
use crate::proxy::worker::Peer;

/// Serves the stream to its end.
pub(super) async fn serve(
    core: Rc<Core>,
    peer: Peer,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let (record, body, read) = begin(&core, &peer, request);
    let patience = record.view.snapshot.server.timeouts.answer;
    let respond = RefCell::new(respond);
    let reply = match read {
        Ok(()) => have_answered(&respond, record, body.clone()).await,
        Err(error) => Some(Reply::refusal(record, error)),
    };
    if let Some(reply) = reply {
        send(respond.into_inner(), reply, &body, patience).await;
    }
}

/// Reads the head; what is begun is a record also of a request that is refused.
fn begin(
    core: &Rc<Core>,
    peer: &Peer,
    request: http::Request<RecvStream>,
) -> (Record, RequestBody, Result<(), HeadError>) {
    let (parts, incoming) = request.into_parts();
    let view = core.view();
    let server = &view.snapshot.server;
    let mut spare = core.take_spare();
    let head = &mut spare.head;
    let read = request_head::read(&server.limits, &parts, incoming.is_end_stream(), head);
    let body = RequestBody::http2(incoming, head.body, server.timeouts.body, head.expects_continue);
    (Record::begin(core, view, spare, peer), body, read)
}

/// Interim answers leave in front of the answer.
struct Http2Interim<'a> {
    respond: &'a RefCell<SendResponse<Bytes>>,
    body: RequestBody,
}

impl InterimSink for Http2Interim<'_> {
    fn interim(&mut self, head: &ResponseHead) {
        if head.status == 100 {
            self.body.continue_was_sent();
        }
        let mut head = ResponseHead { status: head.status, fields: head.fields.clone(), ..ResponseHead::default() };
        clean_backend_fields(&mut head.fields, false);
        // A client that is gone by now is noticed where the answer is waited for.
        let _ = self.respond.borrow_mut().send_informational(convert::response(&head));
    }
}

/// Has the request answered, unless the client resets the stream meanwhile.
async fn have_answered(respond: &RefCell<SendResponse<Bytes>>, record: Record, body: RequestBody) -> Option<Reply> {
    let mut interim = Http2Interim { respond, body: body.clone() };
    let mut answering = pin!(exchange::answer(record, body, &mut interim));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(reply) = answering.as_mut().poll(cx) {
            return Poll::Ready(Some(reply));
        }
        respond.borrow_mut().poll_reset(cx).map(|_| None)
    })
    .await
}

/// Sends the answer. The record keeps how it went; the client sees a broken stream as one.
async fn send(mut respond: SendResponse<Bytes>, mut reply: Reply, body: &RequestBody, patience: Duration) {
    let is_over = reply.body.is_over();
    let outcome = match respond.send_response(convert::response(&reply.head), is_over) {
        Err(_) => Err("client-gone"),
        Ok(_) if is_over => Ok(()),
        Ok(stream) => {
            let out = Outgoing::new(stream);
            let stall = Deadline::default();
            let mut pump = Pump { reply: &mut reply, out, ended: false, patience, stall, blocked: None };
            std::future::poll_fn(|cx| pump.poll(cx)).await
        }
    };
    reply.record.received = body.taken();
    if let Err(aborted) = outcome {
        reply.record.aborted = aborted;
    }
}

/// Moves an answer's body to the client. The exchange's deadline runs while the backend is waited for,
/// not while the client is.
struct Pump<'a> {
    reply: &'a mut Reply,
    out: Outgoing,
    /// Nothing follows what was taken from the backend.
    ended: bool,
    /// How long the client may give no room for what is ready.
    patience: Duration,
    stall: Deadline,
    /// Since when it gives none.
    blocked: Option<Instant>,
}

impl Pump<'_> {
    /// `Err` is the access log's word for what broke the answer off.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        let ended = ready!(self.poll_to_end(cx));
        self.reply.record.sent = self.out.sent();
        if let Err(why) = ended {
            self.out.reset(if why == "client-stalled" { Reason::CANCEL } else { Reason::INTERNAL_ERROR });
        }
        Poll::Ready(ended)
    }

    fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.out.poll_reset(cx).is_ready() {
            return Poll::Ready(Err("client-gone"));
        }
        loop {
            ready!(self.poll_room(cx))?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(next) = self.reply.body.poll_next(cx) else {
                return self.reply.record.deadline.poll(cx).map(|()| Err("request-timeout"));
            };
            let taken = match next.transpose().map_err(|error| error.word())?.map(http_body::Frame::into_data) {
                None => {
                    self.ended = true;
                    self.out.end(None)
                }
                Some(Ok(data)) => {
                    self.ended = self.reply.body.is_over();
                    self.out.push(data, self.ended)
                }
                Some(Err(frame)) => {
                    self.ended = true;
                    self.out.end(frame.into_trailers().ok())
                }
            };
            taken.map_err(|Gone| "client-gone")?;
        }
    }

    /// Ready once the client has room for more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        let sent = self.out.sent();
        let flushed = self.out.poll_flush(cx);
        if self.blocked.is_some() && self.out.sent() != sent {
            self.stall.set(self.patience);
        }
        match flushed {
            Poll::Ready(Ok(())) => {
                if let Some(since) = self.blocked.take() {
                    self.reply.record.deadline.extend(since.elapsed());
                    self.stall.clear();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(Gone)) => Poll::Ready(Err("client-gone")),
            Poll::Pending => {
                if self.blocked.is_none() {
                    self.blocked = Some(Instant::now());
                    self.stall.set(self.patience);
                }
                self.reply.body.read_ahead(cx);
                self.stall.poll(cx).map(|()| Err("client-stalled"))
            }
        }
    }
}
