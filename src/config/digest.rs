//! SHA-256 of what was read: tells a change from a touch, and names a snapshot's content.

use aws_lc_rs::digest::{Context, SHA256};

/// The digest of some bytes, hexadecimal: what [`super::Loaded::files`] holds.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    hexadecimal(context)
}

/// One digest over files and their own digests: names count, so that a renamed file is a change.
pub(super) fn sha256_of_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut context = Context::new(&SHA256);
    for (name, digest) in files {
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(digest.as_bytes());
        context.update(&[0]);
    }
    hexadecimal(context)
}

fn hexadecimal(context: Context) -> String {
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_standard_ones() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn renaming_or_changing_a_file_changes_the_common_digest() {
        let before = sha256_of_files([("a", "1"), ("b", "2")]);
        assert_ne!(before, sha256_of_files([("a", "1"), ("c", "2")]));
        assert_ne!(before, sha256_of_files([("a", "1"), ("b", "3")]));
        assert_eq!(before, sha256_of_files([("a", "1"), ("b", "2")]));
    }
}
