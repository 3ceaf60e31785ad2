//! The server side of TLS: certificate chains and keys to one configuration.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::resolver::ByServerName;
use super::{TlsError, Validity, certificates, malformed, provider, validities};

/// The server side: certificates chosen by server name (SNI), ALPN `h2` and `http/1.1`.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// Handed to the TLS acceptor.
    pub config: Arc<rustls::ServerConfig>,
    /// The dates of every certificate that clients are shown.
    pub validities: Vec<Validity>,
}

/// One certificate chain and its key, as PEM, with the names of their files for messages.
#[derive(Clone, Copy)]
pub struct CertificatePem<'a> {
    /// File of the chain, as configured.
    pub certificate_file: &'a str,
    /// The chain, leaf first.
    pub certificate: &'a [u8],
    /// File of the key, as configured.
    pub key_file: &'a str,
    /// The private key.
    pub key: &'a [u8],
}

impl std::fmt::Debug for CertificatePem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificatePem").field("certificate_file", &self.certificate_file).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Builds from PEM that was read already, so that what was hashed is what is served. A client without SNI, or with a
    /// name no certificate has, gets the first.
    ///
    /// # Errors
    /// Broken or mismatching material, by file.
    pub fn from_pem(pairs: &[CertificatePem<'_>]) -> Result<Self, TlsError> {
        let keys = pairs.iter().map(certified_key).collect::<Result<Vec<_>, _>>()?;
        let validities = pairs.iter().map(|pem| validities(pem.certificate_file, pem.certificate));
        let validities = validities.collect::<Result<Vec<_>, _>>()?.concat();
        let resolver = ByServerName::new(keys).ok_or(TlsError::NoPairs)?;
        let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Tickets keep resumption state at the client; rustls' default keeps 256 sessions here, too few for a shop.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(setup)?;
        Ok(Self { config: Arc::new(config), validities })
    }
}

fn certified_key(pem: &CertificatePem<'_>) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(pem.certificate_file, pem.certificate)?;
    for (index, certificate) in chain.iter().enumerate() {
        ParsedCertificate::try_from(certificate).map_err(|error| TlsError::BadCertificate {
            file: pem.certificate_file.to_owned(),
            number: index + 1,
            reason: error.to_string(),
        })?;
    }
    let key = PrivateKeyDer::from_pem_slice(pem.key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: pem.key_file.to_owned() },
        other => malformed(pem.key_file, &other),
    })?;
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::BadKey { file: pem.key_file.to_owned(), reason: error.to_string() })?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| TlsError::Mismatch {
        certificate: pem.certificate_file.to_owned(),
        key: pem.key_file.to_owned(),
    })?;
    Ok(Arc::new(certified))
}
