//! Recorded answers: an adapter is tried on them whenever it is loaded, without sending anything.
//!
//! Each example is a call, parts of the request it must lead to, the answer, and what it must be taken for. A rule that no
//! example reaches has never been seen to work; that is a warning.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::declared::{Credential, Declared};
use super::draft::{AnswerDraft, CallDraft, Class, ExampleDraft, ExpectedDraft, FoundDraft};
use super::mistake::{Mistake, Place};
use super::overbold::overbold_rules;
use super::plan::{Plan, Planned};
use super::variables::Stamp;
use super::wire;
use super::{Adapter as _, Answer, Call, WireRequest};
use crate::clock::Timestamp;
use crate::payments::money::{Currency, Money};
use crate::payments::record::Operation;
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// What the examples showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Examples that do not come out as they say, and rules that conclude something from nothing.
    pub failures: Vec<Mistake>,
    /// Rules that no example reaches.
    pub unreached: Vec<Mistake>,
}

/// Tries every example of a plan.
#[must_use]
pub fn try_examples(plan: &Arc<Plan>) -> Tried {
    let secret = |name: &str| match &plan.envelope.sign {
        Some(sign) => sign.example(name),
        None => format!("example-{name}"),
    };
    let credentials = plan.credentials.keys().map(|name| (name.clone(), Credential::new(&secret(name))));
    let stamp = || Stamp { at: Timestamp(1_700_000_000_000), nonce: "0123456789abcdef0123456789abcdef".into() };
    let adapter = Declared::new(Arc::clone(plan), credentials.collect(), stamp).expect("every credential is there");
    let mut trial = Trial { adapter: &adapter, failures: Vec::new(), reached: HashSet::new() };
    let all = Place::default().key("examples");
    for (index, example) in plan.examples.iter().enumerate() {
        trial.example(&all.index(index), example);
    }
    let Trial { mut failures, reached, .. } = trial;
    failures.extend(overbold_rules(&adapter));
    Tried { failures, unreached: unreached(plan, &reached) }
}

fn unreached(plan: &Plan, reached: &HashSet<(Operation, usize)>) -> Vec<Mistake> {
    let mut found = Vec::new();
    for operation in Operation::ALL {
        let Some(Planned::Call(_, judge)) = plan.operations.get(operation) else { continue };
        for (index, rule) in judge.rules.iter().enumerate() {
            if !reached.contains(&(*operation, index)) {
                let place = Place::default().key("operations").key(operation.as_str()).key("classify").index(index);
                let message = format!(
                    "no example reaches this rule ({:?}), so nothing shows that it works; add an answer to `examples`",
                    rule.class.as_str()
                );
                found.push(Mistake { place: place.key("when"), message });
            }
        }
    }
    found
}

struct Trial<'a> {
    adapter: &'a Declared,
    failures: Vec<Mistake>,
    reached: HashSet<(Operation, usize)>,
}

impl Trial<'_> {
    fn example(&mut self, place: &Place, example: &ExampleDraft) {
        let owned = match OwnedCall::new(example.operation, &example.call) {
            Ok(owned) => owned,
            Err((key, message)) => return self.fail(&place.key("call").key(key), message),
        };
        let found = owned.found.clone();
        let call = owned.call(found.as_ref());
        if self.adapter.ability(example.operation) == super::Ability::Local {
            return self.local(place, example, &call);
        }
        match (self.adapter.request(&call), &example.request) {
            (Err(error), _) => return self.fail(place, format!("the request can't be written: {}", error.detail)),
            (Ok(request), Some(expected)) => self.request(&place.key("request"), &request, expected),
            (Ok(_), None) => {}
        }
        match (&example.answer, example.class) {
            (Some(answer), Some(class)) => self.answer(place, &call, answer, class, &example.reads),
            (None, None) => {}
            (Some(_), None) => self.fail(place, "key \"class\" is missing: what the answer means"),
            (None, Some(_)) => self.fail(place, "key \"answer\" is missing: there is a class and nothing to judge"),
        }
    }

    fn local(&mut self, place: &Place, example: &ExampleDraft, call: &Call<'_>) {
        if example.request.is_some() || example.answer.is_some() || example.class.is_some() {
            self.fail(
                place,
                "a local operation sends nothing: remove request, answer and class, use reads.next_action",
            );
        }
        match self.adapter.next_action(call) {
            Ok(next) => self.reads(&place.key("reads"), &example.reads, &[("next_action", next_action(&next))]),
            Err(error) => self.fail(place, error.detail),
        }
    }

    fn request(&mut self, place: &Place, request: &WireRequest, expected: &ExpectedDraft) {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if let Some(method) = expected.method.as_ref().filter(|method| *method != request.method.as_str()) {
            self.fail(&place.key("method"), format!("the method is {:?}, not {method:?}", request.method.as_str()));
        }
        if let Some(path) = expected.path.as_ref().filter(|path| **path != request.path) {
            self.fail(&place.key("path"), format!("the path is {:?}, not {path:?}", request.path));
        }
        let headers = request.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
        });
        self.part(&place.key("headers"), &Value::Object(headers.collect()), &Value::Object(expected.headers.clone()));
        if let Some(json) = &expected.json {
            let written = serde_json::from_str(&body).unwrap_or_default();
            self.part(&place.key("json"), &written, json);
        }
        if let Some(form) = &expected.form {
            let fields = body.split('&').filter_map(wire::form_field).map(|(name, value)| (name, Value::from(value)));
            let form = form.iter().map(|(name, value)| (name.clone(), as_text(value))).collect();
            self.part(&place.key("form"), &Value::Object(fields.collect()), &Value::Object(form));
        }
    }

    fn answer(
        &mut self,
        place: &Place,
        call: &Call<'_>,
        answer: &AnswerDraft,
        class: Class,
        reads: &Map<String, Value>,
    ) {
        let answer = match answer_of(answer) {
            Ok(answer) => answer,
            Err(message) => return self.fail(&place.key("answer"), message),
        };
        let judgement = self.adapter.judgement(call, &answer);
        self.reached.extend(judgement.rule.map(|rule| (call.operation, rule)));
        let (got, doubt) = class_of(&judgement.verdict);
        if got != class {
            let doubt = doubt.map_or(String::new(), |doubt| format!(" ({})", doubt.as_str()));
            let message = format!(
                "the answer is taken for {:?}{doubt}, not {:?}: {}",
                got.as_str(),
                class.as_str(),
                judgement.reason
            );
            return self.fail(&place.key("class"), message);
        }
        self.reads(&place.key("reads"), reads, &read_of(&judgement.verdict));
    }

    fn reads(&mut self, place: &Place, wanted: &Map<String, Value>, read: &[(&str, Value)]) {
        for (name, value) in wanted {
            let place = place.key(name);
            match read.iter().find(|(known, _)| known == name) {
                Some((_, found)) => self.part(&place, found, value),
                None => {
                    let known: Vec<_> = read.iter().map(|(name, _)| *name).collect();
                    self.fail(&place, format!("{name:?} is not read of this answer; read are: {}", known.join(", ")));
                }
            }
        }
    }

    /// Everything that is wanted must be there; more may be.
    fn part(&mut self, place: &Place, found: &Value, wanted: &Value) {
        match (found, wanted) {
            (Value::Object(found), Value::Object(wanted)) => {
                for (name, value) in wanted {
                    match found.get(name) {
                        Some(found) => self.part(&place.key(name), found, value),
                        None => self.fail(&place.key(name), format!("there is no {name:?} in what was made")),
                    }
                }
            }
            (found, wanted) if found != wanted => {
                self.fail(place, format!("it is {found}, not {wanted}"));
            }
            _ => {}
        }
    }

    fn fail(&mut self, place: &Place, message: impl Into<String>) {
        self.failures.push(Mistake { place: place.clone(), message: message.into() });
    }
}

/// Owns what a [`Call`] borrows.
pub(super) struct OwnedCall {
    operation: Operation,
    money: Money,
    method: String,
    token: Option<String>,
    capture: bool,
    provider_ref: Option<String>,
    lookup: String,
    metadata: Vec<(String, String)>,
    found: Option<Verdict>,
}

const ORDER_REFERENCE: &str = "01M7Y3A9VY0FQQAMKRC02P2MQT-1";
const REFUND_REFERENCE: &str = "01M7Y3A9VY0FQQAMKRC02P2MQT-1-r1";

impl OwnedCall {
    /// The standard call with these changes; otherwise the key that is wrong and why.
    pub(super) fn new(operation: Operation, draft: &CallDraft) -> Result<Self, (&'static str, String)> {
        let code = draft.currency.as_deref().unwrap_or("EUR");
        let currency = Currency::parse(code).ok_or_else(|| ("currency", format!("{code:?} is no currency in use")))?;
        let client_is_there = matches!(operation, Operation::Charge | Operation::Prepare | Operation::Confirm);
        Ok(Self {
            operation,
            money: Money { amount: draft.amount.unwrap_or(1234), currency },
            method: draft.method.clone().unwrap_or_else(|| "card".into()),
            token: draft.token.clone().or_else(|| client_is_there.then(|| "tok_example".into())),
            capture: draft.capture.unwrap_or(true),
            provider_ref: draft.provider_ref.clone(),
            lookup: draft.lookup.clone().unwrap_or_else(|| ORDER_REFERENCE.into()),
            metadata: draft.metadata.clone().into_iter().collect(),
            found: draft.found.as_ref().map(found),
        })
    }

    pub(super) fn call<'a>(&'a self, found: Option<&'a Verdict>) -> Call<'a> {
        Call {
            operation: self.operation,
            provider_key: "example-key",
            order_reference: ORDER_REFERENCE,
            lookup: &self.lookup,
            provider_ref: self.provider_ref.as_deref(),
            money: self.money,
            method: &self.method,
            capture: self.capture,
            token: self.token.as_deref(),
            metadata: &self.metadata,
            refund_reference: (self.operation == Operation::Refund).then_some(REFUND_REFERENCE),
            found,
        }
    }
}

fn found(draft: &FoundDraft) -> Verdict {
    let provider_ref = draft.provider_ref.clone();
    match draft.class {
        Class::Succeeded => Verdict::Succeeded { provider_ref: provider_ref.unwrap_or_default(), refunded: None },
        Class::Prepared => Verdict::Prepared { provider_ref, next_action: BTreeMap::new() },
        Class::Declined | Class::SoftDeclined => {
            Verdict::Declined { code: "declined".into(), provider_ref, soft: draft.class == Class::SoftDeclined }
        }
        Class::NotProcessed => Verdict::NotProcessed { proof: Proof::Stated },
        Class::Full => Verdict::NotProcessed { proof: Proof::Full },
        Class::Voided => Verdict::Voided,
        Class::NotFound => Verdict::NotFound,
        Class::Pending => Verdict::Unknown { doubt: Doubt::StillOpen },
        Class::Unknown => Verdict::Unknown { doubt: Doubt::Unlisted },
    }
}

fn class_of(verdict: &Verdict) -> (Class, Option<Doubt>) {
    match verdict {
        Verdict::Succeeded { .. } => (Class::Succeeded, None),
        Verdict::Prepared { .. } => (Class::Prepared, None),
        Verdict::Declined { soft: false, .. } => (Class::Declined, None),
        Verdict::Declined { soft: true, .. } => (Class::SoftDeclined, None),
        Verdict::NotProcessed { proof: Proof::Full } => (Class::Full, None),
        Verdict::NotProcessed { .. } => (Class::NotProcessed, None),
        Verdict::Voided => (Class::Voided, None),
        Verdict::NotFound => (Class::NotFound, None),
        Verdict::Unknown { doubt: Doubt::StillOpen } => (Class::Pending, None),
        Verdict::Unknown { doubt } => (Class::Unknown, Some(*doubt)),
    }
}

fn read_of(verdict: &Verdict) -> Vec<(&'static str, Value)> {
    match verdict {
        Verdict::Succeeded { provider_ref, refunded } => {
            vec![("provider_ref", provider_ref.as_str().into()), ("refunded", (*refunded).into())]
        }
        Verdict::Prepared { provider_ref, next_action: next } => {
            vec![("provider_ref", provider_ref.clone().into()), ("next_action", next_action(next))]
        }
        Verdict::Declined { code, provider_ref, .. } => {
            vec![("decline_code", code.as_str().into()), ("provider_ref", provider_ref.clone().into())]
        }
        Verdict::Unknown { doubt } => vec![("doubt", doubt.as_str().into())],
        Verdict::NotProcessed { .. } | Verdict::Voided | Verdict::NotFound => Vec::new(),
    }
}

fn next_action(next: &BTreeMap<String, String>) -> Value {
    next.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>().into()
}

fn answer_of(draft: &AnswerDraft) -> Result<Answer, String> {
    let status = StatusCode::from_u16(draft.status).map_err(|_| format!("{} is no status", draft.status))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &draft.headers {
        let pair = HeaderName::from_bytes(name.as_bytes()).ok().zip(as_text(value).as_str().map(HeaderValue::from_str));
        let Some((name, Ok(value))) = pair else { return Err(format!("{name:?} is no header field")) };
        headers.append(name, value);
    }
    let body = match (&draft.json, &draft.text) {
        (Some(_), Some(_)) => return Err("an answer has one body; remove `json` or `text`".into()),
        (Some(json), None) => json.to_string(),
        (None, text) => text.clone().unwrap_or_default(),
    };
    Ok(Answer { status, headers, body: Bytes::from(body) })
}

/// Numbers and truth values stand in forms and fields as text.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string().into(),
        other => other.clone(),
    }
}
