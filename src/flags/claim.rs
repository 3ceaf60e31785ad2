//! A claim's value as the texts that conditions and percentages compare.

use serde_json::Value;

/// Calls `visit` with a claim's value as text: elements of an array one by one; objects and null have none.
pub fn visit_claim(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Bool(flag) => visit(if *flag { "true" } else { "false" }),
        Value::Number(number) => visit(&number.to_string()),
        Value::Array(elements) => {
            for element in elements.iter().filter(|element| !element.is_array()) {
                visit_claim(element, visit);
            }
        }
        Value::Object(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_are_visited_element_by_element() {
        let mut seen = Vec::new();
        visit_claim(&json!(["a", 7, true, null, {"b": 1}, ["nested"]]), &mut |text| seen.push(text.to_owned()));
        assert_eq!(seen, ["a", "7", "true"]);
    }
}
