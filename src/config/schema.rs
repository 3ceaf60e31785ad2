//! JSON Schema (2020-12) of every file, printed from the same tables that validate them.

use serde_json::{Map, Value, json};

use super::flags::FLAG_FILE;
use super::payments::PROVIDER;
use super::shape::{Presence, Section, Shape};
use super::whole::CONFIG;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// `${NAME}` may stand for a value of any type.
const VARIABLE: &str = "\\$\\{.+\\}";

/// The config file.
#[must_use]
pub fn config() -> Value {
    document("Figway config file", &CONFIG)
}

/// A flag file.
#[must_use]
pub fn flags() -> Value {
    document("Figway flag file", &FLAG_FILE)
}

/// One entry of `payments.providers`.
#[must_use]
pub fn provider() -> Value {
    document("Figway payment provider", &Shape::Section(&PROVIDER))
}

fn document(title: &str, shape: &Shape) -> Value {
    let mut document = Map::new();
    document.insert("$schema".into(), DIALECT.into());
    document.insert("title".into(), title.into());
    if let Value::Object(body) = schema(shape) {
        document.extend(body);
    }
    document.into()
}

fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Text(format) => match format.pattern {
            Some(pattern) => {
                json!({"type": "string", "description": format.name, "pattern": format!("{pattern}|{VARIABLE}")})
            }
            None => json!({"type": "string", "description": format.name}),
        },
        Shape::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Shape::Bool => or_variable(json!({"type": "boolean"})),
        Shape::Integer { min, max } => or_variable(json!({"type": "integer", "minimum": min, "maximum": max})),
        Shape::Percent => or_variable(json!({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01})),
        Shape::Duration { .. } => json!({"type": "string", "pattern": format!("^[0-9]+ *(ms|s|m|h|d)$|{VARIABLE}")}),
        Shape::Size { .. } => json!({"type": "string", "pattern": format!("^[0-9]+ *(B|KiB|MiB|GiB)$|{VARIABLE}")}),
        Shape::Choice { options, .. } => json!({"anyOf": [{"enum": options}, variable()]}),
        Shape::List { of, min } => json!({"type": "array", "items": schema(of), "minItems": min}),
        Shape::Section(section) => section_schema(section, None),
        Shape::Table { keys, values, min } => {
            let names = keys.pattern.map(|pattern| json!({"pattern": pattern})).unwrap_or(json!(true));
            json!({"type": "object", "propertyNames": names, "additionalProperties": schema(values), "minProperties": min})
        }
        Shape::Tagged { tag, doc, variants } => {
            let variants: Vec<_> =
                variants.iter().map(|(name, section)| section_schema(section, Some((tag, name)))).collect();
            json!({"description": doc, "oneOf": variants})
        }
        Shape::AnyOf(shapes) => json!({"anyOf": shapes.iter().map(schema).collect::<Vec<_>>()}),
    }
}

fn variable() -> Value {
    json!({"type": "string", "pattern": VARIABLE})
}

fn or_variable(typed: Value) -> Value {
    json!({"anyOf": [typed, variable()]})
}

fn section_schema(section: &Section, tag: Option<(&str, &str)>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in section.fields {
        let mut property = match tag {
            Some((key, name)) if key == field.key => json!({"const": name}),
            _ => schema(&field.shape),
        };
        let doc = match field.presence {
            Presence::Required => {
                required.push(field.key);
                field.doc.to_owned()
            }
            Presence::Optional => field.doc.to_owned(),
            // As it would be written, which is not always JSON: in words, not as `default`.
            Presence::Default(value) => format!("{} (default: {value})", field.doc),
            Presence::Later(_) => continue,
        };
        property["description"] = doc.into();
        properties.insert(field.key.into(), property);
    }
    let mut object = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !section.exactly_one.is_empty() {
        object["oneOf"] = section.exactly_one.iter().map(|key| json!({"required": [key]})).collect();
    }
    object
}
