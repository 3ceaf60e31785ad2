//! What every section needs on its way from the checked tree to the snapshot: files, the report, and
//! what is kept from the snapshot before.

use super::Kept;
use super::cursor::Cursor;
use super::environment::Environment;
use super::quote::quoted;
use super::report::Report;
use super::sources::{File, Sources, shown};
use crate::clock::Timestamp;

/// Hands the sections what they share.
pub(super) struct Lowering<'a> {
    pub(super) sources: &'a mut Sources,
    pub(super) report: &'a mut Report,
    pub(super) kept: &'a Kept,
    pub(super) environment: Environment<'a>,
    /// What certificates' dates are compared with.
    pub(super) now: Timestamp,
}

impl Lowering<'_> {
    /// Reads the file that is written at `at`; says why if it can't.
    pub(super) fn file(&mut self, at: &Cursor<'_>) -> Option<File> {
        let written = at.text().filter(|text| !text.is_empty())?;
        let path = self.sources.resolve(written);
        match self.sources.read(&path) {
            Ok(file) => Some(file),
            Err(reason) => {
                let message = format!(
                    "{} can't be read: {reason} (looked at {}; paths are relative to the file that names them)",
                    quoted(written),
                    shown(&path)
                );
                self.report.error(&at.spot(), message);
                None
            }
        }
    }

    /// Reads a file that nobody else should be able to read.
    pub(super) fn private_file(&mut self, at: &Cursor<'_>) -> Option<File> {
        let file = self.file(at)?;
        if file.readable_by_all {
            let written = at.text().unwrap_or_default();
            let message = format!("{} can be read by every user of this machine; chmod o-r it", quoted(written));
            self.report.warning(&at.spot(), message);
        }
        Some(file)
    }
}
