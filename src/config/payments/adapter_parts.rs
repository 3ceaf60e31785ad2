//! The readable parts of an adapter's file whose shape is wrong, so that the mistakes in its templates and tables are
//! said in the same run. What can't be read is left out, or stands there as something that leads to no mistake: nobody is
//! told that a thing is missing which they have written.

use serde::Deserialize as _;
use serde_json::{Map, Value as Json, json};

use crate::payments::adapter::Draft;

/// The adapter that the sound parts make; `None` where what is left would lead to mistakes that are none.
pub(super) fn readable(file: Json) -> Option<Draft> {
    let Json::Object(mut file) = file else { return None };
    let credentials_are_sound = file.get("credentials").is_none_or(|written| reads("credentials", written));
    let Some(Json::Object(operations)) = file.get_mut("operations") else { return None };
    operations.retain(|name, operation| make_readable(name, operation));
    file.retain(|name, part| reads(name, part));
    file.entry("description").or_insert_with(|| "".into());
    // Each use of a credential would be one that is not listed.
    if credentials_are_sound { serde_json::from_value(Json::Object(file)).ok() } else { None }
}

fn reads(name: &str, part: &Json) -> bool {
    let mut alone = json!({"description": "", "operations": {}});
    alone[name] = part.clone();
    Draft::deserialize(alone).is_ok()
}

/// Replaces a request and rules that can't be read; false if that is not enough.
fn make_readable(name: &str, operation: &mut Json) -> bool {
    let reads = |part: &str, value: Json| {
        let operation = Map::from_iter([(part.to_owned(), value)]);
        reads("operations", &json!({ name: operation }))
    };
    if let Some(request) = operation.get_mut("request")
        && !reads("request", request.clone())
    {
        *request = json!({"method": "DELETE", "path": "/{{ order_reference }}"});
    }
    for rule in operation.get_mut("classify").and_then(Json::as_array_mut).into_iter().flatten() {
        if !reads("classify", json!([rule])) {
            *rule = json!({"when": "false", "as": "unknown"});
        }
    }
    let Json::Object(parts) = operation else { return false };
    parts.iter().all(|(part, value)| reads(part, value.clone()))
}
