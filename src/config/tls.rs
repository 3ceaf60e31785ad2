//! Certificates and trust roots named by the configuration, built from bytes that were read once.
//!
//! What is unchanged is kept across reloads: a fresh TLS configuration would forget every session
//! ticket, and the system's roots are slow to collect.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::cursor::Cursor;
use super::digest::sha256_of_files;
use super::lowering::Lowering;
use super::sources::File;
use crate::tls::{CertificatePem, ClientTls, ServerTls};

/// Digest that stands for the system's trust roots.
const SYSTEM: &str = "";

/// TLS configurations by the digest of what they were built from.
#[derive(Debug, Default)]
pub(super) struct KeptTls {
    server: Mutex<HashMap<String, ServerTls>>,
    client: Mutex<HashMap<String, ClientTls>>,
}

/// `server.tls`.
pub(super) fn server_tls(tls: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<ServerTls> {
    let list = tls.get("certificates")?;
    let mut pairs: Vec<(&str, File, &str, File)> = Vec::new();
    let mut complete = true;
    for pair in list.items() {
        let (Some(cert), Some(key)) = (pair.get("cert"), pair.get("key")) else {
            complete = false;
            continue;
        };
        match (lowering.file(&cert), lowering.private_file(&key)) {
            (Some(chain), Some(secret)) => pairs.push((cert.text()?, chain, key.text()?, secret)),
            _ => complete = false,
        }
    }
    if !complete || pairs.is_empty() {
        return None;
    }
    let digests = pairs.iter().flat_map(|(_, chain, _, key)| [("", &*chain.digest), ("", &*key.digest)]);
    let digest = sha256_of_files(digests);
    let pems: Vec<_> = pairs
        .iter()
        .map(|(certificate_file, chain, key_file, key)| CertificatePem {
            certificate_file,
            certificate: &chain.bytes,
            key_file,
            key: &key.bytes,
        })
        .collect();
    keep(&lowering.kept.tls.server, digest, || ServerTls::from_pem(&pems))
        .map_err(|error| lowering.report.error(&list.spot(), error.to_string()))
        .ok()
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
            keep(&lowering.kept.tls.client, file.digest.clone(), || ClientTls::from_pem(name, &file.bytes))
                .map_err(|error| (ca.spot(), error))
        }
        None => keep(&lowering.kept.tls.client, SYSTEM.to_owned(), || ClientTls::new(None))
            .map_err(|error| (section.spot(), error)),
    };
    built.map_err(|(spot, error)| lowering.report.error(&spot, error.to_string())).ok()
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
