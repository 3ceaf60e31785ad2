//! Collects everything wrong with the files, in the order a reader meets it.

use std::sync::Arc;

use super::tree::{Mistake, Position};
use crate::snapshot::{Diagnostic, Severity};

/// A file with more problems than this is not the file somebody meant to load.
const MOST: usize = 1_000;

/// A place in a file that a message is about.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) file: Arc<str>,
    pub(super) at: Position,
    pub(super) path: String,
}

impl Spot {
    /// The file as a whole.
    pub(super) fn file(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), at: Position::default(), path: String::new() }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Diagnostic>,
    left_out: usize,
    errors: usize,
    files: Vec<Arc<str>>,
}

impl Report {
    /// Files are reported in the order in which they begin.
    pub(super) fn begin(&mut self, file: &Arc<str>) {
        self.files.push(Arc::clone(file));
    }

    /// Something that must be mended.
    pub(super) fn error(&mut self, spot: &Spot, message: impl Into<String>) {
        self.errors += 1;
        self.add(Severity::Error, spot, message.into());
    }

    /// Something that is legal and worth a look.
    pub(super) fn warning(&mut self, spot: &Spot, message: impl Into<String>) {
        self.add(Severity::Warning, spot, message.into());
    }

    /// Mistakes of the reader, which knows no files.
    pub(super) fn mistakes(&mut self, file: &Arc<str>, mistakes: Vec<Mistake>) {
        for Mistake { at, message } in mistakes {
            self.error(&Spot { file: Arc::clone(file), at, path: String::new() }, message);
        }
    }

    /// Nothing may be built from these files.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// How many errors there are so far.
    pub(super) fn error_count(&self) -> usize {
        self.errors
    }

    /// Whether anything was said of this place.
    pub(super) fn is_said(&self, spot: &Spot) -> bool {
        self.found.iter().any(|one| one.file == *spot.file && one.path == spot.path)
    }

    /// Everything, by file and position.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let rank = |file: &str| self.files.iter().position(|known| **known == *file);
        self.found.sort_by_cached_key(|one| (rank(&one.file), one.line, one.column));
        if self.left_out > 0 {
            let message = format!("{} more problems are not listed; mend these first", self.left_out);
            let file = self.found.last().map(|last| last.file.clone()).unwrap_or_default();
            let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
            self.found.push(Diagnostic { severity, file, line: 0, column: 0, path: String::new(), message });
        }
        self.found
    }

    fn add(&mut self, severity: Severity, spot: &Spot, message: String) {
        if self.found.len() >= MOST {
            self.left_out += 1;
            return;
        }
        self.found.push(Diagnostic {
            severity,
            file: spot.file.to_string(),
            line: spot.at.line,
            column: spot.at.column,
            path: spot.path.clone(),
            message,
        });
    }
}
