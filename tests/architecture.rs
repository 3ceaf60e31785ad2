//! Holds the architecture: who may import whom, where each outside package lives, and what a source file looks like.
//!
//! Reads `src/` as text, so a broken rule shows here before a reviewer has to see it. The reasons behind the tables stand in
//! `ARCHITECTURE.md` and `docs/adr/`. Every failure names file, line, rule and mend.

#[path = "architecture/interfaces.rs"]
mod interfaces;
#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/packages.rs"]
mod packages;
#[path = "architecture/scan.rs"]
mod scan;
#[path = "architecture/source.rs"]
mod source;

/// Fails with every violation at once, one a line.
fn hold(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "\n{rule}\n  {}\n", violations.join("\n  "));
}
