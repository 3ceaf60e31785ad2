//! Certificates and trust roots: PEM files in, ready TLS configurations out. No sockets.

use std::path::Path;
use std::sync::Arc;

/// Why TLS material can't be used; the text names the file and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub String);

/// The server side: certificates chosen by server name (SNI), ALPN `h2` and `http/1.1`.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// Handed to the TLS acceptor.
    pub config: Arc<rustls::ServerConfig>,
}

/// The client side.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// Handed to the TLS connector; no ALPN set, the caller clones and sets it.
    pub config: Arc<rustls::ClientConfig>,
}

impl ServerTls {
    /// Builds from pairs of PEM files (certificate chain, private key). A client without SNI, or with a name no certificate has, gets the first.
    ///
    /// # Errors
    /// Unreadable or mismatching files, by name.
    pub fn from_files(pairs: &[(&Path, &Path)]) -> Result<Self, TlsError> {
        let _ = pairs;
        todo!()
    }
}

impl ClientTls {
    /// Trusts the certificates of a PEM file, or the system's roots.
    ///
    /// # Errors
    /// An unreadable or empty file, by name.
    pub fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        let _ = ca;
        todo!()
    }
}
