//! Rules that conclude something from an answer that proves nothing. A 5xx may come from whatever stands before the
//! provider, which knows nothing of what happened behind it: a rule that takes one for more than unknown charges people
//! twice, so an adapter with such a rule is refused. Tried are the pages and documents that common proxies, gateways
//! and frameworks answer with by themselves.

use std::collections::HashSet;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use super::Answer;
use super::declared::Declared;
use super::draft::CallDraft;
use super::examples::OwnedCall;
use super::judge::PROVES_NOTHING;
use super::mistake::{Mistake, Place};
use crate::payments::record::Operation;
use crate::payments::verdict::Verdict;

/// Media type and body.
const ANYBODYS: &[(&str, &str)] = &[
    ("", ""),
    ("text/html", "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"),
    ("text/plain", "upstream connect error or disconnect/reset before headers"),
    ("application/json", "{}"),
    ("application/json", "[]"),
    ("application/json", r#"{"message":"Internal server error"}"#),
    ("application/json", r#"{"error":"Service Unavailable"}"#),
    ("application/json", r#"{"error":{}}"#),
    ("application/json", r#"{"errors":[{"message":"Service Unavailable"}]}"#),
    ("application/json", r#"{"error":{"code":503,"message":"The service is unavailable.","status":"UNAVAILABLE"}}"#),
    ("application/json", r#"{"status":500,"error":"Internal Server Error","message":"","path":"/"}"#),
    ("application/problem+json", r#"{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"no answer"}"#),
];

/// Every such rule of an adapter, each once.
pub(super) fn overbold_rules(adapter: &Declared) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for operation in Operation::ALL {
        let Some(judge) = adapter.judge_of(*operation) else { continue };
        let owned = OwnedCall::new(*operation, &CallDraft::default()).expect("the standard call is valid");
        let call = owned.call(None);
        let answers = ANYBODYS.iter().flat_map(|body| PROVES_NOTHING.iter().map(move |status| (*status, *body)));
        for (status, (media_type, body)) in answers {
            let mut headers = HeaderMap::new();
            if !media_type.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            }
            let judgement =
                judge.by_rules(&call, &Answer { status, headers, body: Bytes::from_static(body.as_bytes()) });
            let (Some(rule), false) = (judgement.rule, matches!(judgement.verdict, Verdict::Unknown { .. })) else {
                continue;
            };
            if known.insert((*operation, rule)) {
                let place = Place::default().key("operations").key(operation.as_str()).key("classify").index(rule);
                let status = status.as_u16();
                let answer =
                    if body.is_empty() { format!("a bare {status}") } else { format!("a {status} with {body}") };
                let message = format!(
                    "{answer} is taken for {:?}, and anything before the provider may send one; ask as well for what only \
                     the provider says, such as body.error == \"…\"",
                    judgement.verdict.class()
                );
                found.push(Mistake { place: place.key("when"), message });
            }
        }
    }
    found
}
