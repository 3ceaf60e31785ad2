//! Every YAML example of the repository is loaded: the sample configuration, and what the documentation shows.
//!
//! In Markdown, the info string of a fenced block says what it is:
//! - `yaml config` is a config file, or some sections of one; sections that it must have and doesn't
//!   are filled in, and so are the files that it names;
//! - `yaml flags` is a flag file;
//! - `yaml config refused` and `yaml flags refused` show a mistake, and must be refused.
//!
//! Any other block that begins with `yaml` fails the test: an example that nobody loads rots.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use figway::config::{Kept, Loaded, load, schema};
use figway::snapshot::Severity;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn problems(loaded: &Loaded, severity: Severity) -> Vec<String> {
    loaded.diagnostics.iter().filter(|one| one.severity == severity).map(ToString::to_string).collect()
}

#[test]
fn the_sample_configuration_is_sound_and_draws_no_warning() {
    let loaded = load(&root().join("config/gateway.yaml"), &Kept::default());
    assert_eq!(loaded.diagnostics, []);
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

/// A fenced block: where it stands, its info string, its text.
struct Block {
    place: String,
    info: String,
    text: String,
}

fn blocks(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).expect("a page");
    let name = file.strip_prefix(root()).expect("below the root").display().to_string();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let place = format!("{name}:{}", index + 1);
                open = Some(Block { place, info: info.trim().to_owned(), text: String::new() });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// What stands for the sections that a fragment leaves out.
const OTHERWISE: [(&str, &str); 3] = [
    ("server", "server: {listen: [\"127.0.0.1:0\"]}\n"),
    ("backends", "backends: {monolith: {endpoints: [\"127.0.0.1:1\"]}}\n"),
    ("routes", "routes: [{name: fill-in, path: /fill-in, auth: none, backend: monolith}]\n"),
];

/// A folder with the example as `config/gateway.yaml` or as a flag file, and with what the examples name.
fn stage(block: &Block) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        fs::write(path, bytes).expect("write");
    };
    let certificate = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).expect("certificate");
    let (chain, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let jwks = fs::read(root().join("config/dev/jwks.json")).expect("the development key");
    for name in ["shop.pem", "internal.pem"] {
        write(&format!("config/tls/{name}"), chain.as_bytes());
    }
    write("config/tls/shop.key", key.as_bytes());
    for name in ["jwks.json", "dev/jwks.json"] {
        write(&format!("config/{name}"), &jwks);
    }
    for (name, secret) in [("alice", "alice-0123456789"), ("bob", "bob-0123456789ab"), ("ci", "ci-0123456789abc")] {
        write(&format!("config/secrets/{name}"), secret.as_bytes());
    }
    let mut config = String::new();
    if block.info.starts_with("yaml flags") {
        write("flags/example.yaml", block.text.as_bytes());
    } else {
        for entry in fs::read_dir(root().join("flags")).expect("flags") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            write(&format!("flags/{name}"), &fs::read(&path).expect("a flag file"));
        }
        config.push_str(&block.text);
    }
    let has = |config: &str, key: &str| config.lines().any(|line| line.starts_with(&format!("{key}:")));
    for (key, section) in OTHERWISE {
        if !has(&config, key) {
            config.push_str(section);
        }
    }
    if !has(&config, "flags") {
        config.push_str("flags: {dir: ../flags}\n");
    }
    write("config/gateway.yaml", config.as_bytes());
    folder
}

#[test]
fn every_yaml_example_of_the_documentation_is_loaded() {
    let mut files: Vec<_> = fs::read_dir(root())
        .expect("the root")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages(&root().join("docs"), &mut files);
    let mut wrong = Vec::new();
    let examples = files.iter().flat_map(|file| blocks(file)).filter(|block| block.info.starts_with("yaml"));
    for block in examples {
        let folder = match block.info.as_str() {
            "yaml config" | "yaml flags" | "yaml config refused" | "yaml flags refused" => stage(&block),
            other => {
                wrong.push(format!("{}: ```{other}: say what it is, e.g. ```yaml config", block.place));
                continue;
            }
        };
        let loaded = load(&folder.path().join("config/gateway.yaml"), &Kept::default());
        let errors = problems(&loaded, Severity::Error);
        if block.info.ends_with("refused") {
            if errors.is_empty() {
                wrong.push(format!("{}: is accepted, and should be refused", block.place));
            }
        } else {
            wrong.extend(errors.iter().map(|error| format!("{}: {error}", block.place)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_example_is_found() {
    let block = |info: &str, text: &str| Block { place: String::new(), info: info.into(), text: text.into() };
    let errors = |block: &Block| {
        let folder = stage(block);
        problems(&load(&folder.path().join("config/gateway.yaml"), &Kept::default()), Severity::Error).len()
    };
    assert_eq!(errors(&block("yaml config", "admin: {listen: off}\n")), 0);
    assert_eq!(errors(&block("yaml config", "admin: {listn: off}\n")), 1);
    assert_eq!(errors(&block("yaml flags", "a: {kind: switch, state: off}\n")), 0);
    assert_eq!(errors(&block("yaml flags", "a: {kind: switch, state: of}\n")), 1);
}
