//! Whether a token holds: its claims against an issuer's rules, its signature against the issuer's keys.
//!
//! Claims come first because they are cheap: a flood of expired tokens must not cost a signature each. Nothing in a token
//! is believed before both have passed.
//!
//! `iat` must be a number if present and is not compared with the clock: RFC 7519 gives it no such meaning, `nbf` has it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::jws::{ALGORITHM_NOT_ACCEPTED, Jws};
use super::key_store::KeySet;
use super::{AuthError, Issuer};
use crate::clock::Timestamp;

/// Most keys that are tried on a token that names none.
const MAX_TRIES: usize = 8;

/// Longest `sub`, in bytes.
const MAX_SUBJECT_BYTES: usize = 512;

/// When a token holds, as far as time goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// First moment at which it holds, leeway included.
    pub(super) from: Timestamp,
    /// First moment at which it no longer holds, leeway included.
    pub(super) until: Timestamp,
    /// Its `exp`.
    pub(super) expires: Timestamp,
}

/// Why a signature can't be accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// Fresh keys might change the answer.
    UnknownKey,
    /// They would not.
    Invalid(&'static str),
}

/// Judges the claims of a token of `issuer`.
///
/// # Errors
/// [`AuthError::Invalid`] with the first defect.
pub(super) fn check_claims(jws: &Jws<'_>, issuer: &Issuer, now: Timestamp) -> Result<Validity, AuthError> {
    if !issuer.algorithms.contains(&jws.algorithm) {
        return Err(ALGORITHM_NOT_ACCEPTED);
    }
    let validity = check_times(&jws.claims, issuer.leeway, now)?;
    check_audience(jws.claims.get("aud"), &issuer.audiences)?;
    Ok(validity)
}

fn check_times(claims: &Map<String, Value>, leeway: Duration, now: Timestamp) -> Result<Validity, AuthError> {
    let expires = numeric_date(claims, "exp", "the token's exp is not a number")?
        .ok_or(AuthError::Invalid("the token has no exp"))?;
    let not_before = numeric_date(claims, "nbf", "the token's nbf is not a number")?;
    numeric_date(claims, "iat", "the token's iat is not a number")?;
    let leeway_millis = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
    let from = not_before.map_or(Timestamp(i64::MIN), |moment| Timestamp(moment.0.saturating_sub(leeway_millis)));
    let until = expires.plus(leeway);
    if now >= until {
        return Err(AuthError::Invalid("the token has expired"));
    }
    if now < from {
        return Err(AuthError::Invalid("the token is not valid yet"));
    }
    Ok(Validity { from, until, expires })
}

/// RFC 7519 section 2: seconds since the epoch, possibly with a fraction.
fn numeric_date(claims: &Map<String, Value>, name: &str, defect: &'static str) -> Result<Option<Timestamp>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(Timestamp(seconds.saturating_mul(1000))));
    }
    let seconds = value.as_f64().ok_or(AuthError::Invalid(defect))?;
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what a far future should do")]
    let millis = (seconds * 1000.0).floor() as i64;
    Ok(Some(Timestamp(millis)))
}

fn check_audience(aud: Option<&Value>, ours: &[String]) -> Result<(), AuthError> {
    if ours.is_empty() {
        return Ok(());
    }
    let is_ours = |value: &Value| value.as_str().is_some_and(|name| ours.iter().any(|our| our == name));
    let holds = match aud {
        None => return Err(AuthError::Invalid("the token has no aud")),
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => names.iter().any(is_ours),
        Some(name @ Value::String(_)) => is_ours(name),
        Some(_) => return Err(AuthError::Invalid("the token's aud is neither a string nor a list of strings")),
    };
    if holds { Ok(()) } else { Err(AuthError::Invalid("the token is for another audience")) }
}

/// The caller's name: it becomes a header, a log field and what percentages stick to.
///
/// # Errors
/// [`AuthError::Invalid`]: missing, empty, too long, or with control characters.
pub(super) fn subject(claims: &Map<String, Value>) -> Result<&str, AuthError> {
    match claims.get("sub") {
        None => Err(AuthError::Invalid("the token has no sub")),
        Some(Value::String(sub)) if sub.is_empty() => Err(AuthError::Invalid("the token's sub is empty")),
        Some(Value::String(sub)) if sub.len() > MAX_SUBJECT_BYTES => {
            Err(AuthError::Invalid("the token's sub is longer than 512 bytes"))
        }
        Some(Value::String(sub)) if sub.chars().any(char::is_control) => {
            Err(AuthError::Invalid("the token's sub contains control characters"))
        }
        Some(Value::String(sub)) => Ok(sub),
        Some(_) => Err(AuthError::Invalid("the token's sub is not a string")),
    }
}

/// Judges the signature: with the key that the token names, or, if it names none, with each key that fits.
///
/// # Errors
/// [`SignatureError`]. A token without `kid` that no key verifies may be from a key that is not known yet.
pub(super) fn check_signature(jws: &Jws<'_>, keys: &KeySet) -> Result<(), SignatureError> {
    let named = jws.kid.as_deref();
    let mut is_named_key_known = false;
    let mut tries = 0;
    for key in keys.keys().iter().filter(|key| named.is_none() || key.kid() == named) {
        is_named_key_known = named.is_some();
        let Some(key) = key.for_algorithm(jws.algorithm) else { continue };
        if key.verify_sig(jws.signed, &jws.signature).is_ok() {
            return Ok(());
        }
        tries += 1;
        if tries == MAX_TRIES {
            break;
        }
    }
    match (is_named_key_known, tries) {
        (false, _) => Err(SignatureError::UnknownKey),
        (true, 0) => Err(SignatureError::Invalid("the token's signature algorithm is not its key's")),
        (true, _) => Err(SignatureError::Invalid("the token's signature does not hold")),
    }
}

#[cfg(test)]
mod tests;
