//! Authentication: who is calling, proved by a signed token. Pure: keys come from outside, time is an argument.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// Signature algorithms that an issuer may be allowed; HMAC and `none` do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// What one issuer's tokens must be.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss`.
    pub issuer: String,
    /// Any of these in `aud`; empty: `aud` is not checked.
    pub audiences: Vec<String>,
    /// Allowed signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Tolerance on `exp` and `nbf`.
    pub leeway: Duration,
    /// Where its keys are; lives longer than the snapshot.
    pub keys: Arc<KeyStore>,
}

/// A verified caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// The token's `sub`.
    pub subject: Arc<str>,
    /// Which issuer vouches for it.
    pub issuer: Arc<str>,
    /// All claims.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Ready-made identity headers for backends: name (lower case) and value.
    pub headers: Vec<(Arc<str>, String)>,
    /// When the token ends (`exp`).
    pub expires: Timestamp,
}

/// Why a token does not hold.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Any defect of the token; the text is safe for `WWW-Authenticate`'s `error_description`.
    #[error("{0}")]
    Invalid(&'static str),
    /// The issuer's keys were never had: 503.
    #[error("the keys of issuer {0} are not available")]
    KeysUnavailable(Arc<str>),
    /// The key id is unknown: ask [`KeyStore::refetch`] once and verify again.
    #[error("the token's key is not known")]
    UnknownKey {
        /// Whose keys to fetch again.
        keys: Arc<KeyStore>,
        /// The key id asked for.
        kid: Option<String>,
    },
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JwksSource {
    /// A file, read with the configuration.
    File(std::path::PathBuf),
    /// A URL, fetched in the background.
    Url {
        /// `http` or `https`.
        url: String,
        /// How often it is fetched again (5 min).
        refresh: Duration,
    },
}

/// The keys of one source; replaced as a whole, shared by snapshots, fed by `config` (file) or `reload` (URL).
#[derive(Debug)]
pub struct KeyStore {
    source: JwksSource,
}

impl KeyStore {
    /// An empty store for a source.
    #[must_use]
    pub fn new(source: JwksSource) -> Self {
        Self { source }
    }

    /// Where the keys come from.
    #[must_use]
    pub fn source(&self) -> &JwksSource {
        &self.source
    }

    /// Replaces all keys by those of a JWKS document; the old ones stay on an error. Returns how many are usable.
    ///
    /// # Errors
    /// Not a JWKS, or no usable key in it.
    pub fn install(&self, document: &str) -> Result<usize, String> {
        let _ = document;
        todo!()
    }

    /// Keys were installed at least once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// Asks the fetcher for fresh keys because `kid` is unknown, and waits until that fetch ended (bounded by 5 s).
    /// Single flight; at most one in 10 s; a `kid` that a fetch did not bring is remembered and not asked for again within that time. `true` if it is worth verifying again.
    pub async fn refetch(&self, kid: Option<&str>) -> bool {
        let _ = kid;
        todo!()
    }

    /// The fetcher waits here for [`KeyStore::refetch`] to ask.
    pub async fn wanted(&self) {
        todo!()
    }

    /// The fetcher reports that a fetch ended, well or not.
    pub fn fetch_ended(&self, error: Option<String>) {
        let _ = error;
        todo!()
    }
}

/// Verifies tokens against the issuers of one snapshot, behind a bounded cache of verified tokens.
pub struct Authenticator {}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// `identity_headers`: claim → header name (lower case), as configured.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>, identity_headers: Vec<(String, String)>) -> Self {
        let _ = (issuers, identity_headers);
        todo!()
    }

    /// Verifies a compact JWS.
    ///
    /// # Errors
    /// [`AuthError`] says why it does not hold.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, AuthError> {
        let _ = (token, now);
        todo!()
    }

    /// Names (lower case) of the headers that carry identity to backends; client copies are stripped.
    #[must_use]
    pub fn identity_header_names(&self) -> &[Arc<str>] {
        todo!()
    }
}

/// Reads a bearer token out of an `Authorization` value; another scheme is no bearer token.
///
/// # Errors
/// A `Bearer` without a usable token.
pub fn bearer(value: &[u8]) -> Result<Option<&str>, AuthError> {
    let _ = value;
    todo!()
}

/// The `WWW-Authenticate` value that goes with a refusal (RFC 6750, section 3).
#[must_use]
pub fn challenge(realm: &str, error: Option<&AuthError>) -> String {
    let _ = (realm, error);
    todo!()
}
