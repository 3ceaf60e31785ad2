//! Forwards a request to one of a backend's endpoints, and to another one only when nothing can be
//! done twice by it (notes on retries: `docs/adr/0007-retries.md`).

use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use super::body::{BodyError, Http2ResponseBody, RequestBody, ResponseBody};
use super::convert;
use super::core::TargetView;
use super::deadline::Deadline;
use super::exchange::{InterimSink, client_failure, is_over_limit};
use super::forwarded;
use super::http1::client::{Event, ExchangeError, Http1Exchange, Http1ResponseBody};
use super::message::{BodyLength, ResponseHead};
use super::record::{Record, Story};
use super::reply::{Reply, clean_backend_fields, finish_fields, is_stream};
use super::upstream::{ConnectError, Endpoint, H2Error, Upstream, resolve_connect};
use crate::auth::Identity;
use crate::problem::{Code, Problem};
use crate::snapshot::{Protocol, Route, Timeouts};
use crate::telemetry::UpstreamError;
use crate::types::fields::Known;

/// A backend's answer, its body still to be read.
struct Answered {
    head: ResponseHead,
    body: ResponseBody,
    upgrade: Option<Box<Http1Exchange>>,
}

/// How a try went wrong.
enum TryError {
    /// No connection; nothing left.
    Connect(ConnectError),
    /// A connection from the pool turned out to be closed; `unsent`: not a byte of the request had left.
    Stale { unsent: bool },
    /// Closed before or within the answer's head.
    Closed(&'static str),
    /// Not acceptable HTTP.
    Invalid(&'static str),
    /// No answer within the time for one try.
    Timeout,
    /// No answer within the time for the whole request.
    RequestTimeout,
    /// The client's body failed.
    Client(BodyError),
}

/// Forwards the request and returns the backend's answer, or a problem.
pub(crate) async fn forward(
    mut record: Record,
    body: RequestBody,
    identity: Option<&Identity>,
    target: &TargetView,
    interim: &mut dyn InterimSink,
) -> Reply {
    let view = Rc::clone(&record.view);
    let route = view.route(record.route.expect("only routed requests are forwarded"));
    let upstream = &*target.upstream;
    let limit = body_limit(&record, route);
    if is_over_limit(&record.head, limit) {
        let detail = format!("this route takes bodies of up to {limit} bytes");
        return Reply::problem(record, &Problem::new(Code::BodyTooLarge, detail), Vec::new());
    }
    body.guard(limit, &view);
    let Some(in_flight) = upstream.enter() else {
        upstream.series.error(UpstreamError::Busy);
        let detail =
            format!("backend {} has {} requests under way", upstream.backend.name, upstream.backend.max_in_flight);
        return Reply::problem(record, &Problem::new(Code::UpstreamBusy, detail), vec![("retry-after", "1".into())]);
    };
    upstream.budget.borrow_mut().request(record.started);
    {
        let core = Rc::clone(record.core());
        let Story { head, origin, id, .. } = &mut *record;
        forwarded::prepare(head, origin, id, identity, &mut core.ids.borrow_mut());
    }
    let timeouts = route.timeouts.over(&upstream.backend.timeouts);
    let mut attempts =
        Attempts { record: &mut record, upstream, timeouts, retries: route.retries, tried: 0, resent: false };
    let mut deadline = std::mem::take(&mut attempts.record.deadline);
    deadline.set_at(attempts.record.started + timeouts.request);
    match attempts.run(&body, &mut deadline, interim).await {
        Ok((answered, connection)) => {
            let Answered { mut head, body: response_body, upgrade } = answered;
            record.status = head.status;
            body.set_timeout(timeouts.idle);
            if is_stream(&record.head, &head) {
                deadline.clear();
            }
            record.deadline = deadline;
            clean_backend_fields(&mut head.fields, head.status == 101);
            finish_fields(&record, &mut head.fields);
            Reply {
                record,
                head,
                body: response_body,
                upgrade,
                close: false,
                _at_backend: Some((in_flight, connection)),
            }
        }
        Err(TryError::Client(error)) => client_failure(record, error),
        Err(error) => failure(record, upstream, &error),
    }
}

/// What the route takes: see [`Route::max_body`].
fn body_limit(record: &Record, route: &Route) -> u64 {
    match route.max_body {
        Some(limit) => limit,
        None if record.head.is_grpc() => u64::MAX,
        None => record.view.snapshot.server.limits.body_bytes,
    }
}

/// One request's tries at a backend.
struct Attempts<'a> {
    record: &'a mut Record,
    upstream: &'a Upstream,
    timeouts: Timeouts,
    /// Further tries that the route allows for idempotent methods.
    retries: u32,
    /// Bit n: endpoint n could not be connected to.
    tried: u64,
    /// The race with a closing pooled connection was lost once already.
    resent: bool,
}

impl Attempts<'_> {
    async fn run(
        &mut self,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<(Answered, super::upstream::Connection), TryError> {
        let mut last = TryError::Closed("it has no endpoint");
        loop {
            let random = self.record.core().ids.borrow_mut().random();
            let Some((index, endpoint)) = self.upstream.choose(self.tried, random, self.record.started) else {
                return Err(last);
            };
            let endpoint = Rc::clone(endpoint);
            self.record.tries += 1;
            self.record.endpoint = Some(Rc::clone(&endpoint));
            let connection = endpoint.enter();
            let result = match endpoint.protocol {
                Protocol::Http1 => self.try_http1(&endpoint, body, deadline, interim).await,
                Protocol::H2 => Box::pin(self.try_h2(&endpoint, body, deadline)).await,
            };
            let error = match result {
                Ok(answered) if !self.wants_another(&answered.head, body) => return Ok((answered, connection)),
                Ok(_) => continue,
                Err(error) => error,
            };
            self.count(&error);
            if !self.may_retry(&error, index, &endpoint, body) {
                return Err(error);
            }
            last = error;
        }
    }

    /// Whether an answer is one that the route wants to try again.
    fn wants_another(&mut self, head: &ResponseHead, body: &RequestBody) -> bool {
        matches!(head.status, 502..=504) && self.within_retries(body)
    }

    /// The route allows another try, the method is idempotent, the body can be sent again, and the budget has room.
    fn within_retries(&mut self, body: &RequestBody) -> bool {
        if self.retries == 0 || !self.record.head.is_idempotent() {
            return false;
        }
        let allowed = body.replayed().is_some() && self.upstream.budget.borrow_mut().take(Instant::now());
        if allowed {
            self.retries -= 1;
            self.upstream.series.retries.inc();
        } else {
            self.upstream.series.retries_refused.inc();
        }
        allowed
    }

    fn may_retry(&mut self, error: &TryError, index: usize, endpoint: &Rc<Endpoint>, body: &RequestBody) -> bool {
        match error {
            TryError::Connect(_) => {
                Upstream::avoid(endpoint, Instant::now());
                self.tried |= 1u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
                (self.record.tries as usize) < self.upstream.endpoints.len()
            }
            TryError::Stale { unsent } => {
                endpoint.drop_idle();
                let safe = *unsent || self.record.head.is_idempotent();
                let again = safe && !self.resent && body.replayed().is_some();
                self.resent = true;
                if again {
                    self.upstream.series.retries.inc();
                } else if safe {
                    self.upstream.series.retries_refused.inc();
                }
                again
            }
            TryError::Closed(_) | TryError::Timeout => self.within_retries(body),
            TryError::Invalid(_) | TryError::RequestTimeout | TryError::Client(_) => false,
        }
    }

    fn count(&self, error: &TryError) {
        let kind = match error {
            TryError::Connect(ConnectError::Timeout) | TryError::Timeout | TryError::RequestTimeout => {
                UpstreamError::Timeout
            }
            TryError::Connect(_) => UpstreamError::Connect,
            TryError::Stale { .. } | TryError::Closed(_) => UpstreamError::Closed,
            TryError::Invalid(_) => UpstreamError::Invalid,
            TryError::Client(_) => return,
        };
        self.upstream.series.error(kind);
    }

    async fn try_http1(
        &mut self,
        endpoint: &Rc<Endpoint>,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<Answered, TryError> {
        let pooled = if self.resent { None } else { endpoint.take_idle(self.record.started) };
        let mut exchange = match pooled {
            Some(exchange) => exchange,
            None => {
                // Boxed, like everything that is large and rare: every request's future would be as large as the largest.
                let stream =
                    Box::pin(resolve_connect(endpoint, self.timeouts.connect)).await.map_err(TryError::Connect)?;
                Box::new(Http1Exchange::new(stream, endpoint.series.open.clone()))
            }
        };
        let body = body.replayed().unwrap_or_else(RequestBody::none);
        exchange.begin(&self.record.head, body.clone());
        let waits_for_continue = self.record.head.expects_continue;
        let head = loop {
            match self.next_event(&mut exchange, &body, waits_for_continue, deadline).await? {
                Event::Interim(head) => interim.interim(&head),
                Event::Final(head) => break head,
            }
        };
        if head.status == 101 {
            return Ok(Answered { head, body: ResponseBody::Empty, upgrade: Some(exchange) });
        }
        let idle = self.timeouts.idle;
        let body = Http1ResponseBody::new(exchange, head.body, Rc::clone(endpoint), idle, self.record.started)
            .map_or(ResponseBody::Empty, ResponseBody::Http1);
        Ok(Answered { head, body, upgrade: None })
    }

    /// The next head from the backend, within the time for a try. The time runs while the backend is
    /// waited for: not while the client sends its body, and anew with each piece that the backend takes.
    async fn next_event(
        &self,
        exchange: &mut Http1Exchange,
        body: &RequestBody,
        waits_for_continue: bool,
        request: &mut Deadline,
    ) -> Result<Event, TryError> {
        exchange.response.set(self.timeouts.response);
        let mut sent = exchange.sent();
        let mut uploading_since: Option<Instant> = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(event) = exchange.poll_event(cx) {
                return Poll::Ready(event.map_err(|error| classify(error, exchange.reused)));
            }
            if exchange.sent() != sent {
                sent = exchange.sent();
                exchange.response.set(self.timeouts.response);
            }
            let client_is_awaited = exchange.waits_for_body() && !(waits_for_continue && body.taken() == 0);
            if client_is_awaited {
                uploading_since.get_or_insert_with(Instant::now);
                return Poll::Pending; // the body's own deadline watches the client
            }
            if let Some(since) = uploading_since.take() {
                request.extend(since.elapsed());
                exchange.response.set(self.timeouts.response);
            }
            if exchange.response.is_before(request) {
                return exchange.response.poll(cx).map(|()| Err(TryError::Timeout));
            }
            request.poll(cx).map(|()| Err(TryError::RequestTimeout))
        })
        .await
    }

    async fn try_h2(
        &mut self,
        endpoint: &Rc<Endpoint>,
        body: &RequestBody,
        deadline: &mut Deadline,
    ) -> Result<Answered, TryError> {
        let mut sender = endpoint.h2(self.timeouts.connect).await.map_err(TryError::Connect)?;
        let stream = sender.enter();
        let body = body.replayed().unwrap_or_else(RequestBody::none);
        let request = h2_request(&self.record.head, endpoint, body.clone())
            .ok_or(TryError::Invalid("the request can't be expressed in HTTP/2"))?;
        let mut sending = std::pin::pin!(sender.send(request));
        let mut response = Deadline::after(self.timeouts.response);
        let answer = std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = sending.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(|error| match body.failure() {
                    Some(failure) => TryError::Client(failure),
                    None if matches!(error, H2Error::Unsent) => TryError::Stale { unsent: true },
                    None => TryError::Closed("it ended the stream before it answered"),
                }));
            }
            while response.poll(cx).is_ready() {
                // While the client sends, its own deadline runs; then the time begins with its last piece.
                let began = if body.is_complete() { body.last_progress() } else { Some(Instant::now()) };
                match began.map(|began| began + self.timeouts.response) {
                    Some(end) if end > Instant::now() => response.set_at(end),
                    _ => return Poll::Ready(Err(TryError::Timeout)),
                }
            }
            deadline.poll(cx).map(|()| Err(TryError::RequestTimeout))
        })
        .await?;
        let (parts, incoming) = answer.into_parts();
        let mut head = ResponseHead { status: parts.status.as_u16(), ..ResponseHead::default() };
        convert::push_header_map(&parts.headers, &mut head.fields);
        let length =
            parts.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let empty = hyper::body::Body::is_end_stream(&incoming) || self.record.head.method == "HEAD";
        head.body = match length {
            _ if empty => BodyLength::None,
            Some(length) => BodyLength::Exact(length),
            None => BodyLength::Unknown,
        };
        if empty && length.is_none() && self.record.head.method != "HEAD" && !matches!(head.status, 204 | 304) {
            // An HTTP/1 client must be told that nothing follows: h2 said it by ending the stream.
            head.fields.push("content-length", b"0");
        }
        let idle = self.timeouts.idle;
        let body = if empty {
            ResponseBody::Empty
        } else {
            ResponseBody::Http2(Box::new(Http2ResponseBody {
                incoming,
                _stream: stream,
                idle,
                silence: Deadline::default(),
            }))
        };
        Ok(Answered { head, body, upgrade: None })
    }
}

fn classify(error: ExchangeError, reused: bool) -> TryError {
    match error {
        ExchangeError::ClosedBeforeAnswer { unsent } if reused || unsent => TryError::Stale { unsent },
        ExchangeError::ClosedBeforeAnswer { .. } => TryError::Closed("it closed the connection before it answered"),
        ExchangeError::ClosedWithinHead => TryError::Closed("it closed the connection within the answer's head"),
        ExchangeError::Invalid(what) => TryError::Invalid(what),
        ExchangeError::Client(error) => TryError::Client(error),
    }
}

/// The request in HTTP/2's terms.
fn h2_request(
    head: &super::message::RequestHead,
    endpoint: &Endpoint,
    body: RequestBody,
) -> Option<http::Request<RequestBody>> {
    let scheme = if endpoint.uses_tls() { "https" } else { "http" };
    let authority = head.fields.get_str(Known::Host).filter(|host| !host.is_empty()).unwrap_or(&endpoint.text);
    let uri =
        http::Uri::builder().scheme(scheme).authority(authority).path_and_query(head.target.as_str()).build().ok()?;
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::from_bytes(head.method.as_bytes()).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = convert::header_map(&head.fields);
    if head.takes_trailers {
        request.headers_mut().insert(http::header::TE, http::HeaderValue::from_static("trailers"));
    }
    Some(request)
}

/// The problem that says why there is no answer.
fn failure(record: Record, upstream: &Upstream, error: &TryError) -> Reply {
    let name = &upstream.backend.name;
    let (code, detail) = match error {
        TryError::Connect(ConnectError::Timeout) => {
            (Code::UpstreamTimeout, format!("no connection to backend {name} in time"))
        }
        TryError::Connect(_) => (Code::UpstreamUnreachable, format!("backend {name} can't be reached")),
        TryError::Stale { .. } => {
            (Code::UpstreamClosed, format!("backend {name} closed the connection before it answered"))
        }
        TryError::Closed(what) => (Code::UpstreamClosed, format!("backend {name}: {what}")),
        TryError::Invalid(what) => (Code::UpstreamInvalid, format!("backend {name}: {what}")),
        TryError::Timeout | TryError::RequestTimeout => {
            (Code::UpstreamTimeout, format!("backend {name} did not answer in time"))
        }
        TryError::Client(_) => (Code::MalformedRequest, "the client's body failed".into()),
    };
    if let TryError::Connect(error) = error {
        let endpoint = record.endpoint.as_ref().map_or("-", |endpoint| endpoint.text.as_str());
        tracing::warn!(%error, backend = name.as_str(), endpoint, request.id = record.id.as_str(), "no connection to the backend");
    }
    Reply::problem(record, &Problem::new(code, detail), Vec::new())
}
