//! Authentication: who is calling, proved by a signed token. No sockets: keys come from outside, time is an argument.
//!
//! A token's way: [`bearer`] finds it in the request, [`Authenticator::verify`] looks into its cache, else takes it apart
//! (`jws`), picks the issuer, judges the claims and the signature (`verify`) with that issuer's [`KeyStore`] (`jwks`),
//! and makes the [`Identity`]. [`challenge`] words the refusal.
//!
//! Deliberately absent: HMAC and `none`, encrypted tokens, keys offered by the token itself, introspection of opaque
//! tokens, a memory of refused tokens.

mod algorithm;
mod authenticator;
mod bearer;
mod cache;
#[cfg(test)]
mod fixture;
mod identity;
mod issuer;
mod jwks;
mod jws;
mod key_store;
mod mint;
mod pem;
mod refetch;
mod signing_key;
mod verify;

use std::sync::Arc;

pub use algorithm::Algorithm;
pub use authenticator::Authenticator;
pub use bearer::{bearer, challenge};
pub use identity::Identity;
pub use issuer::Issuer;
pub use key_store::{JwksSource, KeyStatus, KeyStore, check_jwks};
pub use mint::{mint, public_jwks};
pub use signing_key::{SigningKey, SigningKeyError};

/// Why a token does not hold.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Any defect of the token; the text is safe for `WWW-Authenticate`'s `error_description`.
    #[error("{0}")]
    Invalid(&'static str),
    /// The issuer's keys were never had: 503, unless the first fetch is worth waiting for ([`KeyStore::is_awaited`]).
    #[error("the keys of issuer {issuer} are not available")]
    KeysUnavailable {
        /// Whose keys they are.
        issuer: Arc<str>,
        /// Where they will be.
        keys: Arc<KeyStore>,
    },
    /// The key id is unknown: ask [`KeyStore::refetch`] once and verify again. Unknown still, it is a 401, or a 503 if
    /// the issuer can't be asked ([`KeyStore::is_failing`]).
    #[error("the token's key is not known")]
    UnknownKey {
        /// Whose keys to fetch again.
        keys: Arc<KeyStore>,
        /// The key id asked for.
        kid: Option<String>,
    },
}
