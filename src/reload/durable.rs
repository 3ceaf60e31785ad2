//! Replaces a file so that a crash at any moment leaves the old content or the new, never a part.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Who may read a new file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// Only the gateway's own user.
    Private,
    /// Whoever could before: permissions and owner of the file that is replaced.
    Kept,
}

/// Writes beside the file, syncs, renames over it and syncs the folder.
pub(super) fn replace(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = temporary(folder, path);
    let written = write_beside(&beside, path, content, mode).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the failure that counts is the first one.
        let _ = std::fs::remove_file(&beside);
    }
    written?;
    // The new content is in place. Not every file system syncs folders, and undoing it would be worse.
    if let Err(error) = sync_folder(folder) {
        tracing::warn!(folder = %folder.display(), %error, "a replaced file may come back after a power failure");
    }
    Ok(())
}

/// Makes the folder's entries (a new or renamed file) survive a crash.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder that only the gateway's own user may enter, with its parents.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Hidden and without `.yaml` at its end, so that nobody takes it for a flag file.
fn temporary(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!(".{name}.figway-{}", std::process::id()))
}

fn write_beside(beside: &Path, path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside);
    let mut file = match create() {
        // In a container every process is number 1: what lies there was left by a crash.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(beside)?;
            create()?
        }
        opened => opened?,
    };
    if let Mode::Kept = mode {
        let before = std::fs::metadata(path)?;
        // Only root may give a file away; anybody else owns what it writes, as an editor would.
        let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        file.set_permissions(before.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("flags.yaml");
        std::fs::write(&path, "old").expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("permissions");
        replace(&path, b"new", Mode::Kept).expect("replace");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn what_a_crash_left_beside_the_file_is_in_nobodys_way() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state.json");
        std::fs::write(temporary(folder.path(), &path), "half").expect("write");
        replace(&path, b"whole", Mode::Private).expect("replace");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "whole");
        assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_content() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("busy");
        std::fs::create_dir(&path).expect("a folder in the way");
        assert!(replace(&path, b"new", Mode::Private).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
