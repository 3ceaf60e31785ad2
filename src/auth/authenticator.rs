//! From a token to a caller, for one set of issuers: cache, then issuer, claims, keys, signature.

use std::sync::Arc;

use super::cache::{Entry, TokenCache};
use super::jws::Jws;
use super::verify::{SignatureError, check_claims, check_signature, subject};
use super::{AuthError, Identity, Issuer, identity};
use crate::clock::Timestamp;

/// Size of the cache of verified tokens, in KiB of token text: 10,000 tokens of up to 1 KiB.
const CACHE_KIB: usize = 10_000;

/// Verifies tokens against the issuers of one snapshot, behind a bounded cache of verified tokens.
pub struct Authenticator {
    issuers: Vec<Issuer>,
    /// `iss` of each issuer, shared with the identities it vouches for.
    names: Vec<Arc<str>>,
    identity_headers: Vec<(String, Arc<str>)>,
    header_names: Vec<Arc<str>>,
    cache: TokenCache,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("issuers", &self.names)
            .field("identity_headers", &self.identity_headers)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// `identity_headers`: claim → header name (lower case), as configured.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>, identity_headers: Vec<(String, String)>) -> Self {
        let names = issuers.iter().map(|issuer| Arc::from(issuer.issuer.as_str())).collect();
        let identity_headers: Vec<(String, Arc<str>)> =
            identity_headers.into_iter().map(|(claim, name)| (claim, name.into())).collect();
        let header_names = identity_headers.iter().map(|(_, name)| Arc::clone(name)).collect();
        let capacity = if issuers.is_empty() { 1 } else { CACHE_KIB };
        Self { issuers, names, identity_headers, header_names, cache: TokenCache::new(capacity) }
    }

    /// `previous` itself if it has the same settings, so that a reload of something else keeps the cache warm; else a new one.
    #[must_use]
    pub fn renew(
        previous: Option<&Arc<Self>>,
        issuers: Vec<Issuer>,
        identity_headers: Vec<(String, String)>,
    ) -> Arc<Self> {
        match previous {
            Some(previous) if previous.is_same_as(&issuers, &identity_headers) => Arc::clone(previous),
            _ => Arc::new(Self::new(issuers, identity_headers)),
        }
    }

    /// Whether it was made from these settings and these very key stores.
    #[must_use]
    pub fn is_same_as(&self, issuers: &[Issuer], identity_headers: &[(String, String)]) -> bool {
        let same_header =
            |(mine, theirs): (&(String, Arc<str>), &(String, String))| mine.0 == theirs.0 && *mine.1 == *theirs.1;
        self.issuers.len() == issuers.len()
            && self.issuers.iter().zip(issuers).all(|(mine, theirs)| mine.is_same_as(theirs))
            && self.identity_headers.len() == identity_headers.len()
            && self.identity_headers.iter().zip(identity_headers).all(same_header)
    }

    /// Verifies a compact JWS.
    ///
    /// # Errors
    /// [`AuthError`] says why it does not hold.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, AuthError> {
        let generation_of = |issuer: usize| self.issuers[issuer].keys.generation();
        match self.cache.get(token, now, generation_of) {
            Some(identity) => Ok(identity),
            None => self.verify_anew(token, now),
        }
    }

    /// Names (lower case) of the headers that carry identity to backends; client copies are stripped.
    #[must_use]
    pub fn identity_header_names(&self) -> &[Arc<str>] {
        &self.header_names
    }

    /// The issuers, in the order configured.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    fn verify_anew(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, AuthError> {
        let jws = Jws::parse(token)?;
        let index = self.issuer_of(&jws)?;
        let issuer = &self.issuers[index];
        let validity = check_claims(&jws, issuer, now)?;
        let subject = Arc::from(subject(&jws.claims)?);
        let keys = issuer.keys.current();
        if keys.generation == 0 {
            let (issuer, keys) = (Arc::clone(&self.names[index]), Arc::clone(&issuer.keys));
            return Err(AuthError::KeysUnavailable { issuer, keys });
        }
        check_signature(&jws, &keys).map_err(|error| match error {
            SignatureError::Invalid(text) => AuthError::Invalid(text),
            SignatureError::UnknownKey => {
                AuthError::UnknownKey { keys: Arc::clone(&issuer.keys), kid: jws.kid.clone() }
            }
        })?;
        let identity = Arc::new(Identity {
            subject,
            issuer: Arc::clone(&self.names[index]),
            headers: identity::headers(&jws.claims, &self.identity_headers),
            claims: jws.claims,
            expires: validity.expires,
        });
        self.cache.put(Entry {
            token: token.into(),
            identity: Arc::clone(&identity),
            from: validity.from,
            until: validity.until,
            issuer: index,
            generation: keys.generation,
        });
        Ok(identity)
    }

    fn issuer_of(&self, jws: &Jws<'_>) -> Result<usize, AuthError> {
        let name = match jws.claims.get("iss") {
            None => return Err(AuthError::Invalid("the token has no iss")),
            Some(name) => name.as_str().ok_or(AuthError::Invalid("the token's iss is not a string"))?,
        };
        let known = self.issuers.iter().position(|issuer| issuer.issuer == name);
        known.ok_or(AuthError::Invalid("the token's issuer is not known here"))
    }
}

#[cfg(test)]
mod tests;
