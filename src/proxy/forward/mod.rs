//! Forwards a request to one of a backend's endpoints, and to another one only when nothing can be
//! done twice by it (notes on retries: `docs/adr/0007-retries.md`).

mod attempt;

use std::rc::Rc;
use std::time::Instant;

use super::body::{BodyError, RequestBody, ResponseBody};
use super::core::TargetView;
use super::deadline::Deadline;
use super::exchange::{InterimSink, body_too_large, client_failure, is_over_limit};
use super::forwarded;
use super::http1::client::Http1Exchange;
use super::message::ResponseHead;
use super::record::{Record, Story};
use super::reply::{Reply, clean_backend_fields, finish_fields, is_stream};
use super::upstream::{ConnectError, Connection, Endpoint, InFlight, Upstream};
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
    /// The backend speaks HTTP/2, in which the request can't be said.
    NotForHttp2,
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
    let upstream = &target.upstream;
    let limit = body_limit(&record, route);
    if is_over_limit(&record.head, limit) {
        return body_too_large(record, limit);
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
    let timeouts = route.policy.terms.timeouts.over(&upstream.backend.timeouts);
    let mut deadline = std::mem::take(&mut record.deadline);
    if record.head.is_grpc() {
        body.set_patience(timeouts.idle); // a stream from its first byte on
    } else {
        deadline.set_at(record.started + timeouts.request);
    }
    let mut attempts = Attempts::new(&mut record, upstream, timeouts, route.policy.terms.retries);
    match attempts.run(&body, &mut deadline, interim).await {
        Ok((answered, connection)) => {
            body.was_answered();
            record.deadline = deadline;
            passed_on(record, answered, (in_flight, connection))
        }
        Err(TryError::Client(error)) => client_failure(record, error),
        Err(error) => failure(record, upstream, &error),
    }
}

/// Says which protocol the client should ask for (RFC 9110, section 15.5.22): without it, it says nothing.
const UPGRADE_REQUIRED: u16 = 426;

/// The backend's answer, made presentable.
fn passed_on(mut record: Record, answered: Answered, at_backend: (InFlight, Connection)) -> Reply {
    let Answered { mut head, body, upgrade } = answered;
    record.status = head.status;
    if is_stream(&record.head, &head) {
        record.deadline.clear();
    }
    clean_backend_fields(&mut head.fields, matches!(head.status, 101 | UPGRADE_REQUIRED));
    if head.status == UPGRADE_REQUIRED && head.fields.may_have(Known::Upgrade) {
        head.fields.push_known(Known::Connection, "connection", b"upgrade");
    }
    finish_fields(&record, &mut head.fields);
    Reply { record, head, body, upgrade, close: false, _at_backend: Some(at_backend) }
}

/// What the route takes: see [`Terms::max_body`].
pub(crate) fn body_limit(record: &Record, route: &Route) -> u64 {
    match route.policy.terms.max_body {
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
    failed_connects: usize,
    /// The race with a closing pooled connection was lost once already.
    resent: bool,
}

impl<'a> Attempts<'a> {
    fn new(record: &'a mut Record, upstream: &'a Upstream, timeouts: Timeouts, retries: u32) -> Self {
        Self { record, upstream, timeouts, retries, tried: 0, failed_connects: 0, resent: false }
    }

    async fn run(
        &mut self,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<(Answered, Connection), TryError> {
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
                Protocol::H2 => Box::pin(self.try_h2(&endpoint, body, deadline, interim)).await,
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
                self.failed_connects += 1;
                self.failed_connects < self.upstream.endpoints.len()
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
            TryError::Invalid(_) | TryError::NotForHttp2 | TryError::RequestTimeout | TryError::Client(_) => false,
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
            TryError::NotForHttp2 | TryError::Client(_) => return,
        };
        self.upstream.series.error(kind);
    }
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
        TryError::NotForHttp2 => {
            (Code::InvalidHost, "the host can't be written in HTTP/2, which the backend speaks".into())
        }
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
