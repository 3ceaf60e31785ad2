//! What others rely on: names of metrics, codes of errors, keys of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use figway::config::schema;
use figway::problem::Code;
use serde_json::Value;

use super::hold;
use super::source::{files_in, root};

/// Last words of a metric's name: base units, counters' `total`, and what a plain gauge holds.
const UNITS: &[&str] = &["seconds", "bytes", "ratio", "total", "count", "number", "requests", "success"];

/// Why a metric's name is not acceptable; `None` if it is.
fn metric_objection(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split('_').collect();
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !words.iter().all(plain) {
        return Some(format!("`{name}`: lower-case words joined by single underscores"));
    }
    let unit = words.last().copied().unwrap_or_default();
    if words.len() < 3 || !UNITS.contains(&unit) {
        return Some(format!("`{name}`: figway_<noun>_<unit>, ending in one of {UNITS:?}"));
    }
    None
}

#[test]
fn metrics_are_named_by_noun_and_unit() {
    let mut violations = Vec::new();
    let mut seen = 0;
    for file in files_in("src").into_iter().filter(|file| file.path.starts_with("src/telemetry/")) {
        for (line, text) in &file.scan.strings {
            if text.starts_with("figway_") {
                seen += 1;
                // A test may quote a whole sample: `figway_requests_total{route="orders"} 1`.
                let name = text.split('{').next().unwrap_or(text);
                violations.extend(metric_objection(name).map(|why| format!("{}:{line}: {why}", file.path)));
            }
        }
    }
    assert!(seen > 0, "no metric found in src/telemetry: this test would prove nothing");
    hold("a metric is named figway_<noun>_<unit>", &violations);
}

#[test]
fn the_metric_rule_tells_right_from_wrong() {
    for name in ["figway_request_duration_seconds", "figway_requests_total", "figway_config_last_reload_success"] {
        assert_eq!(metric_objection(name), None);
    }
    for name in ["figway_requests", "figway_RequestsTotal", "figway__total", "figway_latency_ms"] {
        assert!(metric_objection(name).is_some(), "{name}");
    }
}

/// Words of `src/config/shape.rs` that declare a key.
const DECLARE: &[&str] = &["required", "optional", "default", "later"];
/// Endings of the methods by which sections read a key.
const READ: &[&str] = &["get", "_of"];

/// Keys that nothing reads, and why that is no oversight.
const NOT_READ: &[(&str, &str)] = &[("on_unknown", "has one value in this version; validation refuses every other")];

/// Every property name of a JSON Schema, with whether it has a description.
fn properties(schema: &Value, found: &mut BTreeMap<String, bool>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                for (name, property) in properties {
                    let described = property["description"].as_str().is_some_and(|text| !text.is_empty());
                    let all = found.entry(name.clone()).or_insert(true);
                    *all &= described;
                }
            }
            members.values().for_each(|member| properties(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

#[test]
fn every_config_key_stands_in_a_schema_and_is_read() {
    let mut known = BTreeMap::new();
    for schema in [schema::config(), schema::flags()] {
        properties(&schema, &mut known);
    }
    assert!(known.contains_key("listen"), "the schema was not understood");
    let mut violations: Vec<String> = known
        .iter()
        .filter(|(_, described)| !**described)
        .map(|(key, _)| format!("src/config: the schema says nothing about `{key}`: describe it"))
        .collect();

    let mut mentioned = BTreeSet::new();
    for file in files_in("src/config").into_iter().filter(|file| !file.path.ends_with("tests.rs")) {
        for window in file.scan.tokens.windows(3) {
            let Some(key) = window[2].text.strip_prefix('"') else { continue };
            let call = if window[1].text == "(" { window[0].text.as_str() } else { "" };
            if DECLARE.contains(&call) {
                continue;
            }
            mentioned.insert(key.to_owned());
            if READ.iter().any(|ending| call.ends_with(ending)) && !known.contains_key(key) {
                let line = window[2].line;
                violations.push(format!("{}:{line}: `{key}` is read and stands in no schema: declare it", file.path));
            }
        }
    }
    let excused = |key: &str| NOT_READ.iter().any(|(known, _)| *known == key);
    let ignored = known.keys().filter(|key| !mentioned.contains(*key) && !excused(key));
    violations
        .extend(ignored.map(|key| format!("src/config: `{key}` is accepted and never read: use it or refuse it")));
    hold("a config key is declared, described and used", &violations);
}

#[test]
fn every_key_of_an_adapter_stands_in_its_schema_and_is_read() {
    let mut known = BTreeMap::new();
    properties(&schema::provider(), &mut known);
    assert!(known.contains_key("classify"), "the schema was not understood");
    let drafts: Vec<_> =
        files_in("src").into_iter().filter(|file| file.path.starts_with("src/payments/adapter/draft")).collect();
    let mut violations = Vec::new();
    for (key, described) in known {
        if !described {
            violations.push(format!("src/config/payments/adapter_file.rs: the schema says nothing about `{key}`"));
        }
        // A field, or the name of a field that is no word of the language.
        let field = |window: &[super::scan::Token]| window[0].text == key && window[1].text == ":";
        let read = drafts.iter().any(|file| {
            file.scan.tokens.windows(2).any(field) || file.scan.strings.iter().any(|(_, text)| *text == key)
        });
        let variant = matches!(key.as_str(), "basic" | "bearer") || figway::payments::Operation::parse(&key).is_some();
        if !read && !variant {
            violations.push(format!("src/payments/adapter/draft.rs: `{key}` is accepted and never read"));
        }
    }
    hold("a key of an adapter is declared, described and used", &violations);
}

#[test]
fn every_error_code_is_explained() {
    let page = std::fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md");
    let mut violations = Vec::new();
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status());
        if !page.contains(&row) {
            violations
                .push(format!("docs/errors.md: a row that begins `{row}` with meaning and what to do is missing"));
        }
    }
    for (number, line) in page.lines().enumerate() {
        let Some(code) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else { continue };
        if !Code::ALL.iter().any(|known| known.as_str() == code) {
            violations.push(format!("docs/errors.md:{}: `{code}` is not a code of src/problem.rs", number + 1));
        }
    }
    hold("every code a client may see is explained in docs/errors.md", &violations);
}
