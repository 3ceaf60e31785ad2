//! An adapter that was declared in YAML, with the credentials of one provider.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Value;

use super::draft::{CallDraft, ChargeBy, Need};
use super::examples::OwnedCall;
use super::expression::Failed;
use super::judge::{Judge, Judgement};
use super::plan::{Plan, Planned};
use super::request::Request;
use super::variables::{Stamp, Variables};
use super::{Ability, Adapter, Answer, BuildError, Call, WireRequest, wire};
use crate::payments::record::Operation;
use crate::payments::verdict::{Doubt, Verdict};

/// Longest handle that the ledger keeps.
const MAX_HANDLE: usize = 255;
/// Shorter secrets would be found in innocent text.
const SHORTEST_MASKED: usize = 4;

/// A secret; it has no form that could be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Arc<str>);

impl Credential {
    /// Holds a secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Declared {
    pub(super) plan: Arc<Plan>,
    credentials: BTreeMap<String, Credential>,
    stamp: fn() -> Stamp,
}

impl Declared {
    /// Lends a plan the credentials of a provider; `stamp` gives time and a fresh nonce to each request.
    ///
    /// # Errors
    /// The name of a required credential that is missing.
    pub fn new(
        plan: Arc<Plan>,
        credentials: BTreeMap<String, Credential>,
        stamp: fn() -> Stamp,
    ) -> Result<Self, String> {
        let lacks = |name: &&String| !credentials.contains_key(*name);
        let required = plan.credentials.iter().filter(|(_, need)| **need == Need::Required).map(|(name, _)| name);
        match required.clone().find(lacks) {
            Some(missing) => Err(missing.clone()),
            None => Ok(Self { plan, credentials, stamp }),
        }
    }

    /// What an answer means, and why.
    pub(super) fn judgement(&self, call: &Call<'_>, answer: &Answer) -> Judgement {
        match self.judge_of(call.operation) {
            Some(judge) => judge.judge(call, answer),
            None => Judge::default().judge(call, answer),
        }
    }

    /// How the answers to an operation are judged, if the adapter has it.
    pub(super) fn judge_of(&self, operation: Operation) -> Option<&Judge> {
        match self.plan.operations.get(&operation) {
            Some(Planned::Call(_, judge)) => Some(judge),
            _ => None,
        }
    }

    /// Whether requests can be authorised and signed with these credentials.
    ///
    /// # Errors
    /// Why they can't; no secret is repeated.
    pub fn check_credentials(&self) -> Result<(), String> {
        let standard = OwnedCall::new(Operation::Charge, &CallDraft::default()).expect("the standard call is valid");
        self.plan.envelope.check(&self.variables(&standard.call(None))).map_err(|failed| failed.0)
    }

    fn fill(&self, call: &Call<'_>) -> Result<WireRequest, Failed> {
        let Some(Planned::Call(requests, _)) = self.plan.operations.get(&call.operation) else {
            return Err(Failed(format!("there is no request for {}", call.operation.as_str())));
        };
        let request = chosen(requests, &Variables::of_call(call).all())?;
        request.fill(&self.plan.envelope, &self.variables(call))
    }

    /// What a request may use.
    fn variables(&self, call: &Call<'_>) -> Variables {
        let mut variables = Variables::of_call(call);
        variables.add_stamp(&(self.stamp)());
        // One that is optional and missing is `none`: what is made of it alone is left out.
        let credentials = self.plan.credentials.keys().map(|name| {
            let secret = self.credentials.get(name).map_or(Value::from(()), |secret| Value::from(&*secret.0));
            (name.as_str(), secret)
        });
        variables.add("credentials", Value::from_pairs(credentials));
        variables
    }

    fn unbuilt(&self, call: &Call<'_>, failed: Failed) -> BuildError {
        BuildError { adapter: self.plan.name.clone(), detail: format!("{}: {}", call.operation.as_str(), failed.0) }
    }
}

fn chosen<'a>(requests: &'a [Request], variables: &Value) -> Result<&'a Request, Failed> {
    for request in requests {
        match &request.when {
            Some(when) if !when.holds(variables)? => {}
            _ => return Ok(request),
        }
    }
    Err(Failed("none of the requests fits this call".into()))
}

impl Adapter for Declared {
    fn name(&self) -> &str {
        &self.plan.name
    }

    fn ability(&self, operation: Operation) -> Ability {
        match self.plan.operations.get(&operation) {
            None => Ability::None,
            Some(Planned::Local(_)) => Ability::Local,
            Some(Planned::Call(..)) => Ability::Call,
        }
    }

    fn prepare_is_harmless(&self) -> bool {
        self.plan.prepare_is_harmless
    }

    fn confirms_itself(&self) -> bool {
        self.plan.charge_by == ChargeBy::PrepareAndConfirm
    }

    fn lookup_handle(&self, call: &Call<'_>) -> Result<String, BuildError> {
        let Some(handle) = &self.plan.handle else { return Ok(call.order_reference.to_owned()) };
        let handle = handle.plain(&Variables::of_call(call).all()).map_err(|failed| self.unbuilt(call, failed))?;
        let fit =
            |text: &String| (1..=MAX_HANDLE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        handle.filter(fit).ok_or_else(|| {
            self.unbuilt(call, Failed(format!("the handle is no text of 1 to {MAX_HANDLE} visible ASCII characters")))
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<WireRequest, BuildError> {
        self.fill(call).map_err(|failed| self.unbuilt(call, failed))
    }

    fn classify(&self, call: &Call<'_>, answer: &Answer) -> Verdict {
        match self.plan.operations.get(&call.operation) {
            Some(Planned::Call(_, judge)) => judge.judge(call, answer).verdict,
            _ => Verdict::Unknown { doubt: Doubt::Unlisted },
        }
    }

    fn next_action(&self, call: &Call<'_>) -> Result<BTreeMap<String, String>, BuildError> {
        let Some(Planned::Local(templates)) = self.plan.operations.get(&call.operation) else {
            return Ok(BTreeMap::new());
        };
        let variables = Variables::of_call(call).all();
        let mut found = BTreeMap::new();
        for (name, template) in templates {
            if let Some(text) = template.plain(&variables).map_err(|failed| self.unbuilt(call, failed))? {
                found.insert(name.clone(), text);
            }
        }
        Ok(found)
    }

    fn explain(&self, call: &Call<'_>, answer: &Answer) -> String {
        self.judgement(call, answer).reason
    }

    fn masked(&self, text: &str) -> String {
        let secrets = self.credentials.iter().filter(|(_, secret)| secret.0.len() >= SHORTEST_MASKED);
        secrets.fold(text.to_owned(), |text, (name, secret)| {
            let (mut quoted, shown) = (String::new(), format!("[{name}]"));
            wire::text(&secret.0, &mut quoted);
            let forms = [&*secret.0, &wire::percent(&secret.0), quoted.trim_matches('"')];
            forms.into_iter().fold(text, |text, form| text.replace(form, &shown))
        })
    }
}
