//! Certificates and trust roots: PEM in, ready TLS configurations out. No sockets, and no files but the system's roots.
//!
//! The crypto provider (aws-lc-rs) is passed explicitly everywhere; no process-wide default is
//! installed, so that two libraries in one process never fight over it.

mod client;
mod resolver;
mod server;
mod validity;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

pub use client::ClientTls;
pub use server::{CertificatePem, ServerTls};
pub use validity::{Validity, validities};

/// Why TLS material can't be used; the text names the file and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Broken PEM.
    #[error("{file:?} is not well-formed PEM: {reason}")]
    Malformed {
        /// As configured.
        file: String,
        /// What is broken.
        reason: String,
    },
    /// No `CERTIFICATE` section.
    #[error("{file:?} contains no certificate; it needs at least one section `-----BEGIN CERTIFICATE-----`")]
    NoCertificate {
        /// As configured.
        file: String,
    },
    /// A certificate that can't be parsed or trusted.
    #[error("certificate {number} in {file:?} is not valid: {reason}")]
    BadCertificate {
        /// As configured.
        file: String,
        /// From 1, in the order of the file.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// No usable private key section.
    #[error(
        "{file:?} contains no private key; it needs a section `-----BEGIN PRIVATE KEY-----` (PKCS #8), `RSA PRIVATE KEY` or `EC PRIVATE KEY`, not encrypted"
    )]
    NoKey {
        /// As configured.
        file: String,
    },
    /// A key of an unknown kind.
    #[error(
        "the private key in {file:?} is not usable: {reason}; use RSA (2048 bits or more), ECDSA P-256/P-384 or Ed25519"
    )]
    BadKey {
        /// As configured.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is not the certificate's.
    #[error("the private key in {key:?} does not belong to the first certificate in {certificate:?}")]
    Mismatch {
        /// File of the certificate chain.
        certificate: String,
        /// File of the key.
        key: String,
    },
    /// Nothing to serve.
    #[error("no certificate is configured")]
    NoPairs,
    /// The system offers no trust roots.
    #[error("no trusted roots were found on this system; install its CA certificates or name a file with `ca`{0}")]
    NoRoots(String),
    /// rustls refused; with valid material it never does.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

/// Whether a text may stand as the name that a certificate is checked against: a DNS name or an address.
#[must_use]
pub fn is_server_name(text: &str) -> bool {
    rustls::pki_types::ServerName::try_from(text).is_ok()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certificates(file: &str, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| malformed(file, &error))?;
    if found.is_empty() { Err(TlsError::NoCertificate { file: file.to_owned() }) } else { Ok(found) }
}

fn malformed(file: &str, error: &pem::Error) -> TlsError {
    TlsError::Malformed { file: file.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
