//! Every YAML example of the documentation is loaded.
//!
//! The info string of a fenced block says what it is:
//! - `yaml config` is a config file, or some sections of one; sections that it must have and doesn't
//!   are filled in, and so are the files that it names;
//! - `yaml flags` is a flag file;
//! - `yaml adapter` is a payment provider's adapter, and `yaml adapter part` are some lines of it, as they stand there;
//! - `yaml config refused` and `yaml flags refused` show a mistake, and must be refused.
//!
//! Any other block that begins with `yaml` fails the test: an example that nobody loads rots.

use std::fs;

use figway::config::{Kept, load};
use figway::snapshot::Severity;

use super::{Block, hold, pages, root};

/// What stands for the sections that a fragment leaves out.
const OTHERWISE: [(&str, &str); 3] = [
    ("server", "server: {listen: [\"127.0.0.1:0\"]}\n"),
    ("backends", "backends: {monolith: {endpoints: [\"127.0.0.1:1\"]}}\n"),
    ("routes", "routes: [{name: fill-in, path: /fill-in, auth: none, backend: monolith}]\n"),
];

/// A provider that speaks the example.
const SPEAKS_ACME: &str = "payments:
  path: /pay
  auth: none
  ledger: {embedded: payments.db}
  providers:
    - {name: acme, adapter: providers/acme.yaml, base_url: \"http://127.0.0.1:1\", weight: 1,
       credentials: {api_key: {file: secrets/acme-api}, signing_key: {file: secrets/acme-signing}}}
";

/// The whole adapters that pages show.
fn adapters() -> Vec<String> {
    let of = |page: super::Page| {
        page.blocks()
            .into_iter()
            .filter(|block| block.info == "yaml adapter")
            .map(|block| block.text)
            .collect::<Vec<_>>()
    };
    pages().into_iter().flat_map(of).collect()
}

/// A folder with the example as `config/gateway.yaml` or as a flag file, and with what the examples name.
fn stage(block: &Block<'_>) -> tempfile::TempDir {
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
    let adapter = if block.info == "yaml adapter" { block.text.clone() } else { adapters().remove(0) };
    write("config/providers/acme.yaml", adapter.as_bytes());
    for (name, secret) in [
        ("alice", "alice-0123456789"),
        ("bob", "bob-0123456789ab"),
        ("ci", "ci-0123456789abc"),
        ("acme-api", "acme-0123456789a"),
        ("acme-signing", "acme-0123456789b"),
        ("alpha-webhook", "whsec_0123456789"),
    ] {
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
        config.push_str(if block.info == "yaml adapter" { SPEAKS_ACME } else { &block.text });
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

/// Everything for which the example is refused.
fn errors(block: &Block<'_>) -> Vec<String> {
    let folder = stage(block);
    let loaded = load(&folder.path().join("config/gateway.yaml"), &Kept::default());
    // The pages' adapter shows an answer for each of its rules.
    let wrong = loaded.diagnostics.iter().filter(|one| {
        one.severity == Severity::Error || block.info == "yaml adapter" && one.message.contains("no example")
    });
    wrong.map(ToString::to_string).collect()
}

#[test]
fn every_yaml_example_is_loaded() {
    let (mut violations, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.info.starts_with("yaml")) {
            seen += 1;
            let complaints = match block.info {
                "yaml config" | "yaml flags" | "yaml adapter" => errors(block),
                "yaml adapter part" if adapters().iter().any(|whole| whole.contains(&block.text)) => Vec::new(),
                "yaml config refused" | "yaml flags refused" if errors(block).is_empty() => {
                    vec!["is accepted, and should be refused".to_owned()]
                }
                "yaml config refused" | "yaml flags refused" => Vec::new(),
                other => vec![format!("```{other}: say what it is, e.g. ```yaml config")],
            };
            violations.extend(complaints.iter().map(|what| format!("{}:{}: {what}", page.name(), block.line)));
        }
    }
    assert!(seen > 0, "no YAML example found: this test would prove nothing");
    hold(&violations);
}

#[test]
fn a_wrong_example_is_found() {
    let count = |info, text: &str| errors(&Block { info, text: text.into(), line: 1 }).len();
    assert_eq!(count("yaml config", "admin: {listen: off}\n"), 0);
    assert_eq!(count("yaml config", "admin: {listn: off}\n"), 1);
    assert_eq!(count("yaml flags", "a: {kind: switch, state: off}\n"), 0);
    assert_eq!(count("yaml flags", "a: {kind: switch, state: of}\n"), 1);
}
