//! Explain: the decision of the data plane for a request that nobody sends, with the reason of each step.
//!
//! Path, route, filters and flag are the data plane's own functions, called in its order; nothing is decided here.
//! `--subject` stands in for a verified token, so authentication is then taken as passed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::admin::{ExplainRequest, Explainer};
use crate::auth::Identity;
use crate::clock::Timestamp;
use crate::filters::{self, Answer, AuthMode, FilterRequest, Verdict};
use crate::flags::{self, Decision, Flag};
use crate::payments;
use crate::problem::{Code, Problem};
use crate::routing::{NormalPath, normalise};
use crate::snapshot::{Backend, Choice, Refusal, RequestContext, Route, Snapshot, SnapshotHandle};
use crate::types::fields::{Fields, Known};

/// The address that a described request comes from: this machine.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Explains by whatever snapshot is published.
pub(crate) struct Published(pub(crate) Arc<SnapshotHandle>);

impl Explainer for Published {
    fn explain(&self, request: &ExplainRequest) -> Value {
        explain(&self.0.load(), request)
    }
}

/// Explains by one snapshot.
pub(crate) fn explain(snapshot: &Snapshot, request: &ExplainRequest) -> Value {
    let mut told = Map::new();
    told.insert("method".into(), json!(request.method));
    told.insert("path".into(), json!(request.path));
    let outcome = match decide(snapshot, request, &mut told) {
        Ok(outcome) => outcome,
        Err(answer) => answered(&answer),
    };
    told.insert("outcome".into(), outcome);
    // Files that were only read have no revision yet.
    if snapshot.revision.0 > 0 {
        told.insert("revision".into(), json!(snapshot.revision));
    }
    Value::Object(told)
}

/// Follows the request's way and tells each step; the outcome, or the answer that ends it early.
fn decide(snapshot: &Snapshot, request: &ExplainRequest, told: &mut Map<String, Value>) -> Result<Value, Box<Answer>> {
    let raw = request.path.split('?').next().unwrap_or_default();
    let path = normalise(raw.as_bytes()).map_err(|error| refuse(Code::InvalidPath, error.to_string()))?;
    told.insert("normal_path".into(), json!(path.path));
    let fields = fields(snapshot, request);
    let route = find_route(snapshot, request, &path, &fields)?;
    told.insert(
        "route".into(),
        json!({ "name": route.name, "path": route.path, "auth": auth_word(route.policy.terms.auth) }),
    );
    let identity = run_filters(snapshot, request, route, &fields)?;
    told.insert("identity".into(), identity_json(identity.as_deref(), route, request));
    let context = RequestContext { fields: &fields, identity: identity.as_deref(), ip: CLIENT };
    Ok(match snapshot.choose(route, &context) {
        Choice::Payments => {
            let settings = snapshot.payments.as_ref();
            let subpath = settings.and_then(|settings| path.path.strip_prefix(settings.path.as_str()));
            if let Some(problem) = subpath.and_then(|subpath| payments::refusal(&request.method, subpath)) {
                return Err(Box::new(Answer::Problem(problem, Vec::new())));
            }
            json!({ "kind": "payments", "why": "the payment distributor answers" })
        }
        Choice::Backend { backend, flag } => {
            if let Some((flag, decision)) = flag {
                told.insert("flag".into(), flag_json(flag, decision, &context, snapshot.flags.stale));
            }
            forwarded(backend)
        }
    })
}

fn find_route<'a>(
    snapshot: &'a Snapshot,
    request: &ExplainRequest,
    path: &NormalPath<'_>,
    fields: &Fields,
) -> Result<&'a Route, Box<Answer>> {
    let host = request.host.as_deref().or_else(|| fields.get_str(Known::Host)).unwrap_or_default();
    let preflight_for = filters::is_preflight(&request.method, fields)
        .then(|| fields.get_str(Known::AccessControlRequestMethod))
        .flatten();
    match snapshot.route(&without_port(host), path, &request.method, preflight_for) {
        Ok(index) => Ok(&snapshot.routes[index]),
        Err(Refusal::NotFound) => Err(refuse(Code::NoRoute, "no route matches this path")),
        Err(Refusal::MethodNotAllowed { allow }) => {
            Err(refuse(Code::MethodNotAllowed, format!("this path takes {allow}")))
        }
        Err(Refusal::EncodedSlash) => {
            Err(refuse(Code::InvalidPath, "the path contains an encoded slash or a backslash; this route forbids it"))
        }
    }
}

/// Runs the route's filters as the data plane does; only that nobody waits for keys to be fetched.
fn run_filters(
    snapshot: &Snapshot,
    request: &ExplainRequest,
    route: &Route,
    fields: &Fields,
) -> Result<Option<Arc<Identity>>, Box<Answer>> {
    let pretended = request.subject.as_deref().map(|subject| pretend(subject, route));
    let auth = if request.subject.is_some() { AuthMode::None } else { route.policy.terms.auth };
    let mut run = FilterRequest {
        method: &request.method,
        fields,
        now: Timestamp::now(),
        identity: pretended.flatten(),
        auth: None,
        waits: 0,
    };
    for filter in filters::chain(auth, &snapshot.auth, route.policy.terms.cors.as_ref()) {
        run.waits = 0;
        loop {
            match filter.on_request(&mut run) {
                Verdict::Continue => break,
                Verdict::Answer(answer) => return Err(answer),
                Verdict::Wait(_) => run.waits += 1,
            }
        }
    }
    Ok(run.identity)
}

/// A caller with this subject and no other claim; a route that looks at nobody sees nobody.
fn pretend(subject: &str, route: &Route) -> Option<Arc<Identity>> {
    let identity = || Identity {
        subject: subject.into(),
        issuer: "".into(),
        claims: Map::from_iter([("sub".to_owned(), json!(subject))]),
        headers: Vec::new(),
        expires: Timestamp(i64::MAX),
    };
    (route.policy.terms.auth != AuthMode::None).then(|| Arc::new(identity()))
}

/// The request's fields without those by which a client could pass for somebody.
fn fields(snapshot: &Snapshot, request: &ExplainRequest) -> Fields {
    let identity = snapshot.auth.identity_header_names();
    let mut fields = Fields::new();
    for (name, value) in &request.headers {
        let plain = name.replace('_', "-");
        if !identity.iter().any(|reserved| **reserved == *plain) {
            fields.push(name, value.as_bytes());
        }
    }
    fields
}

fn without_port(host: &str) -> String {
    let authority = http::uri::Authority::try_from(host);
    authority.map_or_else(|_| host.to_owned(), |authority| authority.host().to_owned()).to_ascii_lowercase()
}

fn refuse(code: Code, detail: impl Into<String>) -> Box<Answer> {
    Box::new(Answer::Problem(Problem::new(code, detail), Vec::new()))
}

fn answered(answer: &Answer) -> Value {
    match answer {
        Answer::NoContent(_) => {
            json!({ "kind": "answered", "status": 204, "why": "the route's cors answers preflights" })
        }
        Answer::Problem(problem, _) => json!({
            "kind": "refused",
            "status": problem.code.status(),
            "code": problem.code.as_str(),
            "why": problem.detail,
        }),
    }
}

fn forwarded(backend: &Backend) -> Value {
    let endpoints: Vec<String> = backend.endpoints.iter().map(ToString::to_string).collect();
    json!({ "kind": "forwarded", "backend": backend.name, "endpoints": endpoints })
}

fn flag_json(flag: &Flag, decision: Decision, context: &dyn flags::Context, stale: bool) -> Value {
    json!({
        "key": flag.key,
        "variant": flag.variants().get(decision.variant),
        "reason": decision.reason.as_str(),
        "why": flag.explain(context, stale).words,
        "file": flag.file,
    })
}

fn identity_json(identity: Option<&Identity>, route: &Route, request: &ExplainRequest) -> Value {
    match identity {
        Some(identity) if request.subject.is_some() => {
            json!({ "subject": &*identity.subject, "why": "assumed, as asked; it has no claim but sub" })
        }
        Some(identity) => json!({
            "subject": &*identity.subject,
            "issuer": &*identity.issuer,
            "claims": identity.claims,
            "why": "the token is valid",
        }),
        None if route.policy.terms.auth == AuthMode::None => {
            json!({ "subject": null, "why": "auth: none, so callers are not looked at" })
        }
        None => json!({ "subject": null, "why": "the request carries no token, and the route needs none" }),
    }
}

fn auth_word(auth: AuthMode) -> &'static str {
    match auth {
        AuthMode::Required => "required",
        AuthMode::Optional => "optional",
        AuthMode::None => "none",
    }
}

#[cfg(test)]
mod tests;
