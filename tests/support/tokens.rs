//! Signs access tokens of any shape, good and bad. Keys are made anew for each mint.
//!
//! Deliberately not the library's own minting: what signs here must not share a mistake with what verifies there.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const ISSUER: &str = "https://auth.shop.example";
const AUDIENCE: &str = "shop-api";
const KEY_ID: &str = "test-key";

pub(crate) fn unix_now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(elapsed.as_secs()).expect("a date")
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One issuer with one P-256 key.
#[derive(Debug)]
pub(crate) struct TokenMint {
    key: EcdsaKeyPair,
}

impl TokenMint {
    pub(crate) fn new() -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key") }
    }

    /// The public key as a JWKS document.
    pub(crate) fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": encode(&point[1..33]), "y": encode(&point[33..65]),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The `auth` section that trusts this mint, whose keys lie beside the configuration.
    pub(crate) fn auth_section(&self) -> String {
        format!(
            "  issuers:\n    - {{issuer: \"{ISSUER}\", audiences: [{AUDIENCE}], algorithms: [ES256], leeway: 0s,\n       \
             jwks: {{file: jwks.json}}}}\n  identity_headers: {{sub: x-user-id, role: x-user-role}}"
        )
    }

    pub(crate) fn header() -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID })
    }

    pub(crate) fn claims(subject: &str) -> Value {
        let now = unix_now();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "role": "customer",
            "iat": now, "nbf": now - 1, "exp": now + 3600,
        })
    }

    /// A good token.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.sign(&Self::header(), &Self::claims(subject))
    }

    /// Signs any header and claims with the mint's key.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).expect("a signature");
        format!("{input}.{}", encode(signature))
    }

    /// The classic forgery: HMAC with the public key as its secret.
    pub(crate) fn sign_with_public_key(&self, claims: &Value) -> String {
        let input = signing_input(&json!({ "alg": "HS256", "typ": "JWT", "kid": KEY_ID }), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public_key().as_ref());
        format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes())))
    }

    /// No signature at all.
    pub(crate) fn unsigned(claims: &Value) -> String {
        format!("{}.", signing_input(&json!({ "alg": "none", "typ": "JWT" }), claims))
    }
}

fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string()), encode(claims.to_string()))
}
