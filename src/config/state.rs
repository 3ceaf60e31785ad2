//! `state` and `flags`: folders that the configuration points to.

use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use super::environment::{Environment, expanded, process};
use super::formats::FILE;
use super::shape::{Section, Shape, default, required, section};
use super::sources::{Sources, read_file};

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

/// `state.dir` of a config file that can't be read as a whole: what its `state:` lines say, or the default.
///
/// What must survive is there, above all the last good copy, and never needed more than now.
#[must_use]
pub fn state_dir_by_text(config: &Path) -> PathBuf {
    let text = read_file(config).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let written = written_state_dir(&text, &process).unwrap_or_else(|| DEFAULT_STATE.to_owned());
    absolute(config.parent().unwrap_or(Path::new("")).join(written))
}

/// Reads `state: {dir: X}` or the same on two lines, whatever else is wrong with the text.
fn written_state_dir(text: &str, environment: Environment<'_>) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("state:"));
    let first = lines.next()?.strip_prefix("state:")?;
    let below = lines.take_while(|line| line.trim().is_empty() || line.starts_with([' ', '\t', '#']));
    let mut places = std::iter::once(first).chain(below);
    let value = places.find_map(|line| line.trim_start_matches([' ', '\t', '{']).strip_prefix("dir:"))?;
    let value = value.split(" #").next().unwrap_or(value).trim();
    // The brace that closes the mapping, not that of a variable.
    let value = if value.matches('}').count() > value.matches('{').count() { value.strip_suffix('}')? } else { value };
    let unquoted = value.trim().trim_matches(['"', '\'']);
    let (dir, _) = expanded(unquoted, environment).ok()?;
    (!dir.is_empty()).then_some(dir)
}

/// Absolute, so that it means the same whatever the working directory is; links are left alone.
pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::environment::Variable;
    use super::*;

    fn written(text: &str) -> Option<String> {
        let environment = |name: &str| match name {
            "DATA" => Variable::Set("/var/lib/figway".into()),
            _ => Variable::Unset,
        };
        written_state_dir(text, &environment)
    }

    #[test]
    fn the_state_folder_is_found_in_a_broken_config() {
        for text in [
            "server: [\nstate: {dir: /var/lib/figway}\n",
            "state:\n  # durable\n  dir: \"/var/lib/figway\"  # here\nroutes: [}",
            "state: { dir: '/var/lib/figway' } # x",
            "state: {dir: \"${DATA}\"}\nserver: [",
            "state:\n  dir: ${NONE:-/var/lib}/figway\n",
        ] {
            assert_eq!(written(text).as_deref(), Some("/var/lib/figway"), "{text}");
        }
        for text in ["", "state:\nserver:\n  dir: /x\n", "state: {dir: \"${NONE}\"}", "server: {state: {dir: /x}}"] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn a_config_that_is_not_there_has_its_state_at_the_usual_place() {
        let folder = tempfile::tempdir().expect("folder");
        let config = folder.path().join("config/gateway.yaml");
        assert_eq!(state_dir_by_text(&config), folder.path().join("config/../data"));
    }
}
