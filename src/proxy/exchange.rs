//! The path of a request, whatever HTTP version either side speaks: strip, route, filter, flag, forward.
//!
//! Every request pins one view of one snapshot (in its [`Record`]) and answers from it to its end.

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::body::{BodyError, RequestBody};
use super::convert;
use super::forward::{body_limit, forward};
use super::forwarded;
use super::message::{BodyLength, RequestHead, ResponseHead};
use super::record::{Chosen, Record};
use super::reply::{ExtraFields, Reply};
use crate::auth::Identity;
use crate::filters::{self, Answer, FilterRequest, Verdict};
use crate::payments::{self, ApiRequest, ApiResponse};
use crate::problem::{Code, Problem};
use crate::routing::NormalPath;
use crate::snapshot::{Choice, Refusal, RequestContext, Route};
use crate::types::fields::Known;

/// Takes interim (1xx) answers to the client, if its HTTP version can carry them.
pub(crate) trait InterimSink {
    fn interim(&mut self, head: &ResponseHead);
}

/// Answers one request.
pub(crate) async fn answer(mut record: Record, body: RequestBody, interim: &mut dyn InterimSink) -> Reply {
    let view = std::rc::Rc::clone(&record.view);
    let story = &mut *record;
    forwarded::strip_client_claims(&mut story.head, &story.origin, &view.strip);
    if story.head.target == "*" {
        return about_the_gateway(record);
    }
    let index = match find_route(&record) {
        Ok(index) => index,
        Err((problem, extra)) => return Reply::problem(record, &problem, extra),
    };
    record.route = Some(index);
    let route = view.route(index);
    let identity = match run_filters(&record, index).await {
        Ok(identity) => identity,
        Err(answer) => return filter_reply(record, route, *answer),
    };
    let context =
        RequestContext { fields: &record.head.fields, identity: identity.as_deref(), ip: record.origin.client };
    match view.snapshot.choose(route, &context) {
        Choice::Payments => {
            let limit = body_limit(&record, route);
            Box::pin(pay(record, body, identity.as_deref(), limit, interim)).await
        }
        Choice::Backend { backend, flag } => {
            let decision = flag.map(|(_, decision)| decision);
            let variant = decision.map_or(0, |decision| decision.variant);
            let target = view.target(index, variant, backend, &record.core().metrics);
            if let Some(series) = &target.flag {
                series.evaluated();
            }
            record.chosen = Some(Chosen { variant, reason: decision.map(|decision| decision.reason) });
            let mut reply = forward(record, body, identity.as_deref(), target, interim).await;
            show_to_filters(route, &mut reply);
            reply
        }
    }
}

/// `OPTIONS *` asks about the server as a whole, which is the gateway, not any backend; it has nothing
/// to add to being there (RFC 9110, section 9.3.7).
fn about_the_gateway(record: Record) -> Reply {
    Reply::made(record, ResponseHead { status: 204, ..ResponseHead::default() }, Bytes::new())
}

fn find_route(record: &Record) -> Result<usize, (Problem, ExtraFields)> {
    let head = &record.head;
    let path = NormalPath { path: head.path().into(), has_encoded_slash: head.has_encoded_slash };
    let preflight_for = if filters::is_preflight(&head.method, &head.fields) {
        head.fields.get_str(Known::AccessControlRequestMethod)
    } else {
        None
    };
    record.view.snapshot.route(head.host(), &path, &head.method, preflight_for).map_err(|refusal| match refusal {
        Refusal::NotFound => (Problem::new(Code::NoRoute, "no route matches this path"), Vec::new()),
        Refusal::EncodedSlash => (
            Problem::new(
                Code::InvalidPath,
                "the path contains an encoded slash or a backslash, which this route does not allow",
            ),
            Vec::new(),
        ),
        Refusal::MethodNotAllowed { allow } => {
            let detail = format!("this path takes {allow}");
            (Problem::new(Code::MethodNotAllowed, detail), vec![("allow", allow)])
        }
    })
}

/// Runs the route's filters in order; whoever answers ends the request.
async fn run_filters(record: &Record, index: usize) -> Result<Option<std::sync::Arc<Identity>>, Box<Answer>> {
    let mut request = FilterRequest {
        method: &record.head.method,
        fields: &record.head.fields,
        now: record.now,
        identity: None,
        auth: None,
        waits: 0,
    };
    let mut answer = None;
    for filter in &record.view.route(index).policy.filters {
        request.waits = 0;
        loop {
            match filter.on_request(&mut request) {
                Verdict::Continue => break,
                Verdict::Answer(given) => {
                    answer = Some(given);
                    break;
                }
                Verdict::Wait(until) => until.await,
            }
            request.waits += 1;
        }
        if answer.is_some() {
            break;
        }
    }
    if let Some(outcome) = request.auth {
        record.core().metrics.own.authenticated(outcome);
    }
    answer.map_or(Ok(request.identity), Err)
}

fn show_to_filters(route: &Route, reply: &mut Reply) {
    for filter in &route.policy.filters {
        filter.on_response(&reply.record.head.fields, &mut reply.head.fields);
    }
}

fn filter_reply(record: Record, route: &Route, answer: Answer) -> Reply {
    match answer {
        Answer::Problem(problem, extra) => {
            let mut reply = Reply::problem(record, &problem, extra);
            show_to_filters(route, &mut reply); // a page may read that its token has expired
            reply
        }
        Answer::NoContent(extra) => {
            let mut head = ResponseHead { status: 204, ..ResponseHead::default() };
            for (name, value) in extra {
                head.fields.push(name, value.as_bytes());
            }
            Reply::made(record, head, Bytes::new())
        }
    }
}

/// Hands a request to the payment distributor, which runs on the control plane's runtime.
async fn pay(
    mut record: Record,
    body: RequestBody,
    identity: Option<&Identity>,
    limit: u64,
    interim: &mut dyn InterimSink,
) -> Reply {
    let shared = std::sync::Arc::clone(&record.core().shared);
    let Some(settings) = record.view.snapshot.payments.clone() else {
        let problem = Problem::new(Code::PaymentsUnavailable, "payments are not served here");
        return Reply::problem(record, &problem, Vec::new());
    };
    let Some(distributor) = shared.payments.get() else {
        return payment_reply(record, payments::without_ledger());
    };
    if is_over_limit(&record.head, limit) {
        return body_too_large(record, limit);
    }
    body.guard(limit, &record.view);
    if record.head.expects_continue {
        interim.interim(&ResponseHead { status: 100, ..ResponseHead::default() });
    }
    let bytes = match collect(body).await {
        Ok(bytes) => bytes,
        Err(error) => return client_failure(record, error),
    };
    record.received = bytes.len() as u64;
    let request = ApiRequest {
        method: record.head.method.clone(),
        subpath: record.head.path().strip_prefix(settings.path.as_str()).unwrap_or_default().to_owned(),
        client: identity.map(|identity| format!("{}|{}", identity.issuer, identity.subject)).unwrap_or_default(),
        headers: convert::header_map(&record.head.fields),
        body: bytes,
        request_id: record.id.as_str().to_owned(),
    };
    let answer = shared.control.spawn(std::sync::Arc::clone(distributor).handle(settings, request)).await;
    let answer = answer.unwrap_or_else(|error| {
        tracing::error!(%error, request.id = record.id.as_str(), "the payment distributor failed");
        let detail = "the payment distributor failed; the payment's state is in the ledger";
        ApiResponse::Problem { problem: Problem::new(Code::Internal, detail), headers: Vec::new() }
    });
    payment_reply(record, answer)
}

fn payment_reply(record: Record, answer: ApiResponse) -> Reply {
    match answer {
        ApiResponse::Json { status, headers, body } => {
            let mut head = ResponseHead { status, ..ResponseHead::default() };
            head.fields.push("content-type", b"application/json");
            head.fields.push("cache-control", b"no-store");
            for (name, value) in headers {
                head.fields.push(name, value.as_bytes());
            }
            Reply::made(record, head, Bytes::from(body))
        }
        ApiResponse::Problem { problem, headers } => Reply::problem(record, &problem, headers),
    }
}

async fn collect(body: RequestBody) -> Result<Bytes, BodyError> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// The client's body failed: say so if the client can still hear it, and let the connection end.
pub(crate) fn client_failure(mut record: Record, error: BodyError) -> Reply {
    record.aborted = error.word();
    let code = error.client_code().unwrap_or(Code::MalformedRequest);
    let mut reply = Reply::problem(record, &Problem::new(code, error.to_string()), Vec::new());
    reply.close = true;
    reply
}

/// To a request whose announced body is over what the route takes.
pub(crate) fn body_too_large(record: Record, limit: u64) -> Reply {
    let detail = format!("this route takes bodies of up to {limit} bytes");
    Reply::problem(record, &Problem::new(Code::BodyTooLarge, detail), Vec::new())
}

/// Whether the announced body is over what the route takes.
pub(crate) fn is_over_limit(head: &RequestHead, limit: u64) -> bool {
    matches!(head.body, BodyLength::Exact(length) if length > limit)
}
