//! Serves a client's HTTP/1 connection: read a head, have it answered, write the answer, again.

use std::cell::RefCell;
use std::future::Future as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use super::connection::{ClientIo, linger};
use super::head_end::HeadScan;
use super::pump::pump;
use super::request_head;
use super::write::{self, Delimiter};
use crate::problem::Code;
use crate::proxy::body::RequestBody;
use crate::proxy::core::{Core, View};
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::{self, InterimSink};
use crate::proxy::message::{BodyLength, HeadError, RequestHead, ResponseHead, Version};
use crate::proxy::record::{Record, Spare};
use crate::proxy::reply::Reply;
use crate::proxy::tunnel;
use crate::proxy::turn::after_others;
use crate::proxy::worker::{Peer, Registration};

/// For how much silence bytes that nobody wants are waited for after the last answer.
const LINGER: Duration = Duration::from_secs(2);
/// The same while the process is ending.
const LAST_LINGER: Duration = Duration::from_millis(200);
/// An unread body up to this size is read and thrown away rather than closing the connection.
const DRAIN: u64 = 64 << 10;

/// What came of waiting for a request.
enum Incoming {
    /// A head is in place, read under this view's limits.
    Request(Rc<View>),
    /// The client left, or was idle for too long.
    Closed,
    /// The head is refused.
    Refused(HeadError),
}

/// Serves the connection to its end.
pub(crate) async fn serve(core: Rc<Core>, peer: Peer, io: Rc<RefCell<ClientIo>>, registration: Registration) {
    let mut spare = Spare::default();
    loop {
        registration.set_idle(true);
        let incoming = next_request(&core, &io, &mut spare.head).await;
        registration.set_idle(false);
        let (reply, body) = match incoming {
            Incoming::Closed => return,
            Incoming::Request(view) => {
                let length = spare.head.body;
                let timeout = view.snapshot.server.timeouts.body;
                io.borrow_mut().begin_body(length, timeout, spare.head.expects_continue);
                let body = RequestBody::http1(&io, length);
                let record = Record::begin(&core, view, std::mem::take(&mut spare), &peer);
                let Some(reply) = have_answered(&io, record, body.clone()).await else { return }; // the client is gone
                (reply, body)
            }
            Incoming::Refused(error) => {
                io.borrow_mut().begin_body(BodyLength::None, Duration::ZERO, false);
                let record = Record::begin(&core, core.view(), std::mem::take(&mut spare), &peer);
                let mut reply = Reply::refusal(record, error);
                reply.close = true; // nobody knows where the next message begins
                (reply, RequestBody::none())
            }
        };
        match respond(&core, &io, reply, &body, &mut spare).await {
            After::Next => {}
            After::Linger => return linger(&io, if core.draining.get() { LAST_LINGER } else { LINGER }).await,
            After::Drop => return,
        }
    }
}

/// Waits for the next head.
async fn next_request(core: &Core, io: &Rc<RefCell<ClientIo>>, head: &mut RequestHead) -> Incoming {
    let mut scan = HeadScan::default();
    let mut reading = false;
    io.borrow_mut().head_deadline.clear();
    std::future::poll_fn(|cx| {
        let io = &mut *io.borrow_mut();
        loop {
            skip_empty_lines(io, &mut scan);
            if !io.buffer.is_empty() {
                let view = core.view();
                let limits = &view.snapshot.server.limits;
                match scan.advance(&io.buffer, request_head::head_limits(limits)) {
                    Err(oversize) => return Poll::Ready(Incoming::Refused(oversize.into())),
                    Ok(Some(end)) => {
                        let parsed = request_head::parse(&io.buffer[..end], scan.lines(), limits, head);
                        if parsed.is_err() && request_head::is_another_protocol(&io.buffer[..end]) {
                            return Poll::Ready(Incoming::Closed); // an answer would be noise to it
                        }
                        bytes::Buf::advance(&mut io.buffer, end);
                        return Poll::Ready(parsed.map_or_else(Incoming::Refused, |()| Incoming::Request(view)));
                    }
                    Ok(None) if !reading => {
                        reading = true;
                        io.head_deadline.set(view.snapshot.server.timeouts.header);
                    }
                    Ok(None) => {}
                }
            } else if core.draining.get() {
                return Poll::Ready(Incoming::Closed);
            }
            match io.poll_fill(cx) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) if reading => {
                    return Poll::Ready(Incoming::Refused(HeadError::malformed(
                        "the connection ended within the head",
                    )));
                }
                Poll::Ready(_) => return Poll::Ready(Incoming::Closed),
                Poll::Pending => {
                    if !io.head_deadline.is_set() {
                        io.head_deadline.set(core.view().snapshot.server.timeouts.idle);
                    }
                    ready!(io.head_deadline.poll(cx));
                    return Poll::Ready(if reading {
                        Incoming::Refused(HeadError::new(
                            Code::RequestTimeout,
                            "the request's head did not arrive in time",
                        ))
                    } else {
                        Incoming::Closed
                    });
                }
            }
        }
    })
    .await
}

/// RFC 9112, section 2.2: an empty line before the request line is ignored.
fn skip_empty_lines(io: &mut ClientIo, scan: &mut HeadScan) {
    while io.buffer.starts_with(b"\r\n") {
        bytes::Buf::advance(&mut io.buffer, 2);
        *scan = HeadScan::default(); // it may have seen the CR already
    }
}

/// Interim answers are queued in front of the answer.
struct Http1Interim<'a> {
    io: &'a RefCell<ClientIo>,
    version: Version,
}

impl InterimSink for Http1Interim<'_> {
    fn interim(&mut self, head: &ResponseHead) {
        if self.version != Version::Http11 {
            return;
        }
        let mut io = self.io.borrow_mut();
        if head.status == 100 {
            io.continue_was_sent();
        }
        let mut fields = head.fields.clone();
        crate::proxy::reply::clean_backend_fields(&mut fields, false);
        let out = io.queue.gather();
        write::status_line(out, head.status, &head.reason);
        fields.write_lines(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Has the request answered, unless the client leaves meanwhile.
async fn have_answered(io: &Rc<RefCell<ClientIo>>, record: Record, body: RequestBody) -> Option<Reply> {
    let mut interim = Http1Interim { io, version: record.head.version };
    let mut answering = pin!(exchange::answer(record, body, &mut interim));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(reply) = answering.as_mut().poll(cx) {
            return Poll::Ready(Some(reply));
        }
        let mut io = io.borrow_mut();
        if !io.queue.is_empty() && matches!(io.poll_flush(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(None);
        }
        io.poll_gone(cx).map(|()| None)
    })
    .await
}

/// What follows an answer.
enum After {
    /// Another request.
    Next,
    /// Nothing, once the client has read everything.
    Linger,
    /// Nothing: the connection is over, or broken off.
    Drop,
}

/// Writes the answer and decides what becomes of the connection; leaves in `spare` what the next request can use.
async fn respond(
    core: &Core,
    io: &Rc<RefCell<ClientIo>>,
    mut reply: Reply,
    body: &RequestBody,
    spare: &mut Spare,
) -> After {
    let request = &reply.record.head;
    let unread = !io.borrow().body_is_done();
    let abandon = reply.close || (unread && !drains(io, request));
    let is_last = request.close && !abandon;
    let close = is_last || abandon || core.draining.get();
    let delimiter = match reply.head.body {
        BodyLength::None | BodyLength::Exact(_) => Delimiter::Length,
        BodyLength::Unknown | BodyLength::UntilClose if request.version == Version::Http10 => Delimiter::Close,
        BodyLength::Unknown | BodyLength::UntilClose => Delimiter::Chunked,
    };
    let close = close || delimiter == Delimiter::Close;
    if let Some(exchange) = reply.upgrade.take() {
        return Box::pin(upgrade(io, reply, exchange)).await;
    }
    let connection = match (close, request.version) {
        (true, _) => Some("close"),
        (false, Version::Http10) => Some("keep-alive"),
        (false, _) => None,
    };
    write::response_head(io.borrow_mut().queue.gather(), &reply.head, delimiter, connection);
    after_others().await;
    let outcome = pump(io, &mut reply, delimiter).await;
    reply.record.received = body.taken();
    if let Err(aborted) = outcome {
        reply.record.aborted = aborted;
        if delimiter == Delimiter::Close {
            io.borrow().end_with_reset();
        }
        drop(reply);
        return After::Drop;
    }
    let Reply { record, body: finished, .. } = reply;
    drop(finished);
    *spare = record.finish();
    if close {
        return if is_last && io.borrow_mut().has_said_all() { After::Drop } else { After::Linger };
    }
    if unread && !io.borrow().body_is_done() && !drain(io).await {
        return After::Linger;
    }
    After::Next
}

/// The rest of the client's body is small and on its way: worth reading to keep the connection.
fn drains(io: &RefCell<ClientIo>, request: &RequestHead) -> bool {
    matches!(request.body, BodyLength::Exact(length) if length <= DRAIN) && !io.borrow().owes_continue()
}

/// Reads the rest of a body that nobody wants; `false` if it is too long or does not come.
async fn drain(io: &Rc<RefCell<ClientIo>>) -> bool {
    let mut deadline = Deadline::after(LINGER);
    let mut left = DRAIN;
    std::future::poll_fn(|cx| {
        if io.borrow().owes_continue() {
            return Poll::Ready(false);
        }
        loop {
            match io.borrow_mut().poll_body(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => return Poll::Ready(true),
                Poll::Ready(Some(Ok(frame))) => {
                    left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                    if left == 0 {
                        return Poll::Ready(false);
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Pending => return deadline.poll(cx).map(|()| false),
            }
        }
    })
    .await
}

/// Hands both connections to the tunnel after a 101.
async fn upgrade(
    io: &Rc<RefCell<ClientIo>>,
    mut reply: Reply,
    mut exchange: Box<super::client::Http1Exchange>,
) -> After {
    write::response_head(io.borrow_mut().queue.gather(), &reply.head, Delimiter::Length, Some("Upgrade"));
    let mut stall = Deadline::after(reply.record.view.snapshot.server.timeouts.answer);
    let switched = std::future::poll_fn(|cx| match io.borrow_mut().poll_flush(cx) {
        Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
        Poll::Pending => stall.poll(cx).map(|()| false),
    });
    if !switched.await {
        return After::Drop;
    }
    let idle = reply.record.idle_timeout();
    let (upstream, from_upstream) = exchange.tunnel();
    let (received, sent, ended) = tunnel::splice(io, upstream, from_upstream, idle).await;
    reply.record.received = received;
    reply.record.sent = sent;
    reply.record.aborted = ended;
    After::Drop
}
