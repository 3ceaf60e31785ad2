//! From what was written to what runs: every template and expression compiled, every mistake found at once.

use std::collections::HashMap;

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, Method};
use serde_json::{Map, Value};

use super::authorization::Authorization;
use super::draft::{AuthDraft, ChargeBy, Draft, OperationDraft, RequestDraft, Requests, SignDraft};
use super::expression::Expression;
use super::mistake::{Mistake, Place};
use super::plan::{Plan, Planned};
use super::request::{Body, Envelope, Request, Tree};
use super::scope::Scope;
use super::sign::Signature;
use super::template::Template;
use crate::payments::record::Operation;

mod judging;

/// Fields that the transport writes.
const TRANSPORTS_OWN: &[HeaderName] = &[HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];
/// One of these stands in each request about an attempt that was made before: else its answer is about any other.
const NAMES: &[&str] = &["order_reference", "lookup", "provider_ref", "found.provider_ref"];
const METHODS: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

impl Plan {
    /// Compiles an adapter; `name` is for people.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn compile(name: &str, draft: Draft) -> Result<Self, Vec<Mistake>> {
        let mut compiler = Compiler { draft: &draft, mistakes: Vec::new() };
        let envelope = compiler.envelope();
        let handle = compiler.handle();
        let operations = compiler.operations();
        compiler.flow();
        let mistakes = compiler.mistakes;
        let (Some(envelope), true) = (envelope, mistakes.is_empty()) else { return Err(mistakes) };
        Ok(Self {
            name: name.to_owned(),
            charge_by: draft.flow.charge_by,
            prepare_is_harmless: draft.flow.prepare_is_harmless,
            credentials: draft.credentials,
            envelope,
            handle,
            operations,
            examples: draft.examples,
        })
    }
}

struct Compiler<'a> {
    draft: &'a Draft,
    mistakes: Vec<Mistake>,
}

impl Compiler<'_> {
    fn wrong(&mut self, place: &Place, message: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.clone(), message: message.into() });
    }

    fn noted<T>(&mut self, place: &Place, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.wrong(place, message)).ok()
    }

    fn template(&mut self, place: &Place, source: &str, scope: &Scope) -> Option<Template> {
        self.noted(place, Template::compile(source, scope))
    }

    fn expression(&mut self, place: &Place, source: &str, scope: &Scope) -> Option<Expression> {
        self.noted(place, Expression::compile(source, scope))
    }

    /// Compiles the values of a mapping, each a scalar.
    fn each<T>(
        &mut self,
        place: &Place,
        fields: &Map<String, Value>,
        mut compile: impl FnMut(&mut Self, &Place, &str) -> Option<T>,
    ) -> Vec<(String, T)> {
        let mut found = Vec::new();
        for (name, value) in fields {
            let place = place.key(name);
            match scalar(value) {
                Some(text) => found.extend(compile(self, &place, &text).map(|compiled| (name.clone(), compiled))),
                None => self.wrong(&place, "this is no single value; write a text, a number, true or false"),
            }
        }
        found
    }

    fn templates(&mut self, place: &Place, fields: &Map<String, Value>, scope: &Scope) -> Vec<(String, Template)> {
        self.each(place, fields, |compiler, place, source| compiler.template(place, source, scope))
    }

    fn header_name(&mut self, place: &Place, name: &str) -> Option<HeaderName> {
        let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !TRANSPORTS_OWN.contains(name));
        if known.is_none() {
            self.wrong(place, format!("{name:?} is no header field that an adapter can write; use another name"));
        } else if self.draft.auth.is_some() && known == Some(AUTHORIZATION) {
            self.wrong(place, "`auth` writes this field; remove one of them");
        }
        known
    }

    fn headers(&mut self, place: &Place, fields: &Map<String, Value>, scope: &Scope) -> Vec<(HeaderName, Template)> {
        let templates = self.templates(place, fields, scope);
        let named =
            templates.into_iter().map(|(name, template)| (self.header_name(&place.key(&name), &name), template));
        named.collect::<Vec<_>>().into_iter().filter_map(|(name, template)| Some((name?, template))).collect()
    }

    fn envelope(&mut self) -> Option<Envelope> {
        let root = Place::default();
        let draft = self.draft;
        let scope = Scope::request(draft.credentials.keys());
        let headers = self.headers(&root.key("headers"), &draft.headers, &scope);
        let auth = match &draft.auth {
            None => None,
            Some(AuthDraft::Bearer(token)) => {
                let place = root.key("auth").key("bearer");
                Some(self.template(&place, token, &scope).map(Authorization::Bearer))
            }
            Some(AuthDraft::Basic(basic)) => {
                let place = root.key("auth").key("basic");
                let user = self.template(&place.key("user"), &basic.user, &scope);
                let password = self.template(&place.key("password"), &basic.password, &scope);
                Some(user.zip(password).map(|(user, password)| Authorization::Basic { user, password }))
            }
        };
        let sign = draft.sign.as_ref().map(|sign| self.signature(&root.key("sign"), sign));
        // One that could not be compiled is a mistake already.
        Some(Envelope { headers, auth: auth.flatten(), sign: sign.flatten() })
    }

    fn signature(&mut self, place: &Place, sign: &SignDraft) -> Option<Signature> {
        let credentials = || self.draft.credentials.keys();
        let (request, signed, signature) =
            (Scope::request(credentials()), Scope::signed(credentials()), Scope::signature(credentials()));
        let key = self.template(&place.key("key"), &sign.key, &request);
        let over = self.template(&place.key("over"), &sign.over, &signed);
        let header = self.header_name(&place.key("header"), &sign.header);
        let value = sign.value.as_ref().map(|value| self.template(&place.key("value"), value, &signature));
        Some(Signature {
            algorithm: sign.algorithm,
            key: key?,
            key_encoding: sign.key_encoding,
            over: over?,
            encoding: sign.encoding,
            header: header?,
            value: value.flatten(),
        })
    }

    fn handle(&mut self) -> Option<Template> {
        let source = self.draft.operations.get(&Operation::Lookup)?.handle.as_ref()?;
        let place = Place::default().key("operations").key("lookup").key("handle");
        self.template(&place, source, &Scope::handle())
    }

    fn operations(&mut self) -> HashMap<Operation, Planned> {
        let draft = self.draft;
        let all = Place::default().key("operations");
        let mut found = HashMap::new();
        // In the order of the words, so that mistakes come in one order.
        for operation in Operation::ALL {
            let Some(written) = draft.operations.get(operation) else { continue };
            let place = all.key(operation.as_str());
            if written.handle.is_some() && *operation != Operation::Lookup {
                self.wrong(&place.key("handle"), "only `lookup` has a handle; move it there");
            }
            if let Some(planned) = self.operation(*operation, &place, written) {
                found.insert(*operation, planned);
            }
        }
        found
    }

    fn operation(&mut self, operation: Operation, place: &Place, written: &OperationDraft) -> Option<Planned> {
        if written.local {
            if operation != Operation::Prepare {
                self.wrong(&place.key("local"), "only `prepare` can be left to the customer's device; write a request");
            }
            if written.request.is_some() || !written.classify.is_empty() {
                self.wrong(&place.key("local"), "a local operation sends nothing: remove `request` and `classify`");
            }
            let next = self.templates(&place.key("next_action"), &written.next_action, &Scope::call());
            return Some(Planned::Local(next));
        }
        if !written.next_action.is_empty() {
            self.wrong(&place.key("next_action"), "belongs to a `local` operation; of an answer, use read.next_action");
        }
        let Some(requests) = &written.request else {
            self.wrong(place, "key \"request\" is missing: the request that asks for this");
            return None;
        };
        let at = place.key("request");
        let compiled: Vec<_> = match requests {
            Requests::One(request) => vec![self.request(operation, &at, request)],
            Requests::Several(several) => {
                let last = several.len().saturating_sub(1);
                for (index, _) in several.iter().enumerate().filter(|(index, one)| one.when.is_none() && *index < last)
                {
                    self.wrong(&at.index(index), "without `when` this one always fits; put it last");
                }
                let each = several.iter().enumerate();
                each.map(|(index, request)| self.request(operation, &at.index(index), request)).collect()
            }
        };
        let judge = self.judge(operation, place, written);
        Some(Planned::Call(compiled.into_iter().collect::<Option<_>>()?, Box::new(judge?)))
    }

    fn request(&mut self, operation: Operation, place: &Place, draft: &RequestDraft) -> Option<Request> {
        let scope = Scope::request(self.draft.credentials.keys());
        let when = draft.when.as_ref().map(|when| self.expression(&place.key("when"), when, &Scope::call()));
        let method = METHODS.iter().find(|method| method.as_str() == draft.method).cloned();
        if method.is_none() {
            self.wrong(&place.key("method"), format!("{:?} is not one of GET, POST, PUT, PATCH, DELETE", draft.method));
        }
        let path = self.path(&place.key("path"), &draft.path, &scope);
        let query = self.templates(&place.key("query"), &draft.query, &scope);
        let headers = self.headers(&place.key("headers"), &draft.headers, &scope);
        let body = match (&draft.json, &draft.form) {
            (Some(_), Some(_)) => {
                self.wrong(&place.key("form"), "a request has one body; remove `json` or `form`");
                None
            }
            (Some(tree), None) => self.tree(&place.key("json"), tree, &scope).map(Body::Json),
            (None, Some(form)) => Some(Body::Form(self.templates(&place.key("form"), form, &scope))),
            (None, None) => Some(Body::None),
        };
        if method == Some(Method::GET) && matches!(body, Some(Body::Json(_) | Body::Form(_))) {
            self.wrong(&place.key("method"), "a GET has no body; use `query`");
        }
        let when = match when {
            Some(when) => Some(when?),
            None => None,
        };
        let request = Request { when, method: method?, path: path?, query, headers, body: body? };
        if !matches!(operation, Operation::Charge | Operation::Prepare) && !request.reads_any(NAMES) {
            let message = format!("nothing in it says which attempt is meant; insert one of {}", NAMES.join(", "));
            self.wrong(place, message);
        }
        Some(request)
    }

    fn path(&mut self, place: &Place, source: &str, scope: &Scope) -> Option<Template> {
        let template = self.template(place, source, scope)?;
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~:@!$'()*+,;=".contains(&byte));
        let steps = |text: &str| text.split('/').all(|step| !matches!(step, "." | ".."));
        if !template.start().is_some_and(|start| start.starts_with('/')) {
            self.wrong(place, format!("{source:?} does not begin with a slash; write a path such as /v1/charges"));
        } else if !template.literals().all(|text| plain(text) && steps(text)) {
            self.wrong(place, format!("{source:?} holds what a path can't hold as it is; a query stands in `query`"));
        }
        Some(template)
    }

    fn tree(&mut self, place: &Place, value: &Value, scope: &Scope) -> Option<Tree> {
        Some(match value {
            Value::String(text) => Tree::Inserted(self.template(place, text, scope)?),
            Value::Array(items) => {
                let items: Vec<_> =
                    items.iter().enumerate().map(|(index, item)| self.tree(&place.index(index), item, scope)).collect();
                Tree::List(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, member)| Some((name.clone(), self.tree(&place.key(name), member, scope)?)))
                    .collect();
                Tree::Object(members.into_iter().collect::<Option<_>>()?)
            }
            literal => Tree::Literal(literal.to_string()),
        })
    }

    fn flow(&mut self) {
        let draft = self.draft;
        let has = |operation| draft.operations.contains_key(&operation);
        let operations = Place::default().key("operations");
        let missing = |operation: Operation, why: &str| format!("{:?} is missing: {why}", operation.as_str());
        if draft.flow.charge_by == ChargeBy::Charge && !has(Operation::Charge) {
            let why =
                "payments are charged by it; write it, or say another flow.charge_by (prepare_and_confirm, client)";
            self.wrong(&operations, missing(Operation::Charge, why));
        }
        let steps = [(Operation::Prepare, Operation::Confirm), (Operation::Confirm, Operation::Prepare)];
        for (step, other) in steps {
            if !has(step) && (has(other) || draft.flow.charge_by != ChargeBy::Charge) {
                self.wrong(&operations, missing(step, "a payment of two steps needs prepare and confirm"));
            }
        }
        if draft.flow.prepare_is_harmless && !has(Operation::Prepare) {
            let place = Place::default().key("flow").key("prepare_is_harmless");
            self.wrong(&place, "there is no prepare; remove this");
        }
    }
}

/// The text of a scalar, as it was written.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
