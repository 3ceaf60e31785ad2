//! Development tokens: what `figway token`, the demo and tests hand out.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{SigningKey, SigningKeyError};
use crate::clock::Timestamp;

/// A signed token with these claims. `iat` is `now` and `exp` is `ttl` later, unless the claims say otherwise; the key
/// id is the key's thumbprint unless given.
///
/// # Errors
/// The library refused to sign.
pub fn mint(
    key: &SigningKey,
    kid: Option<&str>,
    claims: Map<String, Value>,
    now: Timestamp,
    ttl: Duration,
) -> Result<String, SigningKeyError> {
    let kid = kid.map_or_else(|| key.thumbprint(), str::to_owned);
    let header = json!({"alg": key.algorithm().as_str(), "typ": "JWT", "kid": kid});
    let mut payload = claims;
    payload.entry("iat").or_insert_with(|| now.seconds().into());
    payload.entry("exp").or_insert_with(|| now.plus(ttl).seconds().into());
    key.sign(&header.to_string(), &Value::Object(payload).to_string())
}

/// The JWK set of one private key (PEM or JWK text), public parts only: what goes into an issuer's `jwks` file.
///
/// # Errors
/// [`SigningKeyError`] says what is wrong with the key.
pub fn public_jwks(private_key: &str, kid: Option<&str>) -> Result<String, SigningKeyError> {
    SigningKey::from_text(private_key).map(|key| key.public_jwks(kid))
}

#[cfg(test)]
mod tests {
    use super::super::jws::Jws;
    use super::*;
    use crate::auth::Algorithm;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_minted_token_names_its_key_and_ends() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let token = mint(&key, None, claims(json!({"sub": "alice"})), Timestamp(5_000), Duration::from_secs(60));
        let token = token.expect("a token");
        let jws = Jws::parse(&token).expect("a JWS");
        assert_eq!((jws.algorithm, jws.kid), (Algorithm::EdDsa, Some(key.thumbprint())));
        assert_eq!(Value::Object(jws.claims), json!({"sub": "alice", "iat": 5, "exp": 65}));
    }

    #[test]
    fn claims_and_key_id_given_by_hand_win() {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let own = claims(json!({"exp": 1, "iat": "never"}));
        let token = mint(&key, Some("k1"), own.clone(), Timestamp(5_000), Duration::from_secs(60)).expect("a token");
        let jws = Jws::parse(&token).expect("a JWS");
        assert_eq!((jws.kid.as_deref(), jws.claims), (Some("k1"), own));
    }

    #[test]
    fn a_private_key_gives_its_public_set_only() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let set = public_jwks(&key.to_pem().expect("PEM"), Some("k1")).expect("a set");
        let set: Value = serde_json::from_str(&set).expect("JSON");
        let members: Vec<_> = set["keys"][0].as_object().expect("a key").keys().map(String::as_str).collect();
        assert_eq!(members, ["kty", "crv", "x", "y", "kid", "use", "alg"]);
        assert_eq!(set["keys"][0]["kid"], "k1");
    }
}
