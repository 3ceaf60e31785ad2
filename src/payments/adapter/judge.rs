//! What an answer means: the classify table, the echo, and what is read.
//!
//! The first rule that holds decides. A rule that can't be judged ends the search: what it asks for may be the very thing
//! that forbids the next one. Success has to repeat what was asked for; whatever repeats something else is about
//! something else, and is unknown with an alarm.

use std::collections::BTreeMap;

use http::StatusCode;
use minijinja::value::Value;

use super::draft::{AnswerFormat, Class, Echo};
use super::expression::Expression;
use super::filters;
use super::variables::{Variables, is_readable};
use super::{Answer, Call};
use crate::payments::money::MAX_AMOUNT;
use crate::payments::record::Operation;
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// What anything between Figway and the provider may answer, which knows nothing of what happened behind it.
pub(super) const PROVES_NOTHING: &[StatusCode] = &[
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];
/// Longest reference or code that is believed.
const MAX_TEXT: usize = 255;
/// Longest value that is handed to the customer's device.
const MAX_ACTION: usize = 2048;

/// How the answers to one operation are judged.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) format: AnswerFormat,
    pub(super) lets: Vec<(String, Expression)>,
    pub(super) read: Read,
    pub(super) expect: Vec<Echo>,
    pub(super) rules: Vec<Rule>,
}

/// Where an answer holds what.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) provider_ref: Option<Expression>,
    pub(super) amount: Option<Expression>,
    pub(super) currency: Option<Expression>,
    pub(super) order_reference: Option<Expression>,
    pub(super) refunded: Option<Expression>,
    pub(super) decline_code: Option<Expression>,
    pub(super) next_action: Vec<(String, Expression)>,
}

/// A line of a classify table.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) when: Expression,
    pub(super) class: Class,
}

/// A verdict and how it came about.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// The rule that held, from 0.
    pub(super) rule: Option<usize>,
    /// For people, without any value of the answer.
    pub(super) reason: String,
}

enum Echoed {
    AsAsked,
    Otherwise,
    NotThere,
}

impl Judge {
    /// What the answer to the call means.
    pub(super) fn judge(&self, call: &Call<'_>, answer: &Answer) -> Judgement {
        let judgement = self.by_rules(call, answer);
        if !PROVES_NOTHING.contains(&answer.status)
            || matches!(judgement.verdict, Verdict::Unknown { .. })
            || is_readable(answer, self.format)
        {
            return judgement;
        }
        let status = answer.status.as_u16();
        let reason = format!("{}, but a {status} with such a body may come from anything on the way", judgement.reason);
        Judgement { verdict: unknown(Doubt::Unreadable), reason, ..judgement }
    }

    /// The same by the rules alone, however little the answer proves.
    pub(super) fn by_rules(&self, call: &Call<'_>, answer: &Answer) -> Judgement {
        let variables = self.variables(call, answer);
        for (index, rule) in self.rules.iter().enumerate() {
            match rule.when.holds(&variables) {
                Ok(false) => {}
                Ok(true) => return self.verdict(call, &variables, index, rule),
                Err(failed) => {
                    let reason = format!("classify[{index}] can't be judged: {failed}");
                    return Judgement { verdict: unknown(Doubt::Unreadable), rule: None, reason };
                }
            }
        }
        Judgement { verdict: unknown(Doubt::Unlisted), rule: None, reason: "no rule of classify holds".into() }
    }

    fn variables(&self, call: &Call<'_>, answer: &Answer) -> Value {
        let mut variables = Variables::of_answer(call, answer, self.format);
        for (name, expression) in &self.lets {
            // What has no value is not there: only the rules that need it can't be judged.
            if let Ok(value) = expression.value(&variables.all()) {
                variables.add(name, value);
            }
        }
        variables.all()
    }

    fn verdict(&self, call: &Call<'_>, variables: &Value, index: usize, rule: &Rule) -> Judgement {
        let held = format!("classify[{index}]: `{}` holds", rule.when.source());
        let judged = |verdict, reason| Judgement { verdict, rule: Some(index), reason };
        for echo in &self.expect {
            match self.echoed(*echo, call, variables) {
                Echoed::AsAsked => {}
                Echoed::Otherwise => {
                    let reason = format!("{held}, but the answer is about another {}", word(*echo));
                    return judged(unknown(Doubt::Mismatch), reason);
                }
                Echoed::NotThere if needs_echo(rule.class, call.operation) => {
                    let reason = format!("{held}, but the answer does not repeat the {}", word(*echo));
                    return judged(unknown(Doubt::Unreadable), reason);
                }
                Echoed::NotThere => {}
            }
        }
        match self.of_class(rule.class, call, variables) {
            Ok(verdict) => judged(verdict, held),
            Err((doubt, why)) => judged(unknown(doubt), format!("{held}, but {why}")),
        }
    }

    fn of_class(&self, class: Class, call: &Call<'_>, variables: &Value) -> Result<Verdict, (Doubt, &'static str)> {
        Ok(match class {
            Class::Succeeded => {
                let provider_ref = match &self.read.provider_ref {
                    Some(read) => reference(read, variables),
                    None => call.provider_ref.map(str::to_owned),
                };
                let provider_ref = provider_ref.ok_or((Doubt::Unreadable, "read.provider_ref finds no reference"))?;
                Verdict::Succeeded { provider_ref, refunded: self.refunded(call, variables)? }
            }
            Class::Prepared => Verdict::Prepared {
                provider_ref: self.read.provider_ref.as_ref().and_then(|read| reference(read, variables)),
                next_action: self.next_action(variables),
            },
            Class::Declined | Class::SoftDeclined => Verdict::Declined {
                code: self
                    .read
                    .decline_code
                    .as_ref()
                    .and_then(|read| reference(read, variables))
                    .unwrap_or_else(|| "declined".into()),
                provider_ref: self.read.provider_ref.as_ref().and_then(|read| reference(read, variables)),
                soft: class == Class::SoftDeclined,
            },
            Class::NotProcessed => Verdict::NotProcessed { proof: Proof::Stated },
            Class::Full => Verdict::NotProcessed { proof: Proof::Full },
            Class::Voided => Verdict::Voided,
            Class::NotFound => Verdict::NotFound,
            Class::Pending => unknown(Doubt::StillOpen),
            Class::Unknown => unknown(Doubt::Unlisted),
        })
    }

    fn refunded(&self, call: &Call<'_>, variables: &Value) -> Result<Option<u64>, (Doubt, &'static str)> {
        let Some(read) = self.read.refunded.as_ref().filter(|_| call.operation == Operation::Lookup) else {
            return Ok(None);
        };
        let Ok(value) = read.value(variables) else { return Ok(None) };
        match amount(&value) {
            Some(refunded) if refunded <= call.money.amount => Ok(Some(refunded)),
            Some(_) => Err((Doubt::Mismatch, "more is given back than was paid")),
            None => Err((Doubt::Unreadable, "read.refunded finds no amount")),
        }
    }

    fn next_action(&self, variables: &Value) -> BTreeMap<String, String> {
        let found = self.read.next_action.iter().filter_map(|(name, read)| {
            let text = filters::text(&read.value(variables).ok()?)?;
            let fit = text.len() <= MAX_ACTION && !text.chars().any(char::is_control);
            fit.then(|| (name.clone(), text))
        });
        found.collect()
    }

    fn echoed(&self, echo: Echo, call: &Call<'_>, variables: &Value) -> Echoed {
        let read = match echo {
            Echo::Amount => &self.read.amount,
            Echo::Currency => &self.read.currency,
            Echo::OrderReference => &self.read.order_reference,
        };
        let Some(read) = read else { return Echoed::NotThere };
        let value = match read.value(variables) {
            Ok(value) if !value.is_none() => value,
            Err(_) if read.is_impossible(variables) => return Echoed::Otherwise,
            _ => return Echoed::NotThere,
        };
        let same = match echo {
            Echo::Amount => amount(&value) == Some(call.money.amount),
            Echo::Currency => value.as_str() == Some(call.money.currency.code()),
            Echo::OrderReference => value.as_str() == Some(call.order_reference),
        };
        if same { Echoed::AsAsked } else { Echoed::Otherwise }
    }
}

/// Whether a verdict of this class lets money count as taken or lets another provider try, on the word of an answer that
/// describes the payment. An error says what it says about its own request; a look's findings are all descriptions.
fn needs_echo(class: Class, operation: Operation) -> bool {
    match class {
        Class::Succeeded | Class::Prepared => true,
        Class::Voided | Class::Declined | Class::NotProcessed => operation == Operation::Lookup,
        _ => false,
    }
}

fn unknown(doubt: Doubt) -> Verdict {
    Verdict::Unknown { doubt }
}

fn word(echo: Echo) -> &'static str {
    match echo {
        Echo::Amount => "amount",
        Echo::Currency => "currency",
        Echo::OrderReference => "order reference",
    }
}

fn amount(value: &Value) -> Option<u64> {
    filters::integer(value).and_then(|number| u64::try_from(number).ok()).filter(|amount| *amount <= MAX_AMOUNT)
}

/// Text that may stand in the ledger, in a log and in a client's answer.
fn reference(read: &Expression, variables: &Value) -> Option<String> {
    let text = filters::text(&read.value(variables).ok()?)?;
    let fit = (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fit.then_some(text)
}
