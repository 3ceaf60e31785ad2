//! The client side of TLS: trust roots to one configuration.

use std::sync::Arc;

use rustls::RootCertStore;

use super::{TlsError, certificates, provider};

/// The client side.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Handed to the TLS connector; no ALPN set, the caller clones and sets it.
    pub config: Arc<rustls::ClientConfig>,
}

impl ClientTls {
    /// Trusts the certificates of PEM; `file` names it in messages.
    ///
    /// # Errors
    /// Broken or empty PEM, by file.
    pub fn from_pem(file: &str, pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates(file, pem)?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| TlsError::BadCertificate {
                file: file.to_owned(),
                number: index + 1,
                reason: error.to_string(),
            })?;
        }
        Self::trusting(roots)
    }

    /// Trusts the system's roots.
    ///
    /// # Errors
    /// The system has none.
    pub fn from_system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let reasons: Vec<_> = found.errors.iter().map(|error| format!(" ({error})")).collect();
            return Err(TlsError::NoRoots(reasons.concat()));
        }
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }
}
