//! JSON Schema (2020-12) of every file, printed from the same tables that validate them.
//!
//! For editors: it says what a schema can say well. Ranges of durations, names that must exist and the
//! like are left to `check`.

use serde_json::{Map, Value, json};

use super::flags::FLAG_FILE;
use super::payments::ADAPTER_FILE;
use super::shape::{Presence, Section, Shape};
use super::whole::CONFIG;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// `${NAME}` may stand for a value of any type, in the config file.
const VARIABLE: &str = "\\$\\{.+\\}";

/// Whether the file's values are expanded from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variables {
    Expanded,
    Plain,
}

/// The config file.
#[must_use]
pub fn config() -> Value {
    document("Figway config file", &CONFIG, Variables::Expanded)
}

/// A flag file.
#[must_use]
pub fn flags() -> Value {
    document("Figway flag file", &FLAG_FILE, Variables::Plain)
}

/// An adapter's file, as `payments.providers[].adapter` names it.
#[must_use]
pub fn provider() -> Value {
    document("Figway payment adapter", &ADAPTER_FILE, Variables::Plain)
}

fn document(title: &str, shape: &Shape, variables: Variables) -> Value {
    let mut document = Map::new();
    document.insert("$schema".into(), DIALECT.into());
    document.insert("title".into(), title.into());
    if let Value::Object(body) = variables.schema(shape) {
        document.extend(body);
    }
    document.into()
}

impl Variables {
    fn schema(self, shape: &Shape) -> Value {
        match shape {
            Shape::Text(format) => match format.pattern {
                Some(pattern) => self.text(pattern, format.name),
                None => json!({"type": "string", "description": format.name}),
            },
            Shape::Any => json!({}),
            Shape::Scalar => json!({"type": ["string", "number", "boolean"]}),
            Shape::Bool => self.or(json!({"type": "boolean"})),
            Shape::Integer { min, max } => self.or(json!({"type": "integer", "minimum": min, "maximum": max})),
            Shape::Percent => self.or(json!({"type": "number", "minimum": 0, "maximum": 100})),
            Shape::Duration { .. } => self.text("^[0-9]+ *(ms|s|m|h|d)$", "a duration such as 250ms, 2s or 5m"),
            Shape::Size { .. } => self.text("^[0-9]+ *(B|KiB|MiB|GiB)$", "a size such as 64KiB or 10MiB"),
            Shape::Choice { options, .. } => self.or(json!({"enum": options})),
            Shape::List { of, min } => json!({"type": "array", "items": self.schema(of), "minItems": min}),
            Shape::Section(section) => self.section(section, None),
            Shape::Table { keys, values, min } => {
                let names = keys.pattern.map_or(json!(true), |pattern| json!({"pattern": pattern}));
                let values = self.schema(values);
                json!({"type": "object", "propertyNames": names, "additionalProperties": values, "minProperties": min})
            }
            Shape::Tagged { tag, doc, variants } => {
                let variants = variants.iter().map(|(name, section)| self.section(section, Some((tag, name))));
                json!({"description": doc, "oneOf": variants.collect::<Vec<_>>()})
            }
            Shape::AnyOf(shapes) => json!({"anyOf": shapes.iter().map(|shape| self.schema(shape)).collect::<Vec<_>>()}),
        }
    }

    fn text(self, pattern: &str, description: &str) -> Value {
        let pattern = match self {
            Self::Expanded => format!("{pattern}|{VARIABLE}"),
            Self::Plain => pattern.to_owned(),
        };
        json!({"type": "string", "description": description, "pattern": pattern})
    }

    fn or(self, typed: Value) -> Value {
        match self {
            Self::Expanded => json!({"anyOf": [typed, {"type": "string", "pattern": VARIABLE}]}),
            Self::Plain => typed,
        }
    }

    fn section(self, section: &Section, tag: Option<(&str, &str)>) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in section.fields {
            let mut property = match tag {
                Some((key, name)) if key == field.key => json!({"const": name}),
                _ => self.schema(&field.shape),
            };
            let doc = match field.presence {
                Presence::Required => {
                    required.push(field.key);
                    field.doc.to_owned()
                }
                Presence::Optional => field.doc.to_owned(),
                // As it would be written, which is not always JSON: in words, not as `default`.
                Presence::Default(value) => format!("{} (default: {value})", field.doc),
            };
            property["description"] = doc.into();
            properties.insert(field.key.into(), property);
        }
        // As `validate` has it: a section whose keys are all commented out reads as null.
        let may_be_empty = required.is_empty() && section.exactly_one.is_empty() && tag.is_none();
        let mut object = json!({
            "type": if may_be_empty { json!(["object", "null"]) } else { json!("object") },
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_keys_and_known_words_are_said() {
        let config = config();
        assert_eq!(config["required"], json!(["server", "backends", "routes"]));
        assert_eq!(config["additionalProperties"], false);
        let route = &config["properties"]["routes"]["items"];
        assert_eq!(route["required"], json!(["name", "path"]));
        assert_eq!(route["oneOf"], json!([{"required": ["backend"]}, {"required": ["flag"]}]));
        assert_eq!(route["properties"]["auth"]["anyOf"][0]["enum"], json!(["required", "optional", "none"]));
    }

    #[test]
    fn what_is_not_in_this_version_is_not_in_the_schema() {
        let stages = &flags()["additionalProperties"]["oneOf"][0]["properties"]["stage"]["enum"];
        assert_eq!(*stages, json!(["legacy", "canary", "new", "retired"]));
    }

    #[test]
    fn a_section_whose_keys_are_all_commented_out_is_in_the_schema_what_it_is_in_the_check() {
        let properties = &config()["properties"];
        assert_eq!(properties["state"]["type"], json!(["object", "null"]));
        assert_eq!(properties["server"]["properties"]["limits"]["type"], json!(["object", "null"]));
        for demanding in ["server", "flags", "payments"] {
            assert_eq!(properties[demanding]["type"], "object", "{demanding} has a key that must be there");
        }
    }

    #[test]
    fn only_the_config_file_takes_variables() {
        assert!(config().to_string().contains(r"\\$\\{"));
        assert!(!flags().to_string().contains(r"\\$\\{"));
        assert!(!provider().to_string().contains(r"\\$\\{"));
    }
}
