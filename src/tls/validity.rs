//! From when until when a certificate holds: the two dates of its DER, and nothing else of it.
//!
//! rustls judges the dates of certificates that it is shown and tells nobody those of its own, so they are read here
//! (RFC 5280, 4.1). Deliberately not a parser of certificates: rustls has parsed each of them before it is used.

use super::{TlsError, certificates};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// `[0] EXPLICIT`, which a certificate of version 1 leaves out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The dates of one certificate of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// The file, as configured.
    pub file: String,
    /// Which certificate of the file, from 1; the first of a chain is the server's own.
    pub number: usize,
    /// From when on it holds, as RFC 3339 in UTC (`2027-03-31T23:59:59Z`).
    pub not_before: String,
    /// Until when it holds, written alike.
    pub not_after: String,
}

/// The dates of every certificate in PEM that was read already; `file` names it.
///
/// # Errors
/// Broken PEM, or none in there.
pub fn validities(file: &str, pem: &[u8]) -> Result<Vec<Validity>, TlsError> {
    let certificates = certificates(file, pem)?;
    let read = |(index, der): (usize, &rustls::pki_types::CertificateDer<'_>)| {
        let (not_before, not_after) = dates(der)?;
        Some(Validity { file: file.to_owned(), number: index + 1, not_before, not_after })
    };
    Ok(certificates.iter().enumerate().filter_map(read).collect())
}

/// `Certificate.tbsCertificate.validity`; `None` if this is no certificate.
fn dates(der: &[u8]) -> Option<(String, String)> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (fields, _) = element(certificate, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_serial_number, fields) = element(fields, INTEGER)?;
    let (_signature_algorithm, fields) = element(fields, SEQUENCE)?;
    let (_issuer, fields) = element(fields, SEQUENCE)?;
    let (validity, _) = element(fields, SEQUENCE)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some((not_before, not_after))
}

/// The content of the element with which `der` begins, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first().filter(|_| found == tag)?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Four bytes of length say more than any file that is read.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A date as RFC 3339, and what follows it.
fn time(der: &[u8]) -> Option<(String, &[u8])> {
    let (digits, rest) = match element(der, UTC_TIME) {
        // Two digits of a year: from 50 on they are the last century's (RFC 5280, 4.1.2.5.1).
        Some((text, rest)) => {
            let text = std::str::from_utf8(text).ok()?;
            (format!("{}{text}", if text < "50" { "20" } else { "19" }), rest)
        }
        None => {
            let (text, rest) = element(der, GENERALIZED_TIME)?;
            (std::str::from_utf8(text).ok()?.to_owned(), rest)
        }
    };
    let digits = digits.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| &digits[from..from + 2];
    let (year, month, day) = (&digits[..4], part(4), part(6));
    Some((format!("{year}-{month}-{day}T{}:{}:{}Z", part(8), part(10), part(12)), rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: i32, until: i32) -> rcgen::Certificate {
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("params");
        params.not_before = date_time_ymd(from, 2, 3);
        params.not_after = date_time_ymd(until, 11, 30);
        params.self_signed(&KeyPair::generate().expect("key")).expect("certificate")
    }

    #[test]
    fn dates_of_both_forms_are_read() {
        for (from, until) in [(1975, 2026), (2026, 2049), (2049, 2050), (2051, 4000)] {
            let found = validities("a.pem", certificate(from, until).pem().as_bytes()).expect("PEM");
            let expected = Validity {
                file: "a.pem".into(),
                number: 1,
                not_before: format!("{from}-02-03T00:00:00Z"),
                not_after: format!("{until}-11-30T00:00:00Z"),
            };
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn every_certificate_of_a_chain_is_numbered() {
        let pem = certificate(2020, 2026).pem() + &certificate(2020, 2036).pem();
        let found = validities("a.pem", pem.as_bytes()).expect("PEM");
        let found: Vec<_> = found.iter().map(|one| (one.number, &one.not_after[..4])).collect();
        assert_eq!(found, [(1, "2026"), (2, "2036")]);
    }

    #[test]
    fn what_is_cut_short_has_no_dates() {
        let der = certificate(2020, 2026).der().to_vec();
        for end in 0..der.len() {
            assert_eq!(dates(&der[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn no_byte_in_any_place_makes_it_panic() {
        let der = certificate(2020, 2026).der().to_vec();
        for at in 0..der.len() {
            let mut wrong = der.clone();
            for byte in 0..=u8::MAX {
                wrong[at] = byte;
                let _ = dates(&wrong);
            }
        }
    }
}
