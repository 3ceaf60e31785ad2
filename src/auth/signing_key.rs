//! A private key that signs tokens: for development, demonstration and tests. The gateway itself never signs.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    RsaPublicKeyComponents as RsaPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::algorithm::KeyKind;
use super::{Algorithm, pem};
use crate::types::strict_json;

/// Why a private key can't be used or does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Neither PEM nor a JWK.
    #[error("no private key found; write PEM with a section \"PRIVATE KEY\" (PKCS #8), or a private JWK")]
    NoKey,
    /// PEM that needs a password.
    #[error("the private key is encrypted; decrypt it first, e.g. with `openssl pkcs8 -in FILE -out NEW_FILE`")]
    Encrypted,
    /// A kind of key, or an algorithm, that is not supported.
    #[error("{0}; use RSA (2048 bits or more), EC P-256 or P-384, or Ed25519")]
    Unsupported(String),
    /// A JWK whose members are missing or don't belong together.
    #[error("the private JWK is not valid: {0}")]
    BadJwk(String),
    /// An algorithm that the key can't do.
    #[error("the key can't sign with {wanted}; it is a key for {fitting}")]
    AlgorithmMismatch {
        /// What was asked for.
        wanted: Algorithm,
        /// What it can do.
        fitting: String,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library failed to {0}")]
    Library(&'static str),
}

/// A private key and the algorithm it signs with.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads PEM (PKCS #8, PKCS #1, SEC 1) or a private JWK, whichever the text is. RSA keys sign with RS256 until
    /// [`SigningKey::with_algorithm`] says otherwise; a JWK's own `alg` is obeyed.
    ///
    /// # Errors
    /// [`SigningKeyError`] says what to write instead.
    pub fn from_text(text: &str) -> Result<Self, SigningKeyError> {
        if text.trim_start().starts_with('{') { Self::from_jwk(text) } else { Self::from_pem(text) }
    }

    /// Makes a new key; RSA keys have 2048 bits.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let failed = |_| SigningKeyError::Library("make a key");
        let pair = match algorithm.key_kind() {
            KeyKind::Rsa => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?)),
            KeyKind::P256 => Pair::Ec(EcdsaKeyPair::generate(P256).map_err(failed)?),
            KeyKind::P384 => Pair::Ec(EcdsaKeyPair::generate(P384).map_err(failed)?),
            KeyKind::Ed25519 => Pair::Ed(Ed25519KeyPair::generate().map_err(failed)?),
        };
        Ok(Self { algorithm, pair })
    }

    /// The same key with another of its algorithms; only RSA keys have a choice.
    ///
    /// # Errors
    /// The key can't do that.
    pub fn with_algorithm(self, wanted: Algorithm) -> Result<Self, SigningKeyError> {
        let kind = self.algorithm.key_kind();
        if wanted.key_kind() == kind {
            return Ok(Self { algorithm: wanted, ..self });
        }
        let fitting: Vec<_> = kind.algorithms().map(Algorithm::as_str).collect();
        Err(SigningKeyError::AlgorithmMismatch { wanted, fitting: fitting.join(", ") })
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as PEM (PKCS #8).
    ///
    /// # Errors
    /// The key can't be written.
    pub fn to_pem(&self) -> Result<String, SigningKeyError> {
        let failed = |_| SigningKeyError::Library("write the key");
        let der = match &self.pair {
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map_err(failed)?.as_ref().to_vec(),
            Pair::Ec(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            // Version 1, because other programs choke on version 2.
            Pair::Ed(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(pem::write_pkcs8(&der))
    }

    /// The key id used where none is given: the public key's SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // The members that the RFC wants, sorted by name, without white space.
        let mut members: Vec<_> = self.public_members().into_iter().collect();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let text = Value::Object(members.into_iter().collect()).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// The public part as a JWK set of one key; its `kid` is the thumbprint unless given.
    #[must_use]
    pub fn public_jwks(&self, kid: Option<&str>) -> String {
        let mut key = self.public_members();
        key.insert("kid".into(), kid.map_or_else(|| self.thumbprint(), str::to_owned).into());
        key.insert("use".into(), "sig".into());
        key.insert("alg".into(), self.algorithm.as_str().into());
        json!({ "keys": [key] }).to_string()
    }

    /// Joins and signs a header and a payload as they are, whatever they say; [`super::mint`] makes sensible ones.
    ///
    /// # Errors
    /// The library refused to sign.
    pub fn sign(&self, header: &str, payload: &str) -> Result<String, SigningKeyError> {
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        let failed = |_| SigningKeyError::Library("sign");
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(self.algorithm), &random, message, &mut out).map_err(failed)?;
                Ok(out)
            }
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }

    /// `kty` and the members that make the public key, as RFC 7638 lists them.
    fn public_members(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let mut members = Map::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKey::<Vec<u8>>::from(pair.public_key());
                members.insert("kty".into(), "RSA".into());
                members.insert("n".into(), text(&public.n));
                members.insert("e".into(), text(&public.e));
            }
            Pair::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                members.insert("kty".into(), "EC".into());
                members.insert("crv".into(), curve.into());
                members.insert("x".into(), text(x));
                members.insert("y".into(), text(y));
            }
            Pair::Ed(pair) => {
                members.insert("kty".into(), "OKP".into());
                members.insert("crv".into(), "Ed25519".into());
                members.insert("x".into(), text(pair.public_key().as_ref()));
            }
        }
        members
    }

    fn from_pem(text: &str) -> Result<Self, SigningKeyError> {
        let (label, der) = pem::private_key(text).ok_or(SigningKeyError::NoKey)?;
        let unsupported = || SigningKeyError::Unsupported(format!("the key in section {label:?} is not supported"));
        let rsa = |pair: RsaKeyPair| Self { algorithm: Algorithm::Rs256, pair: Pair::Rsa(Box::new(pair)) };
        let ec = |algorithm, pair| Self { algorithm, pair: Pair::Ec(pair) };
        let ed = |pair| Self { algorithm: Algorithm::EdDsa, pair: Pair::Ed(pair) };
        let elliptic = || {
            EcdsaKeyPair::from_private_key_der(P256, &der)
                .map(|pair| ec(Algorithm::Es256, pair))
                .or_else(|_| EcdsaKeyPair::from_private_key_der(P384, &der).map(|pair| ec(Algorithm::Es384, pair)))
        };
        match label {
            pem::PKCS8 => RsaKeyPair::from_pkcs8(&der)
                .map(rsa)
                .or_else(|_| Ed25519KeyPair::from_pkcs8(&der).map(ed))
                .or_else(|_| elliptic())
                .map_err(|_| unsupported()),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).map(rsa).map_err(|_| unsupported()),
            "EC PRIVATE KEY" => elliptic().map_err(|_| unsupported()),
            "ENCRYPTED PRIVATE KEY" => Err(SigningKeyError::Encrypted),
            _ => Err(unsupported()),
        }
    }

    fn from_jwk(text: &str) -> Result<Self, SigningKeyError> {
        let jwk = strict_json::object(text.as_bytes()).map_err(|error| SigningKeyError::BadJwk(error.to_string()))?;
        let name = |member| jwk.get(member).and_then(Value::as_str);
        let key = match (name("kty"), name("crv")) {
            (Some("RSA"), _) => Self { algorithm: Algorithm::Rs256, pair: Pair::Rsa(Box::new(rsa_pair(&jwk)?)) },
            (Some("EC"), Some("P-256")) => Self { algorithm: Algorithm::Es256, pair: Pair::Ec(ec_pair(&jwk, P256)?) },
            (Some("EC"), Some("P-384")) => Self { algorithm: Algorithm::Es384, pair: Pair::Ec(ec_pair(&jwk, P384)?) },
            (Some("OKP"), Some("Ed25519")) => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes(&jwk, "d")?, &bytes(&jwk, "x")?);
                Self { algorithm: Algorithm::EdDsa, pair: Pair::Ed(pair.map_err(|_| inconsistent())?) }
            }
            (kty, _) => {
                let kind = kty.unwrap_or("nothing");
                return Err(SigningKeyError::Unsupported(format!(
                    "a key of kty {kind:?} and its curve is not supported"
                )));
            }
        };
        match jwk.get("alg") {
            None => Ok(key),
            Some(alg) => match alg.as_str().and_then(Algorithm::from_name) {
                Some(algorithm) => key.with_algorithm(algorithm),
                None => Err(SigningKeyError::BadJwk(format!("its alg {alg} is not a supported signature algorithm"))),
            },
        }
    }
}

const P256: &EcdsaSigningAlgorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
const P384: &EcdsaSigningAlgorithm = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        // A key's algorithm always fits its pair, so this is RS256.
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

fn rsa_pair(jwk: &Map<String, Value>) -> Result<RsaKeyPair, SigningKeyError> {
    let components = KeyPairComponents {
        public_key: RsaPublicKey { n: bytes(jwk, "n")?, e: bytes(jwk, "e")? },
        d: bytes(jwk, "d")?,
        p: bytes(jwk, "p")?,
        q: bytes(jwk, "q")?,
        dP: bytes(jwk, "dp")?,
        dQ: bytes(jwk, "dq")?,
        qInv: bytes(jwk, "qi")?,
    };
    RsaKeyPair::from_components(&components).map_err(|_| inconsistent())
}

fn ec_pair(
    jwk: &Map<String, Value>,
    algorithm: &'static EcdsaSigningAlgorithm,
) -> Result<EcdsaKeyPair, SigningKeyError> {
    let point = [&[4], bytes(jwk, "x")?.as_slice(), bytes(jwk, "y")?.as_slice()].concat();
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes(jwk, "d")?, &point).map_err(|_| inconsistent())
}

fn inconsistent() -> SigningKeyError {
    SigningKeyError::BadJwk("its members do not belong together".into())
}

fn bytes(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, SigningKeyError> {
    let text = jwk.get(member).and_then(Value::as_str);
    let text = text.ok_or_else(|| SigningKeyError::BadJwk(format!("it has no {member}")))?;
    let decoded = URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| SigningKeyError::BadJwk(format!("its {member} is not base64url without padding")))
}

#[cfg(test)]
mod tests;
