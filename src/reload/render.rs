//! A JSON value as the YAML that a careful person would write on one line.

use serde_json::Value;

/// Words that some YAML readers take for a boolean or nothing, so they are quoted where text is meant.
const AMBIGUOUS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Flow style; every text reads back as the same text in any YAML reader.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let pairs = entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Text, quoted only where it must be.
fn scalar(text: &str) -> String {
    let starts_as_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let plain_inside = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let ambiguous = AMBIGUOUS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if starts_as_word && !ambiguous && text.chars().all(plain_inside) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line separators and byte-order marks end lines or vanish in some readers.
            c if c.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_what_a_person_would() {
        let rules = json!([{"when": {"claim.role": ["staff", "on"]}, "serve": "new"}]);
        assert_eq!(flow(&rules), r#"[{when: {claim.role: [staff, "on"]}, serve: new}]"#);
        assert_eq!(
            flow(&json!({"plain": 50, "bold": 12.5, "x": true, "y": null})),
            r#"{plain: 50, bold: 12.5, x: true, "y": null}"#
        );
    }

    #[test]
    fn quotes_what_could_be_read_as_something_else() {
        for text in ["", "12", "off", "No", "~", "2027-03-31", "a: b", "a #b", "- a", "*a", "é", "{", "null", "0x1"] {
            assert!(flow(&json!(text)).starts_with('"'), "{text}");
        }
        assert_eq!(flow(&json!("claim:tier")), "\"claim:tier\"");
        assert_eq!(flow(&json!("a\"b\\c\n\u{85}\u{2028}")), r#""a\"b\\c\n\u0085\u2028""#);
    }
}
