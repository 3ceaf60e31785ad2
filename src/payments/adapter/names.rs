//! Names that an expression uses besides variables: filters, tests, and calls, of which there are none.
//!
//! The engine looks these up only when they are evaluated, which for the second half of an `and` may be never until the
//! answer that matters. So they are read from the source, once, after the engine has accepted its syntax.

use super::filters::Names;

/// A name that is not there, or a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misuse {
    pub(super) what: String,
    pub(super) mend: String,
}

/// Words before a parenthesis that make no call of it.
const OPERATORS: &[&str] = &["and", "or", "not", "in", "if", "else", "is"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
    /// A literal.
    Other,
}

/// The first misuse in an expression that is well-formed otherwise.
pub(super) fn misuse(source: &str, known: &Names) -> Option<Misuse> {
    let tokens = tokens(source);
    let sign = |at: usize, sign: char| tokens.get(at) == Some(&Token::Sign(sign));
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Sign('|') => {
                at += 1;
                if let Some(Token::Word(name)) = tokens.get(at)
                    && !known.filters.contains(&name.as_str())
                {
                    return Some(unknown("filter", name, &known.filters));
                }
            }
            Token::Word(word) if word == "is" && !(at > 0 && sign(at - 1, '.')) => {
                at += 1;
                if tokens.get(at) == Some(&Token::Word("not".into())) {
                    at += 1;
                }
                if let Some(Token::Word(name)) = tokens.get(at)
                    && !known.tests.contains(&name.as_str())
                {
                    return Some(unknown("test", name, &known.tests));
                }
            }
            Token::Word(word) if sign(at + 1, '(') && !OPERATORS.contains(&word.as_str()) => {
                return Some(Misuse {
                    what: format!("{word:?} is called, and there is nothing to call"),
                    mend: format!("use a filter, such as `{word} | lower`"),
                });
            }
            Token::Word(_) | Token::Sign(_) | Token::Other => {}
        }
        at += 1;
    }
    None
}

fn unknown(kind: &str, name: &str, known: &[&str]) -> Misuse {
    Misuse { what: format!("there is no {kind} {name:?}"), mend: format!("there are {}", known.join(", ")) }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_alphabetic() || first == '_' {
            let mut word = String::from(first);
            while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else if first == '"' || first == '\'' {
            while let Some(next) = chars.next() {
                match next {
                    '\\' => drop(chars.next()),
                    _ if next == first => break,
                    _ => {}
                }
            }
            tokens.push(Token::Other);
        } else if first.is_numeric() {
            while chars.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {}
            tokens.push(Token::Other);
        } else if !first.is_whitespace() {
            tokens.push(Token::Sign(first));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: Option<&str>) {
        let known = Names { filters: vec!["lower", "default"], tests: vec!["defined", "mapping"] };
        let found = misuse(source, &known).map(|found| found.what);
        assert_eq!(found.as_deref(), expected, "{source}");
    }

    #[test]
    fn known_names_and_plain_operators_are_no_misuse() {
        for source in [
            "body.a | lower == 'x' and body.b is defined",
            "body.a is not mapping or (status in (200, 201))",
            "not (a) and ('x|y is z' == b)",
            "a | default(b | lower)",
            "body.is.filter",
            "'it\\'s | nothing' == a",
            "1 if (a) else (2)",
        ] {
            check(source, None);
        }
    }

    #[test]
    fn unknown_names_and_calls_are_found_wherever_they_stand() {
        check("false and a | lwoer", Some("there is no filter \"lwoer\""));
        check("a is not defned", Some("there is no test \"defned\""));
        check("range(10)", Some("\"range\" is called, and there is nothing to call"));
        check("a.upper()", Some("\"upper\" is called, and there is nothing to call"));
    }
}
