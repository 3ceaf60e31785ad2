//! Templates: text with `{{ expression }}` in it. No statements: a template inserts values and decides nothing.
//!
//! A template that is one expression and nothing else keeps its value's kind, so that a number stays a number in JSON.
//! Such a template may be `none`: the field that it stands for is left out.

use minijinja::value::Value;

use super::expression::{Expression, Failed};
use super::filters;
use super::scope::Scope;

/// Longest text that one template gives.
const MAX_TEXT: usize = 16 << 10;

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Inserted(Expression),
}

impl Template {
    /// Compiles a template over the variables of `scope`.
    ///
    /// # Errors
    /// What is wrong and the mend.
    pub(super) fn compile(source: &str, scope: &Scope) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find("{{") {
            let (text, after) = (&rest[..start], &rest[start + 2..]);
            check_text(text)?;
            let end = end_of_expression(after).ok_or_else(|| {
                format!("{source:?} has a `{{{{` without its `}}}}`; write `{{{{ \"{{{{\" }}}}` for the text itself")
            })?;
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            pieces.push(Piece::Inserted(Expression::compile(&after[..end], scope)?));
            rest = &after[end + 2..];
        }
        check_text(rest)?;
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// The text as it is sent, with what is inserted passed through `encode`; `None` to leave the field out.
    ///
    /// # Errors
    /// [`Failed`] if an expression has no value, or none that has a text.
    pub(super) fn text(
        &self,
        variables: &Value,
        encode: impl Fn(&str) -> Result<String, Failed>,
    ) -> Result<Option<String>, Failed> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Inserted(expression) => {
                    let value = expression.value(variables)?;
                    if value.is_none() && self.pieces.len() == 1 {
                        return Ok(None);
                    }
                    let text = filters::text(&value).ok_or_else(|| {
                        Failed(format!(
                            "`{}` is no text; a fraction needs `| major(currency)`, a list or a mapping has none",
                            expression.source()
                        ))
                    })?;
                    out.push_str(&encode(&text)?);
                }
            }
            if out.len() > MAX_TEXT {
                return Err(Failed(format!("a field is longer than {MAX_TEXT} bytes")));
            }
        }
        Ok(Some(out))
    }

    /// The text with nothing encoded.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn plain(&self, variables: &Value) -> Result<Option<String>, Failed> {
        self.text(variables, |text| Ok(text.to_owned()))
    }

    /// The value, of the kind that it has if the template is one expression, else the text.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(super) fn value(&self, variables: &Value) -> Result<Value, Failed> {
        match self.pieces.as_slice() {
            [Piece::Inserted(expression)] => expression.value(variables),
            _ => Ok(self.plain(variables)?.map_or(Value::from(()), Value::from)),
        }
    }

    /// Whether an expression in it reads one of these variables.
    pub(super) fn reads_any(&self, names: &[&str]) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Inserted(expression) if expression.reads_any(names)))
    }

    /// What stands there outside of expressions.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Inserted(_) => None,
        })
    }

    /// What stands first, if it is no expression.
    pub(super) fn start(&self) -> Option<&str> {
        match self.pieces.first() {
            Some(Piece::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.contains("{%") || text.contains("{#") {
        return Err("there are no statements and no comments in templates (`{%`, `{#`); \
                    write `{{ a if condition else b }}`"
            .into());
    }
    if text.contains("}}") {
        return Err("there is a `}}` without its `{{`; write `{{ \"}}\" }}` for the text itself".into());
    }
    Ok(())
}

/// Where the `}}` is that ends an expression: not in a text, not in a mapping.
fn end_of_expression(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let (mut at, mut depth, mut quote) = (0, 0_usize, None);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(bytes[at]),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<Option<String>, String> {
        let scope = Scope::call();
        let template = Template::compile(source, &scope)?;
        let variables = Value::from_pairs([
            ("amount", Value::from(1234)),
            ("currency", Value::from("EUR")),
            ("token", Value::from("{{ amount }} \"'\n")),
            ("provider_ref", Value::from(())),
        ]);
        template.plain(&variables).map_err(|failed| failed.to_string())
    }

    fn check(source: &str, expected: &str) {
        assert_eq!(render(source), Ok(Some(expected.to_owned())), "{source}");
    }

    #[test]
    fn values_are_inserted_and_never_read_as_templates() {
        check("a/{{ amount }}/{{ currency | lower }}", "a/1234/eur");
        check("{{ token }}", "{{ amount }} \"'\n");
        check("{{ amount | major(currency) }}", "12.34");
        check("{{ '}}' }}{{ \"{{\" }}{{ {'a': {'b': 1}}.a.b }}", "}}{{1");
        check("", "");
    }

    #[test]
    fn none_alone_leaves_a_field_out_and_between_others_is_a_mistake() {
        assert_eq!(render("{{ provider_ref }}"), Ok(None));
        assert!(render("x{{ provider_ref }}").is_err());
    }

    #[test]
    fn what_is_wrong_is_said_when_it_is_compiled() {
        for (source, part) in [
            ("{{ amount", "without its `}}`"),
            ("{% if amount %}", "no statements"),
            ("a }} b", "without its `{{`"),
            ("{{ amonut }}", "no variable \"amonut\""),
            ("{{ amount + }}", "is no expression"),
            ("{{ }}", "the expression is empty"),
            ("{{ amount | x }}", "no filter \"x\""),
        ] {
            let message = render(source).expect_err(source);
            assert!(message.contains(part), "{source}: {message}");
        }
    }

    #[test]
    fn what_is_not_there_or_has_no_text_fails() {
        for source in ["{{ lookup }}", "{{ amount / 100 }}", "{{ [1] }}", "{{ lookup.x | default('y') }}"] {
            assert!(render(source).is_err(), "{source}");
        }
        check("{{ lookup | default('y') }}", "y");
    }
}
