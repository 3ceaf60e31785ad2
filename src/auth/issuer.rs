//! An issuer: what its tokens must be, and where its keys are.

use std::sync::Arc;
use std::time::Duration;

use super::{Algorithm, KeyStore};

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

impl Issuer {
    /// Whether a token verified under `other` would have been verified alike under this one.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.audiences == other.audiences
            && self.algorithms == other.algorithms
            && self.leeway == other.leeway
            && Arc::ptr_eq(&self.keys, &other.keys)
    }
}
