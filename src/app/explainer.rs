//! Explains a request that nobody sends, with the code that serves those that somebody does.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::{ExplainRequest, Explainer};
use crate::auth::Identity;
use crate::clock::Timestamp;
use crate::filters::{Answer, FilterRequest, Verdict, is_preflight};
use crate::flags::Flag;
use crate::problem::{Code, Problem};
use crate::routing;
use crate::snapshot::{AuthMode, Backend, Choice, Refusal, RequestContext, Route, Snapshot, SnapshotHandle};
use crate::types::fields::{Fields, Known};

/// The address that an explained request comes from.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Explains by the snapshot that serves now.
#[derive(Debug)]
pub(super) struct LiveExplainer(pub(super) Arc<SnapshotHandle>);

impl Explainer for LiveExplainer {
    fn explain(&self, request: &ExplainRequest) -> Value {
        explain(&self.0.load(), request)
    }
}

/// What the gateway would do with a request, step by step, as a JSON object.
pub(super) fn explain(snapshot: &Snapshot, request: &ExplainRequest) -> Value {
    let mut story = json!({
        "request": {"method": request.method, "path": request.path},
        "revision": snapshot.revision,
        "stale": snapshot.stale,
    });
    if let Err(problem) = tell(snapshot, request, &mut story) {
        story["answer"] = json!({
            "status": problem.code.status(),
            "code": problem.code.as_str(),
            "detail": problem.detail,
            "by": "gateway",
        });
    }
    story
}

fn tell(snapshot: &Snapshot, request: &ExplainRequest, story: &mut Value) -> Result<(), Problem> {
    let mut fields = Fields::new();
    for (name, value) in &request.headers {
        fields.push(name, value.as_bytes());
    }
    let raw_path = request.path.split('?').next().unwrap_or_default();
    let path = routing::normalise(raw_path.as_bytes()).map_err(|error| Problem::new(Code::InvalidPath, error.to_string()))?;
    story["request"]["normalised_path"] = json!(path.path);
    let host = request.host.clone().or_else(|| fields.get_str(Known::Host).map(str::to_owned)).unwrap_or_default();
    let preflight_for =
        if is_preflight(&request.method, &fields) { fields.get_str(Known::AccessControlRequestMethod) } else { None };
    let index = snapshot.route(&host, &path, &request.method, preflight_for).map_err(refused)?;
    let route = &snapshot.routes[index];
    story["route"] = describe_route(route);
    let identity = identify(route, request, &fields, story)?;
    let context = RequestContext { fields: &fields, identity: identity.as_deref(), ip: CLIENT };
    match snapshot.choose(route, &context) {
        Choice::Payments => story["target"] = json!("the payment distributor"),
        Choice::Backend { backend, flag } => {
            if let Some((flag, _)) = flag {
                story["flag"] = describe_flag(flag, &context, snapshot.flags.stale);
            }
            story["backend"] = describe_backend(backend);
        }
    }
    Ok(())
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotFound => Problem::new(Code::NoRoute, "no route matches this path"),
        Refusal::MethodNotAllowed { allow } => Problem::new(Code::MethodNotAllowed, format!("this path takes {allow}")),
        Refusal::EncodedSlash => Problem::new(Code::InvalidPath, "the route does not allow encoded slashes"),
    }
}

fn describe_route(route: &Route) -> Value {
    let auth = match route.auth {
        AuthMode::Required => "required",
        AuthMode::Optional => "optional",
        AuthMode::None => "none",
    };
    json!({"name": route.name, "path": route.path, "methods": route.methods, "host": route.host, "auth": auth})
}

/// Who would be calling: the subject that is assumed, or whoever the request's own token proves.
fn identify(
    route: &Route,
    request: &ExplainRequest,
    fields: &Fields,
    story: &mut Value,
) -> Result<Option<Arc<Identity>>, Problem> {
    if let Some(subject) = &request.subject {
        story["identity"] = json!({"subject": subject, "why": "assumed, as asked"});
        let claims = [("sub".to_owned(), json!(subject))].into_iter().collect();
        return Ok(Some(Arc::new(Identity {
            subject: subject.as_str().into(),
            issuer: "".into(),
            claims,
            headers: Vec::new(),
            expires: Timestamp(i64::MAX),
        })));
    }
    let mut seen = FilterRequest { method: &request.method, fields, now: Timestamp::now(), identity: None, waits: 1 };
    for filter in &route.filters {
        match filter.on_request(&mut seen) {
            Verdict::Continue | Verdict::Wait(_) => {}
            Verdict::Answer(answer) => match *answer {
                Answer::Problem(problem, _) => return Err(problem),
                Answer::NoContent(_) => {
                    story["answer"] = json!({"status": 204, "by": "gateway", "detail": "the route's cors answers the preflight"});
                }
            },
        }
    }
    story["identity"] = match &seen.identity {
        Some(identity) => json!({"subject": &*identity.subject, "issuer": &*identity.issuer, "why": "the token is valid"}),
        None => json!({"subject": null, "why": "the request carries no token, and the route needs none"}),
    };
    Ok(seen.identity)
}

fn describe_flag(flag: &Flag, context: &RequestContext<'_>, stale: bool) -> Value {
    let explanation = flag.explain(context, stale);
    json!({
        "key": flag.key,
        "kind": flag.kind.as_str(),
        "variant": flag.variants()[explanation.decision.variant],
        "reason": explanation.decision.reason.as_str(),
        "why": explanation.words,
    })
}

fn describe_backend(backend: &Backend) -> Value {
    let endpoints: Vec<String> = backend.endpoints.iter().map(ToString::to_string).collect();
    json!({"name": backend.name, "endpoints": endpoints})
}
