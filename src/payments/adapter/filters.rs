//! The filters and tests that expressions may use: small, total, and exact about money.

use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, filters, tests};
use std::fmt;
use std::sync::Arc;

use crate::payments::money::{Currency, Money};

/// What expressions may use.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) filters: Vec<&'static str>,
    pub(super) tests: Vec<&'static str>,
}

const FILTERS: &[&str] = &[
    "default", "first", "int", "last", "length", "lower", "major", "minor", "replace", "string", "trim", "upper",
    "where",
];
const TESTS: &[&str] =
    &["boolean", "defined", "endingwith", "integer", "mapping", "none", "number", "sequence", "startingwith", "string"];

/// Their names.
pub(super) fn names() -> Names {
    Names { filters: FILTERS.to_vec(), tests: TESTS.to_vec() }
}

/// Makes them known to the engine.
pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("default", filters::default);
    engine.add_filter("first", filters::first);
    engine.add_filter("int", int);
    engine.add_filter("last", filters::last);
    engine.add_filter("length", filters::length);
    engine.add_filter("lower", filters::lower);
    engine.add_filter("major", major);
    engine.add_filter("minor", minor);
    engine.add_filter("replace", filters::replace);
    engine.add_filter("string", string);
    engine.add_filter("trim", filters::trim);
    engine.add_filter("upper", filters::upper);
    engine.add_filter("where", matching);
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("defined", tests::is_defined);
    engine.add_test("endingwith", tests::is_endingwith);
    engine.add_test("integer", tests::is_integer);
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("none", tests::is_none);
    engine.add_test("number", tests::is_number);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("string", tests::is_string);
}

/// A decimal number, exactly as it is to be written.
#[derive(Debug)]
pub(super) struct Decimal(String);

impl Object for Decimal {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digits of a decimal number, if the value is one.
pub(super) fn decimal(value: &Value) -> Option<&str> {
    value.downcast_object_ref::<Decimal>().map(|decimal| decimal.0.as_str())
}

/// The text of a scalar whose text leaves no doubt; fractions are none of them.
pub(super) fn text(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::String => value.as_str().map(str::to_owned),
        ValueKind::Bool => Some(value.is_true().to_string()),
        ValueKind::Number => integer(value).map(|number| number.to_string()),
        _ => decimal(value).map(str::to_owned),
    }
}

/// A whole number that is written as one: `1000.0` is none.
pub(super) fn integer(value: &Value) -> Option<i128> {
    if value.is_integer() { value.clone().try_into().ok() } else { None }
}

fn unfit(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// Marks an error about a value that is there, and can't be what it has to be.
#[derive(Debug, thiserror::Error)]
#[error("the value is there")]
struct Impossible;

/// What a filter can't convert: nothing at all, or something that is no `what`.
fn inconvertible(value: &Value, what: &'static str) -> Error {
    let error = unfit(what);
    if value.is_undefined() || value.is_none() { error } else { error.with_source(Impossible) }
}

/// Whether an expression failed at a value that is there.
pub(super) fn is_impossible(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Impossible>())
}

fn currency(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| unfit("no currency"))
}

/// Minor units to the major unit: `1234 | major("EUR")` is 12.34.
fn major(amount: &Value, code: &str) -> Result<Value, Error> {
    let amount = integer(amount).and_then(|amount| u64::try_from(amount).ok()).ok_or_else(|| unfit("no amount"))?;
    Ok(Value::from_object(Decimal(Money { amount, currency: currency(code)? }.major())))
}

/// The major unit to minor units: `"12.34" | minor("EUR")` is 1234.
fn minor(amount: &Value, code: &str) -> Result<Value, Error> {
    // Of a JSON number with a fraction only the nearest double is left; its shortest form is what was written, for
    // every amount that a payment can have.
    let text = match f64::try_from(amount.clone()) {
        Ok(number) if amount.is_number() && !amount.is_integer() => number.to_string(),
        _ => text(amount).ok_or_else(|| inconvertible(amount, "no amount"))?,
    };
    currency(code)?.minor(&text).map(Value::from).ok_or_else(|| inconvertible(amount, "no amount"))
}

fn string(value: &Value) -> Result<String, Error> {
    text(value).ok_or_else(|| inconvertible(value, "no text"))
}

fn int(value: &Value) -> Result<Value, Error> {
    let number = match value.as_str() {
        Some(text) => text.parse::<i64>().ok().map(i128::from),
        None => integer(value),
    };
    number.map(Value::from).ok_or_else(|| inconvertible(value, "no whole number"))
}

/// The items of a list in which the value at `path` (steps joined by dots) is `wanted`.
fn matching(items: &Value, path: &str, wanted: &Value) -> Result<Value, Error> {
    if items.kind() != ValueKind::Seq {
        return Err(unfit("no list"));
    }
    let mut found = Vec::new();
    for item in items.try_iter()? {
        let mut at = item.clone();
        for step in path.split('.') {
            at = if at.kind() == ValueKind::Map { at.get_attr(step)? } else { Value::UNDEFINED };
        }
        if !at.is_undefined() && at == *wanted {
            found.push(item);
        }
    }
    Ok(Value::from(found))
}
