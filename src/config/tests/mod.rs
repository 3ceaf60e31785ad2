//! What `load` says to each kind of mistake; one table a topic.

mod crossing;
mod files;
mod flags;
mod payments;
mod sections;

use std::path::Path;

use super::environment::Variable;
use super::{Kept, Loaded, Overlay, whole};
use crate::clock::Timestamp;
use crate::snapshot::{Diagnostic, Severity, Snapshot};

/// A folder with a config file, and whatever it names.
pub(super) struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    /// Puts the sections that `fragment` does not have below it, so that its own lines keep their numbers.
    pub(super) fn new(fragment: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let setup = Self { folder };
        let mut text = fragment.to_owned();
        for (key, section) in [
            ("server", "server: {listen: [\"127.0.0.1:0\"]}\n"),
            ("backends", "backends: {monolith: {endpoints: [\"127.0.0.1:7001\"]}}\n"),
            ("routes", "routes: [{name: all, path: \"/{*rest}\", auth: none, backend: monolith}]\n"),
        ] {
            if !fragment.lines().any(|line| line.starts_with(&format!("{key}:"))) {
                text.push_str(section);
            }
        }
        setup.file("config/gateway.yaml", &text)
    }

    /// Only these bytes, nothing added.
    pub(super) fn exactly(text: &[u8]) -> Self {
        let setup = Self { folder: tempfile::tempdir().expect("folder") };
        setup.bytes("config/gateway.yaml", text)
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.bytes(name, text.as_bytes())
    }

    pub(super) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, bytes).expect("write");
        self
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn load_with(&self, kept: &Kept) -> Loaded {
        self.load_over(kept, &Overlay::default())
    }

    pub(super) fn load_over(&self, kept: &Kept, overlay: &Overlay) -> Loaded {
        let environment = |name: &str| match name {
            "PORT" => Variable::Set("9000".into()),
            _ => Variable::Unset,
        };
        let now = Timestamp::parse("2026-11-21T00:00:00Z").expect("a moment");
        whole::load(&self.path().join("config/gateway.yaml"), kept, overlay, &environment, now)
    }

    pub(super) fn load(&self) -> Loaded {
        self.load_with(&Kept::default())
    }

    /// A snapshot without errors.
    pub(super) fn snapshot(&self) -> Snapshot {
        let loaded = self.load();
        loaded.snapshot.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }

    /// Expects exactly these errors: `line:column path` and a part of the message.
    pub(super) fn errors(&self, expected: &[(&str, &str)]) {
        self.check(Severity::Error, expected);
    }

    /// Expects exactly these warnings.
    pub(super) fn warnings(&self, expected: &[(&str, &str)]) {
        self.check(Severity::Warning, expected);
    }

    fn check(&self, severity: Severity, expected: &[(&str, &str)]) {
        let loaded = self.load();
        let found: Vec<_> = loaded.diagnostics.iter().filter(|one| one.severity == severity).map(shown).collect();
        let text = found.iter().map(|(place, message)| format!("{place} | {message}")).collect::<Vec<_>>().join("\n");
        assert_eq!(found.len(), expected.len(), "found:\n{text}");
        for ((place, message), (expected_place, part)) in found.iter().zip(expected) {
            assert_eq!(place, expected_place, "{message}");
            assert!(message.contains(part), "{place} | {message}\nlacks {part:?}");
            assert!(
                place.is_empty()
                    || message.contains('"')
                    || message.contains("missing")
                    || message.contains("all weights"),
                "quotes nothing: {message}"
            );
        }
        let failed = loaded.diagnostics.iter().any(|one| one.severity == Severity::Error);
        assert_eq!(loaded.snapshot.is_none(), failed, "a snapshot exists if and only if nothing is an error");
    }
}

fn shown(one: &Diagnostic) -> (String, String) {
    let place = if one.line == 0 { String::new() } else { format!("{}:{}", one.line, one.column) };
    let place = if one.path.is_empty() { place } else { format!("{place} {}", one.path) };
    (place, one.message.clone())
}

/// A fragment of a config file that has exactly these errors.
pub(super) fn errors(fragment: &str, expected: &[(&str, &str)]) {
    Setup::new(fragment).errors(expected);
}

/// A fragment of a config file that has exactly these warnings and no error.
pub(super) fn warnings(fragment: &str, expected: &[(&str, &str)]) {
    Setup::new(fragment).errors(&[]);
    Setup::new(fragment).warnings(expected);
}
