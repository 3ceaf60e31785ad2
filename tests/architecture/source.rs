//! The source files themselves, and the rules on what each looks like.

use std::path::{Path, PathBuf};

use super::hold;
use super::scan::{Scan, scan};

/// Longest a file may be without standing in [`LONG_FILES`].
const MAX_LINES: usize = 500;

/// Files that may be longer, and why. Two at most; a third means that something is to be split.
const LONG_FILES: &[(&str, &str)] = &[];

/// One source file, read and scanned.
pub(crate) struct SourceFile {
    /// From the package's root, with forward slashes, e.g. `src/flags/mod.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) scan: Scan,
}

impl SourceFile {
    /// Module path within the library: `["flags", "bucket"]`; empty for `lib.rs` and `main.rs`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        match inner {
            "lib" | "main" => Vec::new(),
            inner => inner.split('/').map(str::to_owned).collect(),
        }
    }
}

/// The package's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the package.
pub(crate) fn files_in(folder: &str) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no Rust files in {folder}: these tests would prove nothing");
    paths.iter().map(|path| read(path)).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let relative = path.strip_prefix(root()).expect("below the root");
    SourceFile { path: relative.to_string_lossy().replace('\\', "/"), scan: scan(&text), text }
}

#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    let mut violations = Vec::new();
    for file in files_in("src").into_iter().chain(files_in("tests")) {
        // Tests beside the code say it by their name.
        if !file.text.starts_with("//! ") && !file.path.ends_with("tests.rs") {
            violations.push(format!("{}:1: begin with `//! ` and say what the file is for", file.path));
        }
    }
    hold("a file states its purpose first", &violations);
}

#[test]
fn files_stay_short_enough_to_be_read_in_one_go() {
    assert!(LONG_FILES.len() <= 2, "at most two files may be exceptions; split something");
    let mut violations = Vec::new();
    for file in files_in("src").into_iter().chain(files_in("tests")) {
        let lines = file.text.lines().count();
        let reason = LONG_FILES.iter().find(|(path, _)| *path == file.path);
        match (lines > MAX_LINES, reason) {
            (true, None) => violations.push(format!(
                "{}:{lines}: {lines} lines, {MAX_LINES} are allowed: which ideas live in it? One file each",
                file.path
            )),
            (false, Some(_)) => violations
                .push(format!("{}:1: no longer too long: take it out of LONG_FILES in tests/architecture", file.path)),
            _ => {}
        }
    }
    for (path, reason) in LONG_FILES {
        if reason.is_empty() || !root().join(path).exists() {
            violations.push(format!("{path}:1: an exception needs a file and a reason"));
        }
    }
    hold("a file has at most 500 lines", &violations);
}

#[test]
fn no_code_is_left_to_be_written() {
    let mut violations = Vec::new();
    for file in files_in("src") {
        let tokens = &file.scan.tokens;
        for pair in tokens.windows(2) {
            if pair[1].text == "!" && matches!(pair[0].text.as_str(), "todo" | "unimplemented" | "dbg") {
                violations.push(format!("{}:{}: `{}!` in code", file.path, pair[0].line, pair[0].text));
            }
        }
    }
    hold("what is in the code works", &violations);
}
