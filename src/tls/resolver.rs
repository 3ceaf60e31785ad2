//! Which certificate a client gets: the first whose names include the one it asked for.
//!
//! A certificate's own names decide, by the rules that clients check them with (RFC 9525, wildcards
//! for one leftmost label), so there is no list of names to keep in step with the files.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates in the order configured; at least one.
#[derive(Debug)]
pub(super) struct ByServerName {
    first: Arc<CertifiedKey>,
    all: Vec<Arc<CertifiedKey>>,
}

impl ByServerName {
    /// `None` if there is no certificate at all.
    pub(super) fn new(all: Vec<Arc<CertifiedKey>>) -> Option<Self> {
        Some(Self { first: Arc::clone(all.first()?), all })
    }

    /// Of the certificates that have the name, the first whose key the client understands; else
    /// the first that has the name; else the first of all.
    pub(super) fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let Some(name) = name.and_then(|name| ServerName::try_from(name).ok()) else {
            return Arc::clone(&self.first);
        };
        let mut named = self.all.iter().filter(|key| has_name(key, &name)).peekable();
        let fallback = named.peek().copied().unwrap_or(&self.first);
        Arc::clone(named.find(|key| key.key.choose_scheme(schemes).is_some()).unwrap_or(fallback))
    }
}

fn has_name(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = key.end_entity_cert().ok().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name(), hello.signature_schemes()))
    }
}
