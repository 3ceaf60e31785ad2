//! What the tests of this module share: keys made once, an issuer that accepts everything sound, and sound claims.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Algorithm, Issuer, JwksSource, KeyStore, SigningKey};
use crate::clock::Timestamp;

/// The tests' present: 2026-11-21T20:00:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_795_291_200_000);

/// The `iss` of [`issuer`].
pub(super) const ISSUER: &str = "https://issuer.example";

/// A key for an algorithm; the same one in every test of a process.
pub(super) fn key(algorithm: Algorithm) -> SigningKey {
    static PEMS: [OnceLock<String>; Algorithm::ALL.len()] = [const { OnceLock::new() }; Algorithm::ALL.len()];
    of(algorithm, &PEMS)
}

/// Another one, that nobody trusts.
pub(super) fn stranger(algorithm: Algorithm) -> SigningKey {
    static PEMS: [OnceLock<String>; Algorithm::ALL.len()] = [const { OnceLock::new() }; Algorithm::ALL.len()];
    of(algorithm, &PEMS)
}

/// Making an RSA key takes long, so that all RSA algorithms share one.
fn of(algorithm: Algorithm, pems: &[OnceLock<String>]) -> SigningKey {
    let first = algorithm.key_kind().algorithms().next().expect("every kind can do something");
    let index = Algorithm::ALL.iter().position(|each| *each == first).expect("ALL is complete");
    let pem = pems[index].get_or_init(|| SigningKey::generate(first).and_then(|key| key.to_pem()).expect("a key"));
    SigningKey::from_text(pem).and_then(|key| key.with_algorithm(algorithm)).expect("a key")
}

/// Joins JWK sets into one.
pub(super) fn union(sets: &[String]) -> String {
    let keys: Vec<Value> = sets.iter().flat_map(|set| keys_of(set)).collect();
    json!({ "keys": keys }).to_string()
}

/// The first key of a set, changed by hand.
pub(super) fn changed(set: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut key = keys_of(set).swap_remove(0);
    change(key.as_object_mut().expect("an object"));
    json!({ "keys": [key] }).to_string()
}

fn keys_of(set: &str) -> Vec<Value> {
    let set: Value = serde_json::from_str(set).expect("JSON");
    set["keys"].as_array().expect("a list").clone()
}

/// A store with a source that is fetched.
pub(super) fn empty_store() -> Arc<KeyStore> {
    let url = "https://issuer.example/jwks.json".to_owned();
    Arc::new(KeyStore::new(JwksSource::Url { url, refresh: Duration::from_secs(300) }))
}

/// A store that has these keys.
pub(super) fn store(jwks: &str) -> Arc<KeyStore> {
    let store = empty_store();
    store.install(jwks).expect("usable keys");
    store
}

/// An issuer with every algorithm, one audience and 30 s of leeway.
pub(super) fn issuer(keys: &Arc<KeyStore>) -> Issuer {
    Issuer {
        issuer: ISSUER.into(),
        audiences: vec!["shop-api".into(), "shop-admin".into()],
        algorithms: Algorithm::ALL.into(),
        leeway: Duration::from_secs(30),
        keys: Arc::clone(keys),
    }
}

/// Claims that [`issuer`] accepts for an hour from [`NOW`], with members replaced, or removed by `null`.
pub(super) fn claims(changes: Value) -> Map<String, Value> {
    let now = NOW.seconds();
    let sound = json!({"iss": ISSUER, "aud": "shop-api", "sub": "alice", "iat": now, "exp": now + 3600});
    let mut claims = sound.as_object().expect("an object").clone();
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            claims.shift_remove(name)
        } else {
            claims.insert(name.clone(), value.clone())
        };
    }
    claims
}

/// A token with exactly [`claims`], signed by [`key`] and naming it.
pub(super) fn token(algorithm: Algorithm, changes: Value) -> String {
    let key = key(algorithm);
    let header = json!({"alg": algorithm.as_str(), "typ": "JWT", "kid": key.thumbprint()});
    key.sign(&header.to_string(), &Value::Object(claims(changes)).to_string()).expect("a token")
}
