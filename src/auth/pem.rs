//! The little of PEM (RFC 7468) that private keys need: find the section of a private key, and write one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Label of a PKCS #8 key.
pub(super) const PKCS8: &str = "PRIVATE KEY";

/// The first section whose label ends with `PRIVATE KEY`: its label and its bytes. Other sections (parameters,
/// certificates) are passed over. `None` if there is none that is whole.
pub(super) fn private_key(text: &str) -> Option<(&str, Vec<u8>)> {
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = label.filter(|label| label.ends_with(PKCS8)) else { continue };
        let end = format!("-----END {label}-----");
        let mut body = String::new();
        for line in lines.by_ref() {
            if line == end {
                return Some((label, STANDARD.decode(&body).ok()?));
            }
            body.push_str(line);
        }
    }
    None
}

/// A PKCS #8 key as PEM.
pub(super) fn write_pkcs8(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {PKCS8}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str(&format!("-----END {PKCS8}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let der: Vec<u8> = (0..=255).collect();
        let text = write_pkcs8(&der);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(private_key(&text), Some((PKCS8, der)));
    }

    #[test]
    fn passes_over_other_sections_and_text() {
        let text = "# a key\r\n-----BEGIN EC PARAMETERS-----\r\nAAAA\r\n-----END EC PARAMETERS-----\r\n\
                    -----BEGIN EC PRIVATE KEY-----\r\nAAEC\r\n-----END EC PRIVATE KEY-----\r\n";
        assert_eq!(private_key(text), Some(("EC PRIVATE KEY", vec![0, 1, 2])));
    }

    #[test]
    fn half_a_section_is_no_key() {
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n",
            "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(private_key(text), None, "{text}");
        }
    }
}
