//! Reads every file that a configuration names, each once, so that what is hashed is what is used.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::Overlay;
use super::digest::sha256;
use super::tree::{Mistake, Position};

/// Larger files are refused before they are parsed.
const LARGEST: u64 = 1 << 20;

/// The files read so far.
#[derive(Debug)]
pub(super) struct Sources {
    /// What stands in for the disk.
    overlay: Overlay,
    /// Folder of the config file, to which all paths are relative.
    folder: PathBuf,
    read: HashMap<PathBuf, Result<File, String>>,
    order: Vec<PathBuf>,
}

/// One file's content.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) bytes: Arc<[u8]>,
    pub(super) digest: String,
    /// Anybody on the machine may read it.
    pub(super) readable_by_all: bool,
}

impl Sources {
    /// For a config file at `config`.
    pub(super) fn beside(config: &Path, overlay: Overlay) -> Self {
        let folder = config.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { overlay, folder, read: HashMap::new(), order: Vec::new() }
    }

    /// Where a path written in the config file leads.
    pub(super) fn resolve(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    /// Reads a file, or remembers what it read before; the message does not name the file.
    pub(super) fn read(&mut self, path: &Path) -> Result<File, String> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let result = match self.overlay.content(path) {
            Some(text) => limited(text.as_bytes().to_vec(), false),
            None => read(path),
        };
        self.order.push(path.to_path_buf());
        self.read.insert(path.to_path_buf(), result.clone());
        result
    }

    /// The paths of a folder's entries, sorted.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = match self.overlay.listing(folder) {
            Some(paths) => paths,
            None => {
                std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?
            }
        };
        paths.sort();
        Ok(paths)
    }

    /// Every file that was asked for, in that order, with its digest; empty where it could not be read.
    pub(super) fn into_files(self) -> Vec<(PathBuf, String)> {
        let digest = |path: &PathBuf| match self.read.get(path) {
            Some(Ok(file)) => file.digest.clone(),
            _ => String::new(),
        };
        self.order.iter().map(|path| (path.clone(), digest(path))).collect()
    }
}

impl File {
    /// The content as text.
    pub(super) fn text(&self) -> Result<&str, Mistake> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let good = String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]).into_owned();
            let line = good.split('\n').count();
            let column = good.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            let byte = self.bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            let message = format!("byte \"\\x{byte:02x}\" is not UTF-8; save the file as UTF-8");
            Mistake { at: Position { line, column }, message }
        })
    }
}

/// Reads a file as a load reads it: regular files alone, and of those that are too large to load only the beginning.
///
/// # Errors
/// The system's, or that this is not a regular file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for a writer for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<File, String> {
    let mode = |metadata: std::fs::Metadata| metadata.permissions().mode();
    let content = read_file(path).and_then(|bytes| Ok((bytes, mode(std::fs::metadata(path)?))));
    let (bytes, mode) = content.map_err(|error| error.to_string())?;
    limited(bytes, mode & 0o004 != 0)
}

fn limited(bytes: Vec<u8>, readable_by_all: bool) -> Result<File, String> {
    if bytes.len() as u64 > LARGEST {
        return Err("the file is larger than 1 MiB; split it".into());
    }
    Ok(File { digest: sha256(&bytes), bytes: bytes.into(), readable_by_all })
}

/// A path for people: `config/../flags/a.yaml` is `flags/a.yaml`. Never used to open a file, since a
/// folder may be a link.
#[must_use]
pub fn shown(path: &Path) -> String {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(parts.pop()),
            (Component::CurDir, _) => {}
            _ => parts.push(part),
        }
    }
    parts.iter().collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "one").expect("write");
        let overlay = Overlay::default();
        let mut sources = Sources::beside(&folder.path().join("gateway.yaml"), overlay.clone());
        let first = sources.read(&path).expect("file");
        std::fs::write(&path, "two").expect("write");
        assert_eq!(sources.read(&path).expect("file").bytes, first.bytes);
        assert_eq!(sources.into_files(), [(path, sha256(b"one"))]);
    }

    #[test]
    fn what_the_overlay_holds_stands_in_for_the_disk() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a.yaml"), "disk").expect("write");
        let mut overlay = Overlay::default();
        overlay.files.insert(folder.path().join("b.yaml"), "memory".into());
        let mut sources = Sources::beside(&folder.path().join("gateway.yaml"), overlay.clone());
        assert_eq!(&*sources.read(&folder.path().join("b.yaml")).expect("file").bytes, b"memory");
        assert_eq!(sources.list(folder.path()).expect("list"), [folder.path().join("a.yaml")]);
        let whole = Overlay { folders: [folder.path().to_path_buf()].into(), ..overlay };
        let sources = Sources::beside(&folder.path().join("gateway.yaml"), whole);
        assert_eq!(sources.list(folder.path()).expect("list"), [folder.path().join("b.yaml")]);
    }

    #[test]
    fn what_cannot_be_read_is_listed_without_a_digest() {
        let folder = tempfile::tempdir().expect("folder");
        let overlay = Overlay::default();
        let mut sources = Sources::beside(&folder.path().join("gateway.yaml"), overlay.clone());
        let missing = folder.path().join("none");
        assert!(sources.read(&missing).is_err());
        assert_eq!(sources.read(folder.path()).map(drop), Err("this is not a regular file".into()));
        assert_eq!(sources.into_files()[0], (missing, String::new()));
    }

    #[test]
    fn large_files_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("large");
        std::fs::write(&path, vec![b' '; (1 << 20) + 1]).expect("write");
        assert_eq!(read(&path).map(drop), Err("the file is larger than 1 MiB; split it".into()));
    }

    #[test]
    fn bytes_that_are_not_text_are_placed() {
        let file = File { bytes: b"a: 1\nb: \xff".as_slice().into(), digest: String::new(), readable_by_all: false };
        let mistake = file.text().expect_err("not UTF-8");
        assert_eq!(mistake.at, Position { line: 2, column: 4 });
        assert!(mistake.message.contains("\"\\xff\""), "{}", mistake.message);
    }

    #[test]
    fn paths_are_shown_short() {
        for (path, short) in [("config/../flags/a.yaml", "flags/a.yaml"), ("../x", "../x"), ("/a/./b", "/a/b")] {
            assert_eq!(shown(Path::new(path)), short);
        }
    }
}
