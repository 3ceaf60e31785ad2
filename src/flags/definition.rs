//! A flag as JSON: the definition that its file holds, with the same keys.

use serde_json::{Map, Value, json};

use super::{Flag, Kind, Rule, StickyBy, format_percent};

impl Flag {
    /// The definition, with the keys of the YAML file; `config` accepts it again and makes an equal flag of it.
    ///
    /// Keys that the flag does not set (`description`, `owner`, `expires`, `salt`) are left out;
    /// `rules` and `killed` are always there.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut definition = Map::new();
        let mut put = |key: &str, value: Value| definition.insert(key.to_owned(), value);
        put("kind", self.kind.as_str().into());
        for (key, text) in [("description", &self.description), ("owner", &self.owner), ("expires", &self.expires)] {
            if let Some(text) = text {
                put(key, text.as_str().into());
            }
        }
        match &self.kind {
            Kind::Migration { stage, percent } => {
                put("stage", stage.as_str().into());
                put("percent", percent_number(*percent));
            }
            Kind::Switch { on } => {
                put("state", if *on { "on" } else { "off" }.into());
            }
            Kind::Split(split) => {
                let names = split.names().iter().map(ToString::to_string);
                put(
                    "variants",
                    names.zip(split.weights().iter().map(|&weight| weight.into())).collect::<Map<_, _>>().into(),
                );
            }
        }
        // A switch has no percentage, so what nobody wrote there is not shown there either.
        if !matches!(self.kind, Kind::Switch { .. }) || self.sticky_by != StickyBy::User {
            put("sticky_by", self.sticky_by.to_string().into());
        }
        if self.salt != self.key.as_str() {
            put("salt", self.salt.as_str().into());
        }
        put("rules", self.rules.iter().map(|rule| self.rule_json(rule)).collect());
        put("killed", self.killed.into());
        definition.into()
    }

    fn rule_json(&self, rule: &Rule) -> Value {
        let when: Map<String, Value> = rule
            .when
            .iter()
            .map(|condition| (condition.attribute.to_string(), condition.any_of.clone().into()))
            .collect();
        json!({"when": when, "serve": self.variants()[rule.serve].as_str()})
    }
}

/// The percentage as the JSON number that a person would write: 10, 12.5, 0.01.
fn percent_number(hundredths: u16) -> Value {
    serde_json::from_str(&format_percent(hundredths)).expect("a percentage is a JSON number")
}
