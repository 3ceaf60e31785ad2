//! One change of one flag, from the wish to the record: check, try out, announce, write, load, publish.
//!
//! The new text is loaded with everything else before the disk is touched, so that a change which a
//! route can't live with never gets there. A change made by hand meanwhile is never overwritten unseen.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::durable::{self, Mode};
use super::edit::{self, EditError};
use super::publisher::{Look, Publisher};
use super::record::{same_definition, same_value};
use super::writer::{ChangeError, Changed, HistoryEntry, Wish};
use crate::config::{self, Overlay, read_file, shown};
use crate::flags::Flag;
use crate::snapshot::{Diagnostic, Snapshot};
use crate::types::{FlagKey, Revision};

/// Longest reason, in characters: a few sentences.
const LONGEST_REASON: usize = 1_000;
/// How often a change is begun anew because its file was changed by hand at the same moment.
const TRIES: usize = 3;

/// Makes a change that a caller asked for.
pub(super) fn change(
    publisher: &mut Publisher,
    wish: &Wish,
    changes: &Map<String, Value>,
) -> Result<Changed, ChangeError> {
    check_reason(&wish.reason)?;
    if changes.is_empty() {
        return Err(ChangeError::Invalid(vec!["changes is empty; name at least one key and its new value".into()]));
    }
    let known = config::definition_keys();
    let listed = known.iter().copied().collect::<Vec<_>>().join(", ");
    let (changes, unknown): (Map<String, Value>, Map<String, Value>) =
        changes.clone().into_iter().partition(|(key, _)| known.contains(key.as_str()));
    let unknown: Vec<_> =
        unknown.keys().map(|key| format!("{key:?} is no key of a flag; use one of {listed}")).collect();
    apply(publisher, wish, |_| Ok(Step { changes: changes.clone(), mistakes: unknown.clone(), undoes: None }))
}

/// Takes the last change of a flag back.
pub(super) fn undo(publisher: &mut Publisher, wish: &Wish) -> Result<Changed, ChangeError> {
    check_reason(&wish.reason)?;
    let history = publisher.record.history();
    apply(publisher, wish, |flag| {
        let last = history.last(&flag.key).ok_or_else(|| {
            ChangeError::Conflict(format!("no change of {} is recorded, so there is nothing to undo", flag.key))
        })?;
        let Value::Object(before) = &last.before else {
            let message =
                format!("the last change of {} made it; to undo that, remove it from {}", flag.key, flag.file);
            return Err(ChangeError::Conflict(message));
        };
        Ok(Step { changes: difference(&flag.to_json(), before), mistakes: vec![], undoes: Some(last.revision) })
    })
}

/// What is to be done to the definition as it is now.
struct Step {
    changes: Map<String, Value>,
    /// What is wrong with the wish, beside what the changes will turn out to be; then nothing is done.
    mistakes: Vec<String>,
    undoes: Option<Revision>,
}

fn check_reason(reason: &str) -> Result<(), ChangeError> {
    let reason = reason.trim();
    let problem = if reason.is_empty() {
        "a reason is required; say why"
    } else if reason.chars().count() > LONGEST_REASON {
        "the reason is longer than 1,000 characters; shorten it"
    } else if reason.chars().any(|c| c.is_control() && c != '\n') {
        "the reason contains control characters; write plain text"
    } else {
        return Ok(());
    };
    Err(ChangeError::Invalid(vec![problem.into()]))
}

/// The changes that lead from one definition to another.
fn difference(now: &Value, then: &Map<String, Value>) -> Map<String, Value> {
    let gone = now.as_object().into_iter().flat_map(Map::keys).filter(|key| !then.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), Value::Null));
    let differs = |(key, value): &(&String, &Value)| !now.get(key).is_some_and(|now| same_value(now, value));
    let back = then.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone()));
    gone.chain(back).collect()
}

fn apply(
    publisher: &mut Publisher,
    wish: &Wish,
    step: impl Fn(&Flag) -> Result<Step, ChangeError>,
) -> Result<Changed, ChangeError> {
    for _ in 0..TRIES {
        let snapshot = current(publisher)?;
        let flag = snapshot.flags.flags.get(&wish.key).ok_or_else(|| ChangeError::NotFound(wish.key.clone()))?;
        check_seen(publisher, wish, snapshot.revision)?;
        let Step { changes, mistakes, undoes } = step(flag)?;
        let (path, before) = file_of(publisher, flag)?;
        let after = edit::edit(&before, flag.key.as_str(), &changes).map_err(|error| refusal(&path, &error))?;
        let tried = match try_out(publisher, &snapshot, flag, &path, &after) {
            Err(ChangeError::Invalid(more)) => return Err(ChangeError::Invalid([mistakes, more].concat())),
            _ if !mistakes.is_empty() => return Err(ChangeError::Invalid(mistakes)),
            tried => tried?,
        };
        let wanted = tried.to_json();
        if same_definition(&flag.to_json(), &wanted) {
            return Ok(Changed { revision: snapshot.revision, flag: wanted });
        }
        let entry = HistoryEntry {
            at: (publisher.clock)(),
            actor: wish.actor.clone(),
            reason: wish.reason.trim().to_owned(),
            key: flag.key.clone(),
            revision: Revision(0),
            before: flag.to_json(),
            after: wanted.clone(),
            undoes,
        };
        publisher.record.intend(entry).map_err(|error| no_state(&error))?;
        if read_file(&path).is_ok_and(|now| now == before.as_bytes()) {
            return write(publisher, wish, &path, &before, &after, &wanted);
        }
        publisher.record.settle();
    }
    Err(ChangeError::Conflict(format!("the file of {} changes all the time; try again when it rests", wish.key)))
}

/// What is served, after a look at the files: a change by hand comes first.
fn current(publisher: &mut Publisher) -> Result<Arc<Snapshot>, ChangeError> {
    let status = publisher.refresh(Look::IfChanged);
    match status.problems.first() {
        None if status.success => Ok(publisher.handle.load()),
        first => {
            let first = first.map(ToString::to_string).unwrap_or_default();
            Err(ChangeError::Conflict(format!(
                "the files on disk are not valid at the moment; mend them first: {first}"
            )))
        }
    }
}

/// Only a change of this very flag since the revision that the caller saw stands in the way.
fn check_seen(publisher: &Publisher, wish: &Wish, current: Revision) -> Result<(), ChangeError> {
    let last = publisher.record.history().last(&wish.key).filter(|last| last.revision > wish.if_match);
    if last.is_some() || wish.if_match > current {
        return Err(ChangeError::Stale { current, winner: last.map(Box::new) });
    }
    Ok(())
}

/// The file that holds a flag, and its text; refused if writing there would be wrong or in vain.
fn file_of(publisher: &Publisher, flag: &Flag) -> Result<(PathBuf, String), ChangeError> {
    let read = |path: &PathBuf| String::from_utf8(read_file(path).ok()?).ok();
    let mut texts = publisher.seen.flag_files().filter_map(|path| Some((path.clone(), read(path)?)));
    let found = texts.find(|(_, text)| edit::holds(text, flag.key.as_str()));
    let (path, text) = found.ok_or_else(|| {
        ChangeError::Conflict(format!(
            "{}: {} is not written there in a form that can be edited; edit it by hand",
            flag.file, flag.key
        ))
    })?;
    let metadata = fs::symlink_metadata(&path).map_err(|error| cannot_write(&path, &error))?;
    if metadata.is_symlink() {
        return Err(ChangeError::Conflict(format!(
            "{}: the file is a symbolic link, so it belongs to whatever made the link (a mounted ConfigMap, for \
             example); change it there",
            shown(&path)
        )));
    }
    if metadata.permissions().readonly() {
        let message = "the file is read-only; make it writable or change it where it comes from";
        return Err(ChangeError::Conflict(format!("{}: {message}", shown(&path))));
    }
    Ok((path, text))
}

/// The flag as everything would be with the new text, loaded but not written.
fn try_out(
    publisher: &mut Publisher,
    now: &Snapshot,
    flag: &Flag,
    path: &Path,
    text: &str,
) -> Result<Arc<Flag>, ChangeError> {
    let overlay = Overlay { files: [(path.to_path_buf(), text.to_owned())].into(), ..Overlay::default() };
    let mut next = publisher.try_out(&overlay).map_err(|problems| invalid(&problems))?.flags.flags;
    let others = |flags: &std::collections::BTreeMap<FlagKey, Arc<Flag>>| {
        flags
            .iter()
            .filter(|(key, _)| **key != flag.key)
            .map(|(key, flag)| (key.clone(), Arc::clone(flag)))
            .collect::<Vec<_>>()
    };
    let changed = next.get(&flag.key).map(Arc::clone);
    match changed {
        Some(changed) if others(&next) == others(&now.flags.flags) => {
            next.clear();
            Ok(changed)
        }
        _ => Err(refusal(path, &EditError::Unintended(flag.key.to_string()))),
    }
}

/// Writes, loads and publishes; if the load fails after all, the old text comes back.
fn write(
    publisher: &mut Publisher,
    wish: &Wish,
    path: &Path,
    before: &str,
    after: &str,
    wanted: &Value,
) -> Result<Changed, ChangeError> {
    if let Err(error) = durable::replace(path, after.as_bytes(), Mode::Kept) {
        publisher.record.settle();
        return Err(cannot_write(path, &error));
    }
    let status = publisher.refresh(Look::Always);
    if !status.success {
        take_back(publisher, path, before, after)?;
        return Err(invalid(&status.problems));
    }
    let snapshot = publisher.handle.load();
    match snapshot.flags.flags.get(&wish.key) {
        Some(flag) if same_definition(&flag.to_json(), wanted) => {
            Ok(Changed { revision: snapshot.revision, flag: flag.to_json() })
        }
        // Somebody saved the file right after us; their text is what counts, and it is recorded.
        _ => {
            publisher.record.settle();
            let winner = publisher.record.history().last(&wish.key).map(Box::new);
            Err(ChangeError::Stale { current: snapshot.revision, winner })
        }
    }
}

fn take_back(publisher: &mut Publisher, path: &Path, before: &str, after: &str) -> Result<(), ChangeError> {
    // If the text is not ours any more, somebody has written a later one.
    let ours = read_file(path).is_ok_and(|now| now == after.as_bytes());
    let restored = if ours { durable::replace(path, before.as_bytes(), Mode::Kept) } else { Ok(()) };
    publisher.record.settle();
    publisher.refresh(Look::Always);
    restored.map_err(|error| {
        let state = "the change was refused and the old text could not be put back";
        ChangeError::Io(format!("{}: {state}: {error}; mend the file by hand", shown(path)))
    })
}

fn invalid(problems: &[Diagnostic]) -> ChangeError {
    ChangeError::Invalid(problems.iter().map(ToString::to_string).collect())
}

fn refusal(path: &Path, error: &EditError) -> ChangeError {
    ChangeError::Conflict(format!("{}: {error}", shown(path)))
}

fn no_state(error: &io::Error) -> ChangeError {
    ChangeError::Io(format!("the state folder takes no record of the change, so it was not made: {error}"))
}

fn cannot_write(path: &Path, error: &io::Error) -> ChangeError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ChangeError::Conflict(format!(
            "{}: the folder is read-only for the gateway ({error}); make it writable or change the file where it comes from",
            shown(path)
        )),
        _ => ChangeError::Io(format!("{}: {error}", shown(path))),
    }
}
