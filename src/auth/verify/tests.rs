//! Against published examples and against another implementation.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::auth::fixture::{NOW, claims, key, store, token};
use crate::auth::{Algorithm, SigningKey};

#[track_caller]
fn check_example(jwk: &Value, token: &str, expected_error: Option<SignatureError>) {
    let store = store(&json!({ "keys": [jwk] }).to_string());
    let jws = Jws::parse(token).expect("a JWS");
    assert_eq!(check_signature(&jws, &store.current()).err(), expected_error);
}

#[test]
fn verifies_the_ecdsa_example_of_rfc_7515() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = concat!(
        "eyJhbGciOiJFUzI1NiJ9.",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    check_example(&jwk, token, None);
    let other_payload = token.replacen("eyJpc3MiOiJqb2UiLA0K", "eyJpc3MiOiJqb2UiLCAg", 1);
    check_example(&jwk, &other_payload, Some(SignatureError::UnknownKey));
}

/// RSA with both paddings, both curves and Ed25519 are read alike by a second implementation.
#[test]
fn another_implementation_accepts_our_tokens() {
    for algorithm in Algorithm::ALL {
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&key(algorithm).public_jwks(None)).expect("a set");
        let decoding = jsonwebtoken::DecodingKey::from_jwk(&set.keys[0]).expect("a key");
        let name: jsonwebtoken::Algorithm = algorithm.as_str().parse().expect("a name");
        let mut rules = jsonwebtoken::Validation::new(name);
        rules.set_audience(&["shop-api"]);
        rules.validate_exp = false;
        let token = token(algorithm, json!({"role": "staff"}));
        let theirs = jsonwebtoken::decode::<Map<String, Value>>(&token, &decoding, &rules).expect("a verified token");
        assert_eq!(theirs.claims, Jws::parse(&token).expect("a JWS").claims);
    }
}

#[test]
fn we_accept_another_implementation_s_tokens() {
    for (algorithm, name) in [
        (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::Es384, jsonwebtoken::Algorithm::ES384),
        (Algorithm::EdDsa, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let signer = SigningKey::generate(algorithm).expect("a key");
        let (_, der) = crate::auth::pem::private_key(&signer.to_pem().expect("PEM"))
            .map(|(l, der)| (l.to_owned(), der))
            .expect("a key");
        let theirs = match algorithm {
            Algorithm::EdDsa => jsonwebtoken::EncodingKey::from_ed_der(&der),
            _ => jsonwebtoken::EncodingKey::from_ec_der(&der),
        };
        let token =
            jsonwebtoken::encode(&jsonwebtoken::Header::new(name), &claims(json!({})), &theirs).expect("a token");
        let jws = Jws::parse(&token).expect("a JWS");
        let store = store(&signer.public_jwks(None));
        assert_eq!(check_signature(&jws, &store.current()), Ok(()), "{algorithm}");
    }
}

#[test]
fn a_token_without_kid_costs_a_bounded_number_of_checks() {
    let set = |count: usize| {
        let mut sets: Vec<_> =
            (0..count).map(|_| SigningKey::generate(Algorithm::EdDsa).expect("a key").public_jwks(None)).collect();
        sets.push(key(Algorithm::EdDsa).public_jwks(None));
        store(&crate::auth::fixture::union(&sets))
    };
    let token = key(Algorithm::EdDsa).sign(r#"{"alg":"EdDSA"}"#, "{}").expect("a token");
    let jws = Jws::parse(&token).expect("a JWS");
    assert_eq!(check_signature(&jws, &set(MAX_TRIES - 1).current()), Ok(()));
    assert_eq!(check_signature(&jws, &set(MAX_TRIES).current()), Err(SignatureError::UnknownKey));
}

#[test]
fn a_fraction_of_a_second_counts() {
    let exp = |exp: Value| check_times(&claims(json!({ "exp": exp })), Duration::ZERO, NOW);
    let now = NOW.seconds();
    assert_eq!(exp(json!(now as f64 + 0.25)).map(|validity| validity.expires.0).ok(), Some(NOW.0 + 250));
    assert!(exp(json!(now)).is_err(), "exp is the first moment at which a token no longer holds");
}
