//! `state` and `flags`: folders that the configuration points to.

use std::path::PathBuf;

use super::cursor::Cursor;
use super::formats::FILE;
use super::shape::{Section, Shape, default, required, section};
use super::sources::Sources;

const DEFAULT_STATE: &str = "../data";

pub(super) static STATE: Section = section(
    "What must survive a restart: last good snapshot, flag history, ledger.",
    &[default("dir", Shape::Text(&FILE), DEFAULT_STATE, "folder, made if it is missing; needs a restart")],
);

pub(super) static FLAGS: Section = section(
    "Where the flags are.",
    &[required("dir", Shape::Text(&FILE), "folder whose *.yaml files hold the flags; it may be empty")],
);

/// `state.dir`, absolute.
pub(super) fn state_dir(root: &Cursor<'_>, sources: &Sources) -> PathBuf {
    let written = root.get("state").and_then(|state| state.text_of("dir")).unwrap_or(DEFAULT_STATE);
    absolute(sources.resolve(written))
}

/// Absolute, so that it means the same whatever the working directory is; links are left alone.
pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
