use serde_json::json;

use super::*;
use crate::auth::fixture::{changed, key, union};

fn set(algorithm: Algorithm) -> String {
    key(algorithm).public_jwks(Some("k"))
}

#[track_caller]
fn skipped(set: &str, expected: &str) {
    let error = Jwks::parse(set).expect_err(set).to_string();
    assert!(error.contains(expected), "{error}");
}

#[track_caller]
fn changed_is_skipped(algorithm: Algorithm, member: &str, value: Value, expected: &str) {
    let document = changed(&set(algorithm), |jwk| drop(jwk.insert(member.to_owned(), value)));
    skipped(&document, expected);
}

#[test]
fn a_key_serves_what_its_members_admit() {
    for algorithm in Algorithm::ALL {
        let jwks = Jwks::parse(&set(algorithm)).expect("a set");
        let able: Vec<_> = Algorithm::ALL.into_iter().filter(|a| jwks.keys[0].for_algorithm(*a).is_some()).collect();
        assert_eq!(able, [algorithm]);
    }
    let open = changed(&set(Algorithm::Rs256), |jwk| drop(jwk.shift_remove("alg")));
    let jwks = Jwks::parse(&open).expect("a set");
    assert_eq!(jwks.keys[0].uses.len(), 6);
    assert!(jwks.keys[0].for_algorithm(Algorithm::Es256).is_none());
}

#[test]
fn keys_for_other_purposes_are_skipped() {
    let es = Algorithm::Es256;
    changed_is_skipped(es, "use", json!("enc"), "its use is \"enc\"");
    changed_is_skipped(es, "use", json!(["sig"]), "its use is");
    changed_is_skipped(es, "key_ops", json!(["sign"]), "do not include \"verify\"");
    changed_is_skipped(es, "key_ops", json!("verify"), "do not include \"verify\"");
    changed_is_skipped(es, "alg", json!("ES384"), "does not fit its type");
    changed_is_skipped(es, "alg", json!("RS256"), "does not fit its type");
    changed_is_skipped(es, "alg", json!("HS256"), "not a supported signature algorithm");
    changed_is_skipped(es, "alg", json!("RSA-OAEP"), "not a supported signature algorithm");
    changed_is_skipped(es, "alg", Value::Null, "not a supported signature algorithm");
    changed_is_skipped(es, "kid", json!(1), "kid is not a string");
    changed_is_skipped(es, "d", json!("AA"), "contains its private part");
    let verifies = changed(&set(es), |jwk| drop(jwk.insert("key_ops".into(), json!(["verify", "sign"]))));
    assert!(Jwks::parse(&verifies).is_ok());
}

#[test]
fn keys_that_are_none_are_skipped() {
    let (es, rs, ed) = (Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa);
    changed_is_skipped(es, "kty", json!("oct"), "never used");
    changed_is_skipped(es, "kty", json!("LMS"), "\"LMS\" is not supported");
    changed_is_skipped(es, "crv", json!("P-521"), "\"P-521\" of EC is not supported");
    changed_is_skipped(es, "crv", json!("secp256k1"), "is not supported");
    changed_is_skipped(es, "x", json!("AAAA"), "not 32 bytes");
    changed_is_skipped(es, "y", json!(URL_SAFE_NO_PAD.encode([7; 32])), "not a point of its curve");
    changed_is_skipped(es, "y", json!("+/=="), "not base64url");
    changed_is_skipped(es, "y", Value::Null, "has no y");
    changed_is_skipped(ed, "crv", json!("X25519"), "is not supported");
    changed_is_skipped(ed, "x", json!(URL_SAFE_NO_PAD.encode([7; 31])), "not 32 bytes");
    changed_is_skipped(rs, "n", json!(URL_SAFE_NO_PAD.encode([255; 128])), "1024 bits");
    changed_is_skipped(rs, "n", json!(URL_SAFE_NO_PAD.encode([255; 1025])), "8200 bits");
    changed_is_skipped(rs, "n", json!(""), "0 bits");
    for exponent in [&[1][..], &[0, 1], &[1, 0, 0], &[1, 0, 0, 0, 1], &[]] {
        changed_is_skipped(rs, "e", json!(URL_SAFE_NO_PAD.encode(exponent)), "exponent");
    }
    skipped(r#"{"keys":[7]}"#, "not an object");
    skipped(r#"{"keys":[{"k":"AAAA"}]}"#, "has no kty");
    skipped(r#"{"keys":[{"kty":"EC"}]}"#, "has no crv");
}

#[test]
fn a_sign_byte_before_the_modulus_is_tolerated() {
    let document = changed(&set(Algorithm::Rs256), |jwk| {
        let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().expect("text")).expect("base64url");
        jwk.insert("n".into(), json!(URL_SAFE_NO_PAD.encode([&[0], n.as_slice()].concat())));
    });
    assert_eq!(Jwks::parse(&document).expect("a set").keys, Jwks::parse(&set(Algorithm::Rs256)).expect("a set").keys);
}

#[test]
fn one_odd_key_does_not_take_the_others_down() {
    let symmetric = json!({"keys": [{"kty": "oct", "kid": "secret", "k": "AAAA"}]}).to_string();
    let jwks = Jwks::parse(&union(&[symmetric, set(Algorithm::Es256)])).expect("a set");
    assert_eq!(jwks.keys.len(), 1);
    assert_eq!(jwks.skipped, ["key 1 (\"secret\"): symmetric keys (oct) are never used"]);
}

#[test]
fn keys_may_share_an_id_and_the_same_key_counts_once() {
    let shared = union(&[set(Algorithm::Es256), set(Algorithm::EdDsa), set(Algorithm::Es256)]);
    let jwks = Jwks::parse(&shared).expect("a set");
    assert_eq!(jwks.keys.iter().filter(|key| key.kid() == Some("k")).count(), 2);
}

#[test]
fn what_is_no_set_is_told_why() {
    for (document, expected) in [
        ("", "not a JWK set: EOF"),
        ("<html>", "line 1 column 1"),
        ("[]", "expected a JSON object"),
        ("{}", "no member \"keys\""),
        (r#"{"keys":{}}"#, "no member \"keys\""),
        (r#"{"keys":[]}"#, "no key that can verify"),
        (r#"{"keys":[],"keys":[]}"#, "stands twice"),
    ] {
        skipped(document, expected);
    }
    let many = json!({"keys": vec![json!({}); 257]}).to_string();
    skipped(&many, "has 257 keys");
}
