//! A JWK set (RFC 7517) read into keys that are ready to verify.
//!
//! A key is bound here, once, to the algorithms that its `kty`, `crv`, `alg`, `use` and `key_ops` admit; nothing later
//! can use it otherwise. A key that can't be used is left out with a reason, so that one odd key takes nobody down.
//! Symmetric keys (`oct`) are never used: a verifier that holds one could also sign.

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents as RsaPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Algorithm;
use super::algorithm::KeyKind;
use crate::types::strict_json;

/// Most keys in one set; real ones have fewer than ten.
const MAX_KEYS: usize = 256;

/// Why a document gives no keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwksError {
    #[error("not a JWK set: {0}")]
    NotJson(String),
    #[error("not a JWK set: it has no member \"keys\" with a list of keys")]
    NoKeyList,
    #[error("has {0} keys; at most {MAX_KEYS} are read")]
    TooMany(usize),
    #[error("has no key that can verify a token{0}")]
    NoneUsable(String),
}

/// The usable keys of a set.
#[derive(Debug, Default)]
pub(super) struct Jwks {
    /// At least one, in the order of the document.
    pub(super) keys: Vec<VerifyingKey>,
    /// Which keys were left out and why, for people.
    pub(super) skipped: Vec<String>,
}

impl Jwks {
    /// Reads a document.
    ///
    /// # Errors
    /// Not a JWK set, or no key in it can be used.
    pub(super) fn parse(document: &str) -> Result<Self, JwksError> {
        let members =
            strict_json::object(document.as_bytes()).map_err(|error| JwksError::NotJson(error.to_string()))?;
        let Some(Value::Array(list)) = members.get("keys") else { return Err(JwksError::NoKeyList) };
        if list.len() > MAX_KEYS {
            return Err(JwksError::TooMany(list.len()));
        }
        let mut set = Self::default();
        for (index, jwk) in list.iter().enumerate() {
            match VerifyingKey::from_jwk(jwk) {
                Ok(key) if set.keys.contains(&key) => {}
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skipped.push(format!("key {}{}: {reason}", index + 1, kid_in_words(jwk))),
            }
        }
        if set.keys.is_empty() {
            let reasons: Vec<_> = set.skipped.iter().map(|reason| format!("; {reason}")).collect();
            return Err(JwksError::NoneUsable(reasons.concat()));
        }
        Ok(set)
    }
}

fn kid_in_words(jwk: &Value) -> String {
    jwk.get("kid").and_then(Value::as_str).map(|kid| format!(" ({kid:?})")).unwrap_or_default()
}

/// A public key and all it may be used for.
pub(super) struct VerifyingKey {
    kid: Option<String>,
    uses: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerifyingKey {
    /// The key's id, if it has one.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key as it verifies one algorithm; `None` if it must not be used for that.
    pub(super) fn for_algorithm(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.uses.iter().find(|(bound, _)| *bound == algorithm).map(|(_, key)| key)
    }

    fn from_jwk(jwk: &Value) -> Result<Self, String> {
        let jwk = jwk.as_object().ok_or("it is not an object")?;
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err("its kid is not a string".into()),
        };
        let kind = kind(jwk)?;
        check_purpose(jwk)?;
        let uses = algorithms(jwk, kind)?
            .into_iter()
            .map(|algorithm| Ok((algorithm, public_key(jwk, algorithm)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { kid, uses })
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let same_use = |(a, b): (&(Algorithm, ParsedPublicKey), &(Algorithm, ParsedPublicKey))| {
            a.0 == b.0 && a.1.as_ref() == b.1.as_ref()
        };
        self.kid == other.kid && self.uses.len() == other.uses.len() && self.uses.iter().zip(&other.uses).all(same_use)
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithms: Vec<_> = self.uses.iter().map(|(algorithm, _)| algorithm.as_str()).collect();
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("uses", &algorithms).finish()
    }
}

fn kind(jwk: &Map<String, Value>) -> Result<KeyKind, String> {
    let name = |member: &str| jwk.get(member).and_then(Value::as_str);
    match (name("kty").ok_or("it has no kty")?, name("crv")) {
        ("RSA", _) => Ok(KeyKind::Rsa),
        ("EC", Some("P-256")) => Ok(KeyKind::P256),
        ("EC", Some("P-384")) => Ok(KeyKind::P384),
        ("OKP", Some("Ed25519")) => Ok(KeyKind::Ed25519),
        ("oct", _) => Err("symmetric keys (oct) are never used".into()),
        (kty @ ("EC" | "OKP"), Some(curve)) => Err(format!("the curve {curve:?} of {kty} is not supported")),
        ("EC" | "OKP", None) => Err("it has no crv".into()),
        (kty, _) => Err(format!("the key type {kty:?} is not supported")),
    }
}

fn check_purpose(jwk: &Map<String, Value>) -> Result<(), String> {
    // A published private key is the world's key.
    if jwk.contains_key("d") {
        return Err("it contains its private part (d); publish the public part of a new key".into());
    }
    match jwk.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(purpose) => return Err(format!("its use is {purpose}, not \"sig\"")),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(operations) => Err(format!("its key_ops {operations} do not include \"verify\"")),
    }
}

fn algorithms(jwk: &Map<String, Value>, kind: KeyKind) -> Result<Vec<Algorithm>, String> {
    let Some(alg) = jwk.get("alg") else { return Ok(kind.algorithms().collect()) };
    let algorithm = alg
        .as_str()
        .and_then(Algorithm::from_name)
        .ok_or_else(|| format!("its alg {alg} is not a supported signature algorithm"))?;
    if algorithm.key_kind() != kind {
        return Err(format!("its alg {alg} does not fit its type"));
    }
    Ok(vec![algorithm])
}

fn public_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<ParsedPublicKey, String> {
    match algorithm {
        Algorithm::Rs256 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => rsa(jwk, &signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => rsa(jwk, &signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 => elliptic(jwk, 32, &signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => elliptic(jwk, 48, &signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDsa => {
            let x = bytes(jwk, "x")?;
            if x.len() != 32 {
                return Err("its x is not 32 bytes".into());
            }
            ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| "its x is no Ed25519 key".into())
        }
    }
}

/// The library judges size and exponent only when it verifies, so they are judged here.
fn rsa(jwk: &Map<String, Value>, parameters: &'static RsaParameters) -> Result<ParsedPublicKey, String> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(format!("its modulus has {bits} bits; 2048 to 8192 are accepted"));
    }
    let is_odd = e.last().is_some_and(|byte| byte % 2 == 1);
    if e.len() > 4 || !is_odd || e == [1] {
        return Err("its exponent is not an odd number from 3 to 32 bits".into());
    }
    RsaPublicKey { n, e }.to_parsed_public_key(parameters).map_err(|_| "its n and e are no RSA key".into())
}

fn elliptic(
    jwk: &Map<String, Value>,
    width: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<ParsedPublicKey, String> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != width || y.len() != width {
        return Err(format!("its x and y are not {width} bytes each"));
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    ParsedPublicKey::new(algorithm, point).map_err(|_| "its x and y are not a point of its curve".into())
}

/// Some issuers write the sign byte that DER would have; it means nothing in an unsigned number.
fn number(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, String> {
    let bytes = bytes(jwk, member)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes[zeros..].to_vec())
}

fn bytes(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, String> {
    let text = jwk.get(member).and_then(Value::as_str).ok_or_else(|| format!("it has no {member}"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its {member} is not base64url without padding"))
}

#[cfg(test)]
mod tests;
