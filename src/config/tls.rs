//! Certificates and trust roots named by the configuration, built from bytes that were read once.
//!
//! What is unchanged is kept across reloads: a fresh TLS configuration would forget every session
//! ticket, and the system's roots are slow to collect.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::cursor::Cursor;
use super::digest::sha256_of_files;
use super::lowering::Lowering;
use super::quote::quoted;
use super::sources::File;
use crate::clock::Timestamp;
use crate::tls::{CertificatePem, ClientTls, ServerTls, Validity, validities};

/// Digest that stands for the system's trust roots.
const SYSTEM: &str = "";
/// A certificate that has less left than this, or than a third of its life, ought to have been renewed by now.
const RENEWED_BEFORE: Duration = Duration::from_secs(14 * 86_400);

/// TLS configurations by the digest of what they were built from.
#[derive(Debug, Default)]
pub(super) struct KeptTls {
    server: Mutex<HashMap<String, ServerTls>>,
    client: Mutex<HashMap<String, ClientTls>>,
}

/// `server.tls`.
pub(super) fn server_tls(tls: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<ServerTls> {
    let list = tls.get("certificates")?;
    let mut pairs: Vec<(Cursor<'_>, &str, File, &str, File)> = Vec::new();
    let mut complete = true;
    for pair in list.items() {
        let (Some(cert), Some(key)) = (pair.get("cert"), pair.get("key")) else {
            complete = false;
            continue;
        };
        match (lowering.file(&cert), lowering.private_file(&key)) {
            (Some(chain), Some(secret)) => pairs.push((cert.clone(), cert.text()?, chain, key.text()?, secret)),
            _ => complete = false,
        }
    }
    let pems: Vec<_> = pairs
        .iter()
        .map(|(_, certificate_file, chain, key_file, key)| CertificatePem {
            certificate_file,
            certificate: &chain.bytes,
            key_file,
            key: &key.bytes,
        })
        .collect();
    // Each pair by itself, so that every bad one is named at once, also beside one that can't be read.
    let report_each = |lowering: &mut Lowering<'_>| {
        let errors = pairs.iter().zip(&pems).filter_map(|((place, ..), pem)| {
            let error = ServerTls::from_pem(std::slice::from_ref(pem)).err()?;
            Some((place, error))
        });
        errors.map(|(place, error)| lowering.report.error(&place.spot(), error.to_string())).count()
    };
    if !complete || pairs.is_empty() {
        report_each(lowering);
        return None;
    }
    let digests = pairs.iter().flat_map(|(_, name, chain, _, key)| [(*name, &*chain.digest), ("", &*key.digest)]);
    let digest = sha256_of_files(digests);
    let tls = match keep(&lowering.kept.tls.server, digest, || ServerTls::from_pem(&pems)) {
        Ok(tls) => tls,
        Err(error) => {
            if report_each(lowering) == 0 {
                lowering.report.error(&list.spot(), error.to_string());
            }
            return None;
        }
    };
    for (cert, name, ..) in &pairs {
        check_dates(cert, tls.validities.iter().filter(|one| one.file == *name), lowering);
    }
    Some(tls)
}

/// Trust roots of one backend or provider: the file at `ca`, or the system's. Problems without a file are reported at `section`.
pub(super) fn client_tls(
    ca: Option<&Cursor<'_>>,
    section: &Cursor<'_>,
    lowering: &mut Lowering<'_>,
) -> Option<ClientTls> {
    let built = match ca {
        Some(ca) => {
            let (file, name) = (lowering.file(ca)?, ca.text()?);
            // Broken PEM is reported where it is used.
            check_dates(ca, validities(name, &file.bytes).unwrap_or_default().iter(), lowering);
            keep(&lowering.kept.tls.client, file.digest.clone(), || ClientTls::from_pem(name, &file.bytes))
                .map_err(|error| (ca.spot(), error))
        }
        None => keep(&lowering.kept.tls.client, SYSTEM.to_owned(), ClientTls::from_system)
            .map_err(|error| (section.spot(), error)),
    };
    built.map_err(|(spot, error)| lowering.report.error(&spot, error.to_string())).ok()
}

/// Warns about certificates that do not hold, or not for long; the other side is who refuses them.
fn check_dates<'a>(place: &Cursor<'_>, dates: impl Iterator<Item = &'a Validity>, lowering: &mut Lowering<'_>) {
    for one in dates {
        if let Some(complaint) = complaint(one, lowering.now) {
            let which = if one.number == 1 { String::new() } else { format!("certificate {} in ", one.number) };
            lowering.report.warning(&place.spot(), format!("{which}{} {complaint}", quoted(&one.file)));
        }
    }
}

fn complaint(Validity { not_before, not_after, .. }: &Validity, now: Timestamp) -> Option<String> {
    // A date that the clock does not reach (the year 9999 stands for "never") is no reason to complain.
    let (begin, end) = (Timestamp::parse(not_before)?, Timestamp::parse(not_after)?);
    let renewed_before = RENEWED_BEFORE.min(end.since(begin) / 3);
    if now < begin {
        Some(format!("does not hold before {not_before}, and is refused until then; use one that holds now"))
    } else if now > end {
        Some(format!("expired at {not_after}, and is refused since then; renew it"))
    } else if now.plus(renewed_before) > end {
        Some(format!("expires at {not_after}; renew it"))
    } else {
        None
    }
}

fn keep<T: Clone, E>(
    kept: &Mutex<HashMap<String, T>>,
    digest: String,
    build: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    const MOST: usize = 64;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(&digest) {
        return Ok(known.clone());
    }
    let built = build()?;
    // Old certificates would pile up over years of renewals.
    if kept.len() >= MOST {
        kept.clear();
    }
    kept.insert(digest, built.clone());
    Ok(built)
}
