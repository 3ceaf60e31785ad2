//! An adapter whose provider speaks in verdicts.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use crate::payments::adapter::{Ability, Adapter, Answer, BuildError, Call, WireRequest};
use crate::payments::record::Operation;
use crate::payments::verdict::{Doubt, Verdict};

/// What the provider can do.
#[derive(Debug, Clone)]
pub(in crate::payments) struct Talk {
    can: Vec<Operation>,
    pub(in crate::payments) prepares_locally: bool,
    pub(in crate::payments) prepare_is_harmless: bool,
    pub(in crate::payments) confirms_itself: bool,
}

impl Talk {
    pub(in crate::payments) fn everything() -> Self {
        Self {
            can: Operation::ALL.to_vec(),
            prepares_locally: false,
            prepare_is_harmless: false,
            confirms_itself: false,
        }
    }

    pub(in crate::payments) fn without(mut self, operations: &[Operation]) -> Self {
        self.can.retain(|operation| !operations.contains(operation));
        self
    }

    /// The customer's own device prepares, the server confirms.
    pub(in crate::payments) fn in_the_browser() -> Self {
        Self { prepares_locally: true, ..Self::everything().without(&[Operation::Charge]) }
    }

    /// Prepared and then confirmed by the gateway.
    pub(in crate::payments) fn by_itself() -> Self {
        let talk = Self::everything().without(&[Operation::Charge]);
        Self { prepare_is_harmless: true, confirms_itself: true, ..talk }
    }
}

impl Adapter for Talk {
    fn name(&self) -> &str {
        "talk"
    }

    fn ability(&self, operation: Operation) -> Ability {
        if !self.can.contains(&operation) {
            Ability::None
        } else if operation == Operation::Prepare && self.prepares_locally {
            Ability::Local
        } else {
            Ability::Call
        }
    }

    fn prepare_is_harmless(&self) -> bool {
        self.prepare_is_harmless
    }

    fn confirms_itself(&self) -> bool {
        self.confirms_itself
    }

    fn lookup_handle(&self, call: &Call<'_>) -> Result<String, BuildError> {
        Ok(call.order_reference.into())
    }

    fn request(&self, call: &Call<'_>) -> Result<WireRequest, BuildError> {
        let body = json!({
            "operation": call.operation,
            "reference": call.order_reference,
            "lookup": call.lookup,
            "provider_ref": call.provider_ref,
            "key": call.provider_key,
            "amount": call.money.amount,
            "token": call.token,
            "refund": call.refund_reference,
        });
        Ok(WireRequest {
            method: Method::POST,
            path: "/".into(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        })
    }

    fn classify(&self, _: &Call<'_>, answer: &Answer) -> Verdict {
        serde_json::from_slice(&answer.body).unwrap_or(Verdict::Unknown { doubt: Doubt::Unreadable })
    }

    fn next_action(&self, call: &Call<'_>) -> Result<BTreeMap<String, String>, BuildError> {
        Ok(BTreeMap::from([("order".to_owned(), call.order_reference.to_owned())]))
    }
}
