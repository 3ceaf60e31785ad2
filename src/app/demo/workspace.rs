//! Which files the demo runs on: the repository's own, or a private copy.
//!
//! Started in the repository with every usual port free, it runs on `config/` and `flags/` as they are, so that a change
//! made with an editor is a change of the demo. Anywhere else, or with another port, it writes the same files into a
//! new private folder, with the addresses that it really got, and takes the folder away when it ends.

use std::io;
use std::path::{Path, PathBuf};

/// The development key, whose public half the sample configuration trusts.
pub(super) const SIGNING_KEY: &str = include_str!("../../../config/dev/signing-key.pem");

/// Everything the sample configuration is made of, by path below the repository's root.
const FILES: &[(&str, &str)] = &[
    ("config/gateway.yaml", include_str!("../../../config/gateway.yaml")),
    ("config/dev/jwks.json", include_str!("../../../config/dev/jwks.json")),
    ("config/dev/signing-key.pem", SIGNING_KEY),
    ("flags/items.yaml", include_str!("../../../flags/items.yaml")),
    ("flags/members.yaml", include_str!("../../../flags/members.yaml")),
    ("flags/payments.yaml", include_str!("../../../flags/payments.yaml")),
    ("flags/shop.yaml", include_str!("../../../flags/shop.yaml")),
];

/// The sample configuration's main file.
const CONFIG: &str = "config/gateway.yaml";

/// The files of one run.
#[derive(Debug)]
pub(super) struct Workspace {
    root: PathBuf,
    private: bool,
}

impl Workspace {
    /// The current folder, if it is the repository: its configuration mentions every one of the demo's addresses.
    pub(super) fn in_place(addresses: &[String]) -> Option<Self> {
        let text = std::fs::read_to_string(CONFIG).ok()?;
        let is_ours = Path::new("flags").is_dir() && addresses.iter().all(|address| text.contains(address.as_str()));
        is_ours.then(|| Self { root: PathBuf::new(), private: false })
    }

    /// A new private folder with the sample files; `moved` says which usual address became which.
    ///
    /// # Errors
    /// The system's folder for temporary files can't be written.
    pub(super) fn copy(moved: &[(String, String)]) -> io::Result<Self> {
        let root = new_folder()?;
        let workspace = Self { root, private: true };
        for (path, text) in FILES {
            let path = workspace.root.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(&workspace.root))?;
            std::fs::write(path, readdress(text, moved))?;
        }
        Ok(workspace)
    }

    /// The main file.
    pub(super) fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// The folder of flags.
    pub(super) fn flags(&self) -> PathBuf {
        self.root.join("flags")
    }

    /// The folder goes away with the demo.
    pub(super) fn is_private(&self) -> bool {
        self.private
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.private
            && let Err(error) = std::fs::remove_dir_all(&self.root)
        {
            tracing::warn!(folder = %self.root.display(), %error, "the demo's folder could not be removed");
        }
    }
}

/// A folder that did not exist before and that only this user may enter.
fn new_folder() -> io::Result<PathBuf> {
    for _ in 0..16 {
        let path = std::env::temp_dir().join(format!("figway-demo-{:08x}", fastrand::u32(..)));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(path),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name for a private folder is taken"))
}

/// Replaces whole addresses in one pass, so that a new one is never taken for an old one.
fn readdress(text: &str, moved: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = moved.iter().filter_map(|(old, new)| find_address(rest, old).map(|at| (at, old, new))).min();
        let Some((at, old, new)) = next else { break };
        out.push_str(&rest[..at]);
        out.push_str(new);
        rest = &rest[at + old.len()..];
    }
    out + rest
}

/// Where an address stands, not as the beginning of a longer port.
fn find_address(text: &str, address: &str) -> Option<usize> {
    let is_whole = |at: &usize| !text[at + address.len()..].starts_with(|next: char| next.is_ascii_digit());
    text.match_indices(address).map(|(at, _)| at).find(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(moved: &[(&str, &str)]) -> Vec<(String, String)> {
        moved.iter().map(|(old, new)| ((*old).into(), (*new).into())).collect()
    }

    #[test]
    fn addresses_are_replaced_whole_and_once() {
        let text = "a: 127.0.0.1:7001, b: 127.0.0.1:70012, c: http://127.0.0.1:7002/x";
        let moved = pairs(&[("127.0.0.1:7001", "127.0.0.1:7002"), ("127.0.0.1:7002", "127.0.0.1:5")]);
        assert_eq!(readdress(text, &moved), "a: 127.0.0.1:7002, b: 127.0.0.1:70012, c: http://127.0.0.1:5/x");
    }

    #[test]
    fn a_copy_has_every_file_and_leaves_nothing_behind() {
        let copy = Workspace::copy(&pairs(&[("127.0.0.1:7001", "127.0.0.1:17001")])).expect("a copy");
        let text = std::fs::read_to_string(copy.config()).expect("the main file");
        assert!(text.contains("127.0.0.1:17001") && !text.contains("127.0.0.1:7001\""));
        assert!(copy.flags().is_dir() && copy.is_private());
        let root = copy.root.clone();
        drop(copy);
        assert!(!root.exists());
    }

    #[test]
    fn the_copy_is_complete() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["config", "config/dev", "flags"] {
            for entry in std::fs::read_dir(root.join(folder)).expect(folder) {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                let embedded = FILES.iter().any(|(file, _)| *file == name);
                assert!(embedded || path.is_dir() || name.ends_with(".md"), "{name} is missing in FILES");
            }
        }
    }
}
