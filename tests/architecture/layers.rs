//! The layers: a module imports only from lower ones.

use super::hold;
use super::scan::{Path, paths};
use super::source::{SourceFile, files_in};

/// Lowest first. `tls` and `client` joined the table with ADR 0005, `simulator` with ADR 0009.
const LAYERS: &[&[&str]] = &[
    &["types", "units", "clock", "problem", "tls"],
    &["flags", "routing", "auth", "resilience", "telemetry", "client", "simulator"],
    &["filters", "payments", "migration"],
    &["snapshot"],
    &["config"],
    &["proxy", "reload"],
    &["admin"],
    &["app"],
];

/// Modules of the table that do not exist yet; each names the issue that brings it.
const NOT_YET: &[(&str, &str)] = &[("migration", "shadowing, parity and guard come with their own issue")];

/// A sibling that any module from layer 1 up may use: it observes and decides nothing.
const USED_BY_ALL: &str = "telemetry";

/// Only these may see what the user wrote; everybody else works on the snapshot.
const MAY_IMPORT_CONFIG: &[&str] = &["reload", "app"];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The top-level module that a path leads to, if it leads into this package.
fn target(file: &SourceFile, path: &Path) -> Option<String> {
    let first = path.segments.first()?;
    if first == "crate" || first == "figway" {
        return path.segments.get(1).cloned();
    }
    let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
    if ups == 0 {
        return None;
    }
    let mut module = file.module();
    module.extend(path.within.iter().cloned());
    if ups >= module.len() { path.segments.get(ups).cloned() } else { module.first().cloned() }
}

/// Why `importer` may not import `imported`; `None` if it may.
fn objection(importer: &str, imported: &str) -> Option<String> {
    if importer == imported {
        return None;
    }
    let (Some(own), Some(other)) = (layer(importer), layer(imported)) else {
        return Some(format!("`{imported}` or `{importer}` stands in no layer: add it to LAYERS, with an ADR"));
    };
    if imported == "config" && !MAY_IMPORT_CONFIG.contains(&importer) {
        return Some(format!("`{importer}` imports `config`; only {MAY_IMPORT_CONFIG:?} may, use the snapshot"));
    }
    if imported == USED_BY_ALL && own >= 1 || other < own {
        return None;
    }
    let relation = if other == own { "of the same layer" } else { "of a higher layer" };
    Some(format!("`{importer}` (layer {own}) imports `{imported}` (layer {other}), a module {relation}"))
}

#[test]
fn modules_import_only_from_lower_layers() {
    let mut violations = Vec::new();
    for file in files_in("src") {
        let importer = match file.path.as_str() {
            "src/lib.rs" => continue,
            "src/main.rs" => "app".to_owned(),
            _ => file.module()[0].clone(),
        };
        for path in paths(&file.scan.tokens) {
            let Some(imported) = target(&file, &path) else { continue };
            if file.path == "src/main.rs" && imported != "app" {
                violations.push(format!("{}:{}: main.rs knows only `app`", file.path, path.line));
            } else if let Some(why) = objection(&importer, &imported) {
                violations.push(format!("{}:{}: {why}", file.path, path.line));
            }
        }
    }
    violations.dedup();
    hold("a module imports only from lower layers (ARCHITECTURE.md)", &violations);
}

#[test]
fn the_table_and_the_source_name_the_same_modules() {
    let library = files_in("src").into_iter().find(|file| file.path == "src/lib.rs").expect("src/lib.rs");
    let mut declared = Vec::new();
    for window in library.scan.tokens.windows(3) {
        if window[0].text == "mod" && window[2].text == ";" {
            declared.push((window[1].text.clone(), window[1].line));
        }
    }
    let mut violations = Vec::new();
    for (module, line) in &declared {
        if layer(module).is_none() {
            violations.push(format!("src/lib.rs:{line}: `{module}` stands in no layer: add it to LAYERS, with an ADR"));
        }
        if NOT_YET.iter().any(|(name, _)| name == module) {
            violations.push(format!("src/lib.rs:{line}: `{module}` exists now: take it out of NOT_YET"));
        }
    }
    for module in LAYERS.iter().flat_map(|modules| modules.iter()) {
        let exists = declared.iter().any(|(name, _)| name == module);
        if !exists && !NOT_YET.iter().any(|(name, _)| name == module) {
            violations.push(format!("src/lib.rs:1: layer table names `{module}`, which does not exist"));
        }
    }
    hold("the layer table is complete", &violations);
}

#[test]
fn the_rule_itself_tells_right_from_wrong() {
    for (importer, imported) in
        [("app", "config"), ("proxy", "flags"), ("auth", "telemetry"), ("config", "snapshot"), ("flags", "flags")]
    {
        assert_eq!(objection(importer, imported), None, "{importer} → {imported}");
    }
    for (importer, imported) in
        [("flags", "config"), ("proxy", "reload"), ("admin", "config"), ("types", "telemetry"), ("snapshot", "admin")]
    {
        assert!(objection(importer, imported).is_some(), "{importer} → {imported}");
    }
}

#[test]
fn climbing_out_of_a_module_counts_as_an_import() {
    let file =
        |path: &str, text: &str| SourceFile { path: path.into(), text: text.into(), scan: super::scan::scan(text) };
    let check = |path: &str, text: &str, expected: Option<&str>| {
        let file = file(path, text);
        let found = paths(&file.scan.tokens);
        assert_eq!(target(&file, &found[0]).as_deref(), expected, "{text} in {path}");
    };
    check("src/flags/mod.rs", "use super::config::load;", Some("config"));
    check("src/flags/bucket.rs", "use super::Flag;", Some("flags"));
    check("src/flags/bucket.rs", "use super::super::auth::Issuer;", Some("auth"));
    check("src/flags/bucket.rs", "mod tests { use super::*; }", Some("flags"));
    check("src/clock.rs", "use std::time::Duration;", None);
}
