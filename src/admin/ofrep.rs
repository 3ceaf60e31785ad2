//! OpenFeature's remote evaluation protocol (OFREP 0.2): any OpenFeature SDK reads the same flags.
//!
//! A switch is a boolean; a migration or a split is the name of its variant. The context's `targetingKey` is
//! the user; a rule's `claim.NAME` reads the context's `claim.NAME`, else `NAME`; `header.NAME` and
//! `cookie.NAME` read the keys of that name, `ip` the key `ip`. Errors have the shape that the protocol gives them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{self, Refusal};
use super::request::Parameter;
use super::{AdminState, Limits, body};
use crate::flags::{Context, Flag, Kind, Reason, StickyBy};
use crate::problem::Code;

pub(super) async fn one(
    State(state): State<AdminState>,
    Parameter(key): Parameter,
    request: Request,
) -> Result<Response, Refusal> {
    let context = match read_context(request, &state.limits).await? {
        Ok(context) => context,
        Err(mistake) => return Ok(mistake.answer(Some(&key))),
    };
    let snapshot = state.handle.load();
    let Some(flag) = snapshot.flags.flags.get(key.as_str()) else {
        let mistake = Mistake { code: Code::NotFound, error: "FLAG_NOT_FOUND", details: format!("no flag {key:?}") };
        return Ok(mistake.answer(Some(&key)));
    };
    Ok(match evaluate(&state, flag, &context, snapshot.flags.stale) {
        Ok(document) => answer::json(&document),
        Err(mistake) => mistake.answer(Some(&key)),
    })
}

pub(super) async fn all(State(state): State<AdminState>, request: Request) -> Result<Response, Refusal> {
    let seen = request.headers().clone();
    let context = match read_context(request, &state.limits).await? {
        Ok(context) => context,
        Err(mistake) => return Ok(mistake.answer(None)),
    };
    let snapshot = state.handle.load();
    let flags: Vec<Value> = (snapshot.flags.flags.values())
        .map(|flag| {
            let evaluated = evaluate(&state, flag, &context, snapshot.flags.stale);
            evaluated.unwrap_or_else(|mistake| mistake.document(Some(flag.key.as_str())))
        })
        .collect();
    let document = json!({ "flags": flags });
    // Tagged by content, not by revision: most revisions change nothing for most contexts.
    let tag = content_tag(&document);
    let mut response =
        if is_known(&seen, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { answer::json(&document) };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// A mistake as the protocol has it.
struct Mistake {
    code: Code,
    error: &'static str,
    details: String,
}

impl Mistake {
    fn document(&self, key: Option<&str>) -> Value {
        let mut document = json!({ "errorCode": self.error, "errorDetails": self.details });
        if let Some(key) = key {
            document["key"] = json!(key);
        }
        document
    }

    fn answer(&self, key: Option<&str>) -> Response {
        let mut response = answer::json(&self.document(key));
        *response.status_mut() = answer::status(self.code);
        response.headers_mut().insert("x-figway-error", HeaderValue::from_static(self.code.as_str()));
        response
    }
}

/// The outer error is about the transfer (size, time, media type), the inner about the document.
async fn read_context(request: Request, limits: &Limits) -> Result<Result<Attributes, Mistake>, Refusal> {
    let typed = request.headers().contains_key(CONTENT_TYPE);
    let bytes = if typed { body::checked(request, limits).await? } else { body::read(request, limits).await? };
    if bytes.trim_ascii().is_empty() {
        return Ok(Ok(Attributes::default()));
    }
    let mistake = |error, details| Err(Mistake { code: Code::InvalidRequest, error, details });
    let mut document = match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(document) => document,
        Err(error) => return Ok(mistake("PARSE_ERROR", error.to_string())),
    };
    Ok(match document.remove("context") {
        None | Some(Value::Null) => Ok(Attributes::default()),
        Some(Value::Object(context)) => {
            Attributes::read(context).or_else(|details| mistake("INVALID_CONTEXT", details))
        }
        Some(_) => mistake("INVALID_CONTEXT", "context is not an object".into()),
    })
}

fn evaluate(state: &AdminState, flag: &Flag, context: &Attributes, stale: bool) -> Result<Value, Mistake> {
    if flag.sticky_by == StickyBy::Ip && context.ip.is_none() {
        let details = "the flag sticks to the client's address; put it into the context as \"ip\"".into();
        return Err(Mistake { code: Code::InvalidRequest, error: "TARGETING_KEY_MISSING", details });
    }
    let decision = flag.evaluate(context, stale);
    let variant = &flag.variants()[decision.variant];
    state.activity.asked_remotely(flag.key.as_str(), variant.as_str());
    let value = match flag.kind {
        Kind::Switch { .. } => json!(decision.variant == 1),
        Kind::Migration { .. } | Kind::Split { .. } => json!(variant),
    };
    let mut metadata = json!({ "figwayReason": decision.reason.as_str(), "kind": flag.kind.as_str() });
    if let Some(owner) = &flag.owner {
        metadata["owner"] = json!(owner);
    }
    Ok(
        json!({ "key": flag.key, "value": value, "reason": openfeature(decision.reason), "variant": variant, "metadata": metadata }),
    )
}

/// OpenFeature's word for a reason.
fn openfeature(reason: Reason) -> &'static str {
    match reason {
        Reason::Killed => "DISABLED",
        Reason::Rule => "TARGETING_MATCH",
        Reason::Percentage => "SPLIT",
        Reason::Stage => "STATIC",
        Reason::Default => "DEFAULT",
        Reason::Stale => "STALE",
    }
}

fn content_tag(document: &Value) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document.to_string().as_bytes());
    let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// `If-None-Match` holds the tag; compared weakly (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| known.trim_start_matches("W/") == tag)
}

/// The evaluation context as flags read it: every value as text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Attributes {
    user: Option<String>,
    ip: Option<IpAddr>,
    values: BTreeMap<String, Vec<String>>,
}

impl Attributes {
    fn read(mut context: Map<String, Value>) -> Result<Self, String> {
        let user = match context.remove("targetingKey") {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) => Some(key).filter(|key| !key.is_empty()),
            Some(_) => return Err("targetingKey is not a string".into()),
        };
        let ip = match context.get("ip") {
            None | Some(Value::Null) => None,
            Some(value) => Some(address(value).ok_or_else(|| format!("ip is {value}; it is not an address"))?),
        };
        let values = context.into_iter().map(|(name, value)| (spelled(name), texts(value))).collect();
        Ok(Self { user, ip, values })
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.first().map(String::as_str)
    }
}

impl Context for Attributes {
    fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    fn claim(&self, name: &str, visit: &mut dyn FnMut(&str)) {
        let values = self.values.get(&format!("claim.{name}")).or_else(|| self.values.get(name));
        for value in values.into_iter().flatten() {
            visit(value);
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.first(&format!("header.{name}"))
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.first(&format!("cookie.{name}"))
    }

    fn ip(&self) -> IpAddr {
        // Without an address no flag that looks at it is evaluated; see `evaluate`.
        self.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

/// Header names have no case; flags hold them in lower case.
fn spelled(name: String) -> String {
    if name.starts_with("header.") { name.to_ascii_lowercase() } else { name }
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::Array(elements) => elements.into_iter().flat_map(texts).collect(),
        Value::String(text) => vec![text],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(context: Value) -> Result<Attributes, String> {
        let Value::Object(map) = context else { panic!("an object") };
        Attributes::read(map)
    }

    #[test]
    fn context_reads_claims_headers_and_cookies_by_name() {
        let context = read(json!({
            "targetingKey": "u1", "role": ["staff", "dev"], "claim.plan": "gold", "plan": "free",
            "header.X-App": "ios", "cookie.lang": "ko", "age": 7, "ip": "10.0.0.1",
        }))
        .expect("a context");
        let claims = |name: &str| {
            let mut found = Vec::new();
            context.claim(name, &mut |value| found.push(value.to_owned()));
            found
        };
        assert_eq!(context.user(), Some("u1"));
        assert_eq!(claims("role"), ["staff", "dev"]);
        assert_eq!(claims("plan"), ["gold"]);
        assert_eq!(claims("age"), ["7"]);
        assert_eq!(context.header("x-app"), Some("ios"));
        assert_eq!(context.cookie("lang"), Some("ko"));
        assert_eq!(context.ip(), IpAddr::from([10, 0, 0, 1]));
    }

    #[test]
    fn context_refuses_a_key_that_is_no_text_and_an_address_that_is_none() {
        assert!(read(json!({ "targetingKey": 7 })).is_err());
        assert!(read(json!({ "ip": "nowhere" })).is_err());
        assert_eq!(read(json!({ "targetingKey": "" })).expect("a context").user(), None);
    }
}
