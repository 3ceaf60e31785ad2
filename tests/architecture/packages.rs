//! Outside packages: each has a home, so that replacing one touches one place.

use std::collections::BTreeSet;

use super::hold;
use super::scan::paths;
use super::source::{files_in, root};

/// Words that the whole program speaks.
const VOCABULARY: &[&str] =
    &["bytes", "http", "serde", "serde_json", "thiserror", "tokio", "tracing", "smallvec", "fastrand", "base64"];

/// Package and the only modules that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["app"]),
    ("arc-swap", &["auth", "snapshot", "tls", "reload", "proxy"]),
    ("aws-lc-rs", &["admin", "auth", "config", "payments", "tls"]),
    ("axum", &["admin"]),
    ("clap", &["app"]),
    ("csv", &["app"]),
    ("h2", &["proxy"]),
    ("hashbrown", &["routing"]),
    ("http-body", &["client", "proxy"]),
    ("http-body-util", &["admin", "app", "client", "payments", "proxy", "reload"]),
    ("httparse", &["proxy"]),
    ("hyper", &["admin", "app", "client", "payments"]),
    ("hyper-util", &["admin", "app", "client", "payments"]),
    ("ipnet", &["config", "proxy", "snapshot"]),
    ("jiff", &["clock"]),
    ("memchr", &["proxy", "routing"]),
    ("minijinja", &["payments"]),
    ("notify", &["reload"]),
    ("pingora-timeout", &["proxy"]),
    ("prometheus", &["telemetry"]),
    ("rusqlite", &["payments"]),
    // Calls of the system that the standard library lacks: one for descriptors, one for the ledger's files.
    ("rustix", &["app", "payments"]),
    ("rustls", &["tls"]),
    ("rustls-native-certs", &["tls"]),
    // `payments` reads one file with it: the built-in adapter, which is a file like any other.
    ("serde-saphyr", &["config", "payments"]),
    ("slab", &["proxy"]),
    ("socket2", &["proxy"]),
    ("TinyUFO", &["auth"]),
    ("tokio-postgres", &["payments"]),
    ("tokio-rustls", &["client", "payments", "proxy", "tls"]),
    ("tokio-util", &["proxy"]),
    ("tower", &["client"]),
    ("tracing-subscriber", &["telemetry", "app"]),
    ("yaml-edit", &["reload"]),
];

/// Names in a section of `Cargo.toml`, as written there.
fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside
            && !line.starts_with('#')
            && let Some((name, _)) = line.split_once('=')
        {
            found.insert(name.trim().to_owned());
        }
    }
    found
}

/// A package as code names it.
fn crate_name(package: &str) -> String {
    package.replace('-', "_").to_ascii_lowercase()
}

#[test]
fn outside_packages_are_named_only_at_home() {
    let mut violations = Vec::new();
    let mut used = BTreeSet::new();
    for file in files_in("src") {
        let module = file.module().first().cloned().unwrap_or_else(|| "app".into());
        for path in paths(&file.scan.tokens) {
            let first = &path.segments[0];
            let Some((package, homes)) = HOMES.iter().find(|(package, _)| crate_name(package) == *first) else {
                continue;
            };
            used.insert(*package);
            if !homes.contains(&module.as_str()) {
                violations.push(format!("{}:{}: `{package}` lives only in {homes:?}", file.path, path.line));
            }
        }
    }
    for (package, _) in HOMES {
        if !used.contains(package) {
            violations.push(format!("Cargo.toml: nobody uses `{package}`: take it out there and in HOMES"));
        }
    }
    violations.dedup();
    hold("an outside package is named only in its home (tests/architecture/packages.rs)", &violations);
}

#[test]
fn every_dependency_has_a_home_or_is_vocabulary() {
    let listed: Vec<&str> = HOMES.iter().map(|(package, _)| *package).chain(VOCABULARY.iter().copied()).collect();
    let mut violations = Vec::new();
    let declared = dependencies();
    assert!(declared.contains("tokio"), "the manifest was not understood");
    for package in &declared {
        if !listed.contains(&package.as_str()) {
            violations.push(format!("Cargo.toml: `{package}` has no home: add it to HOMES, and say why in the commit"));
        }
    }
    for package in &listed {
        if !declared.contains(*package) {
            violations.push(format!("tests/architecture/packages.rs: `{package}` is no dependency"));
        }
    }
    hold("every dependency is accounted for", &violations);
}
