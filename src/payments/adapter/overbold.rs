//! Rules that conclude something from an answer that proves nothing. A bare 5xx may come from whatever stands before the
//! provider, which knows nothing of what happened behind it: a rule that takes one for more than unknown charges people
//! twice, so an adapter with such a rule is refused.

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Answer;
use super::declared::Declared;
use super::draft::CallDraft;
use super::examples::OwnedCall;
use super::mistake::{Mistake, Place};
use crate::payments::record::Operation;
use crate::payments::verdict::Verdict;

const PROVES_NOTHING: &[StatusCode] = &[
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// Every such rule of an adapter, each once.
pub(super) fn overbold_rules(adapter: &Declared) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for operation in Operation::ALL {
        let owned = OwnedCall::new(*operation, &CallDraft::default()).expect("the standard call is valid");
        let call = owned.call(None);
        for status in PROVES_NOTHING {
            let bare = Answer { status: *status, headers: HeaderMap::new(), body: Bytes::new() };
            let judgement = adapter.judgement(&call, &bare);
            let (Some(rule), false) = (judgement.rule, matches!(judgement.verdict, Verdict::Unknown { .. })) else {
                continue;
            };
            if known.insert((*operation, rule)) {
                let place = Place::default().key("operations").key(operation.as_str()).key("classify").index(rule);
                let message = format!(
                    "a bare {} is taken for {:?}, and anything before the provider may send one; ask as well for what only \
                     the provider says, such as body.error == \"…\"",
                    status.as_u16(),
                    judgement.verdict.class()
                );
                found.push(Mistake { place: place.key("when"), message });
            }
        }
    }
    found
}
