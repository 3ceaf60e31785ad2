//! `${NAME}` and `${NAME:-default}` in the values of the config file; `$${` stands for `${`.
//!
//! Works on the tree, after YAML: a variable can't add keys, and comments and keys stay as written.
//! Flag files are not expanded: every instance must read the same flags, whatever its environment.

use super::quote::quoted;
use super::tree::{Mistake, Node, Scalar, ScalarKind, Value};

/// What a variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    Set(String),
    Unset,
    NotUnicode,
}

/// Reads a variable by name; the process's own environment, or a test's.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Variable;

/// The process's environment.
pub(super) fn process(name: &str) -> Variable {
    match std::env::var(name) {
        Ok(value) => Variable::Set(value),
        Err(std::env::VarError::NotPresent) => Variable::Unset,
        Err(std::env::VarError::NotUnicode(_)) => Variable::NotUnicode,
    }
}

/// Expands every scalar value of the tree; what can't be expanded is noted and becomes [`Value::Broken`].
pub(super) fn expand(node: &mut Node, environment: Environment<'_>, mistakes: &mut Vec<Mistake>) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| expand(item, environment, mistakes)),
        Value::Mapping(entries) => {
            entries.iter_mut().for_each(|entry| expand(&mut entry.value, environment, mistakes));
        }
        Value::Scalar(scalar) if scalar.text.contains("${") => match expanded(&scalar.text, environment) {
            Ok((text, true)) => *scalar = Scalar { text, kind: ScalarKind::Any },
            Ok((text, false)) => scalar.text = text,
            Err(message) => {
                mistakes.push(Mistake { at: node.at, message });
                node.value = Value::Broken;
            }
        },
        Value::Scalar(_) | Value::Broken => {}
    }
}

/// The text, and whether a variable took part in it.
pub(super) fn expanded(text: &str, environment: Environment<'_>) -> Result<(String, bool), String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut took_part = false;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start - 1]);
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let (inside, after) = rest[start + 2..].split_once('}').ok_or_else(|| {
            format!("{} has a `${{` without its `}}`; write `$${{` if no variable is meant", quoted(text))
        })?;
        out.push_str(&value(inside, environment)?);
        rest = after;
        took_part = true;
    }
    out.push_str(rest);
    Ok((out, took_part))
}

fn value(inside: &str, environment: Environment<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let well_formed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !well_formed {
        let shown = quoted(&format!("${{{inside}}}"));
        return Err(format!(
            "{shown} names no variable; write `${{NAME}}`, `${{NAME:-default}}` or `$${{` for the text itself"
        ));
    }
    match (environment(name), default) {
        (Variable::Set(value), None) => Ok(value),
        (Variable::Set(value), Some(_)) if !value.is_empty() => Ok(value),
        (Variable::Set(_) | Variable::Unset, Some(default)) => Ok(default.to_owned()),
        (Variable::Unset, None) => Err(format!(
            "\"${{{name}}}\": the environment variable {name} is not set; set it or write `${{{name}:-default}}`"
        )),
        (Variable::NotUnicode, _) => {
            Err(format!("\"${{{name}}}\": the environment variable {name} is not valid UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn fake(name: &str) -> Variable {
        match name {
            "HOST" => Variable::Set("10.0.0.1".into()),
            "EMPTY" => Variable::Set(String::new()),
            "BYTES" => Variable::NotUnicode,
            _ => Variable::Unset,
        }
    }

    fn check(yaml: &str, expected: Result<&str, &str>) {
        let mut root = parse(yaml).root.expect("a document");
        let mut mistakes = Vec::new();
        expand(&mut root, &fake, &mut mistakes);
        let Value::Mapping(entries) = &root.value else { panic!("a mapping") };
        match (&entries[0].value.value, expected) {
            (Value::Scalar(scalar), Ok(text)) => assert_eq!(scalar.text, text, "{yaml}"),
            (Value::Broken, Err(part)) => {
                assert!(mistakes[0].message.contains(part), "{}", mistakes[0].message);
                assert_eq!((mistakes[0].at.line, mistakes[0].at.column), (1, 4));
            }
            (found, expected) => panic!("{yaml}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn variables_are_replaced_in_values() {
        check("a: ${HOST}:80", Ok("10.0.0.1:80"));
        check("a: \"x${HOST}y${HOST}\"", Ok("x10.0.0.1y10.0.0.1"));
        check("a: ${NONE:-127.0.0.1:80}", Ok("127.0.0.1:80"));
        check("a: ${EMPTY:-full}", Ok("full"));
        check("a: \"${EMPTY}\"", Ok(""));
        check("a: ${NONE:-}", Ok(""));
    }

    #[test]
    fn a_doubled_dollar_keeps_the_text() {
        check("a: $${HOST}", Ok("${HOST}"));
        check("a: $5 and $HOST", Ok("$5 and $HOST"));
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        check("a: ${NONE}", Err("variable NONE is not set"));
        check("a: \"${NONE\"", Err("without its `}`"));
        check("a: ${}", Err("names no variable"));
        check("a: ${1A}", Err("names no variable"));
        check("a: ${BYTES}", Err("not valid UTF-8"));
    }

    #[test]
    fn keys_and_comments_are_left_alone() {
        let mut root = parse("${NONE}: 1 # ${NONE}").root.expect("a document");
        let mut mistakes = Vec::new();
        expand(&mut root, &fake, &mut mistakes);
        assert_eq!(mistakes, []);
    }
}
