//! What goes back to the client: a backend's answer made presentable, or one that the gateway made.

use bytes::Bytes;

use super::body::ResponseBody;
use super::http1::client::Http1Exchange;
use super::message::{BodyLength, GRPC, HeadError, RequestHead, ResponseHead, is_hop_by_hop};
use super::record::Record;
use super::upstream::{Connection, InFlight};
use crate::problem::{Code, MEDIA_TYPE, Problem};
use crate::types::fields::{Fields, Known};

/// An answer on its way to the client.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) record: Record,
    pub(crate) head: ResponseHead,
    pub(crate) body: ResponseBody,
    /// After a 101: the backend's connection, to be spliced.
    pub(crate) upgrade: Option<Box<Http1Exchange>>,
    /// The client's connection can't serve another request.
    pub(crate) close: bool,
    /// Keeps the request counted at its backend until the body is over.
    pub(crate) _at_backend: Option<(InFlight, Connection)>,
}

/// Header fields that go with a gateway-made answer.
pub(crate) type ExtraFields = Vec<(&'static str, String)>;

impl Reply {
    /// A problem, as JSON or, to gRPC callers, as a gRPC status.
    pub(crate) fn problem(mut record: Record, problem: &Problem, extra: ExtraFields) -> Self {
        record.error = Some(problem.code);
        let grpc = record.head.is_grpc();
        let mut head = ResponseHead { status: problem.code.status(), ..ResponseHead::default() };
        let mut text = Bytes::new();
        if grpc {
            head.status = 200;
            head.fields.push("content-type", b"application/grpc");
            head.fields.push("grpc-status", grpc_status(problem.code).as_bytes());
            head.fields.push("grpc-message", grpc_message(&problem.detail).as_bytes());
        } else {
            text = Bytes::from(problem.to_json(record.id.as_str()));
            head.fields.push("content-type", MEDIA_TYPE.as_bytes());
        }
        head.fields.push("x-figway-error", problem.code.as_str().as_bytes());
        head.fields.push("cache-control", b"no-store");
        for (name, value) in extra {
            head.fields.push(name, value.as_bytes());
        }
        Self::made(record, head, text)
    }

    /// To a request whose head is refused.
    pub(crate) fn refusal(record: Record, error: HeadError) -> Self {
        // RFC 9110, section 15.5.6: a 405 says which methods there are.
        let extra = if error.code == Code::MethodNotAllowed { vec![("allow", String::new())] } else { Vec::new() };
        Self::problem(record, &Problem::from(error), extra)
    }

    /// A gateway-made answer with a body, or none.
    pub(crate) fn made(mut record: Record, mut head: ResponseHead, body: Bytes) -> Self {
        record.status = head.status;
        if !matches!(head.status, 204 | 304) {
            super::http1::set_content_length(&mut head.fields, body.len() as u64);
        }
        if !head.fields.may_have(Known::Date) {
            head.fields.push("date", record.now.http_date().as_bytes());
        }
        finish_fields(&record, &mut head.fields);
        let sends_body = !body.is_empty() && record.head.method != "HEAD";
        head.body = if sends_body { BodyLength::Exact(body.len() as u64) } else { BodyLength::None };
        let body = if sends_body { ResponseBody::Full(Some(body)) } else { ResponseBody::Empty };
        Self { record, head, body, upgrade: None, close: false, _at_backend: None }
    }
}

/// Drops what belongs to the backend's connection and what only the gateway may say.
pub(crate) fn clean_backend_fields(fields: &mut Fields, keep_upgrade: bool) {
    fields.remove_if(|field| {
        (is_hop_by_hop(field.known) && !(keep_upgrade && field.known == Known::Upgrade))
            || (field.known == Known::Other
                && field.name_bytes().len() > 9
                && field.name_bytes()[..9].eq_ignore_ascii_case(b"x-figway-"))
    });
}

/// Adds what every answer carries: the request id, and the decision if asked for.
pub(crate) fn finish_fields(record: &Record, fields: &mut Fields) {
    fields.set(Known::XRequestId, "x-request-id", record.id.as_str().as_bytes());
    if record.view.snapshot.server.debug_headers
        && let Some(index) = record.route
    {
        fields.push("x-figway-decision", decision(record, index).as_bytes());
    }
}

fn decision(record: &Record, index: usize) -> String {
    let route = record.view.route(index);
    let mut text = format!("route={}", route.name);
    if let Some(chosen) = record.chosen {
        let views = record.view.route_view(index, &record.core().metrics);
        if let Some(target) = views.reached(chosen.variant) {
            text.push_str(&format!("; backend={}", target.upstream.backend.name));
        }
        if let (Some(reason), crate::snapshot::Target::Flagged { flag, .. }) = (chosen.reason, &route.target) {
            let variant = &flag.variants()[chosen.variant];
            text.push_str(&format!("; flag={}; variant={variant}; reason={}", flag.key, reason.as_str()));
        }
    }
    text.push_str(&format!("; revision={}", record.view.snapshot.revision));
    text
}

/// The status that gRPC callers get for a gateway's problem (grpc/grpc, doc/http-grpc-status-mapping.md).
fn grpc_status(code: Code) -> &'static str {
    match code {
        Code::TokenMissing | Code::TokenInvalid => "16",
        Code::Forbidden => "7",
        Code::NoRoute | Code::MethodNotAllowed | Code::NotImplemented => "12",
        Code::NotFound => "5",
        Code::BodyTooLarge | Code::HeadersTooLarge | Code::UriTooLong => "8",
        Code::UpstreamTimeout => "4",
        Code::RequestTimeout => "1",
        code if code.status() >= 502 => "14",
        _ => "13",
    }
}

/// Percent-encodes what a `grpc-message` may not hold.
fn grpc_message(detail: &str) -> String {
    let mut text = String::with_capacity(detail.len());
    for byte in detail.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Whether a request was made to be answered as long as somebody listens.
pub(crate) fn is_stream(request: &RequestHead, response: &ResponseHead) -> bool {
    let begins =
        |value: &[u8], name: &[u8]| value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    request.is_grpc()
        || response.status == 101
        || response
            .fields
            .get(Known::ContentType)
            .is_some_and(|value| begins(value, b"text/event-stream") || begins(value, GRPC))
}
