//! The sample configuration is sound, shows every key, and leads where its comments say.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use figway::config::{Kept, load, schema};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_sample_configuration_is_sound_and_draws_no_warning() {
    let loaded = load(&root().join("config/gateway.yaml"), &Kept::default());
    // A sample flag may outlive its day; that is no reason for an old version's tests to fail.
    let found: Vec<_> = loaded.diagnostics.iter().filter(|one| !one.message.contains("expired on")).collect();
    assert!(found.is_empty(), "{found:?}");
    let snapshot = loaded.snapshot.expect("no diagnostics");
    assert!(snapshot.flags.flags.len() >= 4, "{:?}", snapshot.flags.flags.keys());
    assert!(snapshot.payments.is_some());
}

#[test]
fn the_sample_routes_lead_where_their_comments_say() {
    let snapshot = load(&root().join("config/gateway.yaml"), &Kept::default()).snapshot.expect("sound");
    for (method, path, name) in [
        ("GET", "/api/v1/members/7", "member-detail"),
        ("PUT", "/api/v1/members/7", "members"),
        ("GET", "/api/v1/items", "item-list"),
        ("HEAD", "/api/v1/items/3", "item-detail"),
        ("GET", "/api/v1/items/3/reviews", "items"),
        ("POST", "/api/v1/items", "items"),
        ("GET", "/api/v1/reviews", "reviews"),
        ("POST", "/api/v1/orders", "orders"),
        ("GET", "/api/v2/orders/1/lines", "orders"),
        ("POST", "/api/v1/payments", "payments"),
        ("GET", "/api/v1/payments/p1", "payments"),
        ("GET", "/", "the-rest"),
    ] {
        let figway::routing::Lookup::Found { route, .. } = snapshot.table.lookup("localhost", path, method) else {
            panic!("{method} {path} leads nowhere");
        };
        assert_eq!(snapshot.routes[route].name.as_str(), name, "{method} {path}");
    }
}

/// Every property name of a JSON Schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_sample_files_show_every_key() {
    let flags: String = fs::read_dir(root().join("flags"))
        .expect("flags")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a flag file"))
        .collect();
    let config = fs::read_to_string(root().join("config/gateway.yaml")).expect("config/gateway.yaml");
    for (name, text, schema) in [("config/gateway.yaml", config, schema::config()), ("flags/", flags, schema::flags())]
    {
        let mut known = BTreeSet::new();
        keys(&schema, &mut known);
        assert!(known.len() > 10, "the schema of {name} was not understood");
        let missing: Vec<_> = known.iter().filter(|key| !text.contains(&format!("{key}:"))).collect();
        assert!(missing.is_empty(), "{name} does not mention {missing:?}");
    }
}
