//! Expressions: conditions and values over a call and its answer. The one home of the template engine.
//!
//! Strict: what is not there is no value, and an expression that touches it fails. There are no statements, functions,
//! methods, loaders or globals, and few filters; an expression reads what it is given and nothing else. What can be known
//! when it is compiled (syntax, names of variables, filters and tests) is an error then.

use std::fmt;
use std::sync::LazyLock;

use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::filters;
use super::names::{Misuse, misuse};
use super::scope::Scope;

/// Steps that one evaluation may take.
const FUEL: u64 = 10_000;
/// Longest source.
const MAX_SOURCE: usize = 4096;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    filters::install(&mut engine);
    engine
});

/// A compiled expression.
pub(super) struct Expression {
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

/// An expression or a template had no value. The text names neither the call's nor the answer's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

impl Expression {
    /// Compiles an expression over the variables of `scope`.
    ///
    /// # Errors
    /// What is wrong and the mend.
    pub(super) fn compile(source: &str, scope: &Scope) -> Result<Self, String> {
        let source = source.trim();
        if source.is_empty() {
            return Err("the expression is empty; write one such as `status == 200`".into());
        }
        if source.len() > MAX_SOURCE {
            return Err(format!("the expression is longer than {MAX_SOURCE} bytes; split it with `let`"));
        }
        let compiled = ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| {
            let detail = error.detail().unwrap_or("it can't be read").to_owned();
            format!("`{}` is no expression: {detail}", shown(source))
        })?;
        if let Some(Misuse { what, mend }) = misuse(source, &ENGINE_NAMES) {
            return Err(format!("`{}`: {what}; {mend}", shown(source)));
        }
        let mut variables: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        variables.sort();
        if let Some(problem) = variables.iter().find_map(|name| scope.objection(name)) {
            return Err(format!("`{}`: {problem}", shown(source)));
        }
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// As it was written.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it reads one of these variables, such as `amount` or `found.class`.
    pub(super) fn reads_any(&self, names: &[&str]) -> bool {
        self.compiled.undeclared_variables(true).iter().any(|read| names.contains(&read.as_str()))
    }

    /// Its value.
    ///
    /// # Errors
    /// [`Failed`] if something that it needs is not there or is of another kind.
    pub(super) fn value(&self, variables: &Value) -> Result<Value, Failed> {
        let value = self.compiled.eval(variables.clone()).map_err(|error| self.failed(reason(error.kind())))?;
        if value.is_undefined() { Err(self.failed("it is not there")) } else { Ok(value) }
    }

    /// Whether it fails at a value that is there and can't be what it has to be, such as a negative amount.
    pub(super) fn is_impossible(&self, variables: &Value) -> bool {
        self.compiled.eval(variables.clone()).is_err_and(|error| filters::is_impossible(&error))
    }

    /// Its value, which must be true or false.
    ///
    /// # Errors
    /// [`Failed`], also for any other value: `"false"` must not pass for true.
    pub(super) fn holds(&self, variables: &Value) -> Result<bool, Failed> {
        let value = self.value(variables)?;
        match value.kind() {
            minijinja::value::ValueKind::Bool => Ok(value.is_true()),
            _ => Err(self.failed("it is neither true nor false")),
        }
    }

    fn failed(&self, why: &str) -> Failed {
        Failed(format!("`{}` has no value: {why}", shown(&self.source)))
    }
}

/// Filters and tests that expressions may use.
static ENGINE_NAMES: LazyLock<filters::Names> = LazyLock::new(filters::names);

/// The engine's own texts may quote values.
fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UndefinedError => "something that it reads is not there",
        ErrorKind::OutOfFuel => "it takes too many steps",
        _ => "something that it reads is of another kind than it needs",
    }
}

fn shown(source: &str) -> String {
    const LONGEST: usize = 120;
    match source.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &source[..end]),
        None => source.to_owned(),
    }
}

#[cfg(test)]
mod tests;
