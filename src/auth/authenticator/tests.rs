use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::auth::fixture::{ISSUER, NOW, changed, claims, empty_store, issuer, key, store, stranger, token, union};
use crate::auth::{Algorithm, KeyStore, SigningKey, challenge, mint};

const ED: Algorithm = Algorithm::EdDsa;

fn authenticator(keys: &Arc<KeyStore>) -> Authenticator {
    Authenticator::new(
        vec![issuer(keys)],
        vec![("sub".into(), "x-user-id".into()), ("role".into(), "x-user-role".into())],
    )
}

fn ed_authenticator() -> Authenticator {
    authenticator(&store(&key(ED).public_jwks(None)))
}

#[track_caller]
fn refused(authenticator: &Authenticator, token: &str, expected: &str) {
    let error = authenticator.verify(token, NOW).expect_err(token);
    assert!(error.to_string().contains(expected), "{error:?} does not say {expected:?}");
    // RFC 6750 section 3: what error_description may contain.
    let is_allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    assert!(error.to_string().chars().all(is_allowed), "{error}");
}

#[test]
fn a_sound_token_tells_who_is_calling() {
    let token = token(ED, json!({"role": ["staff", "buyer"], "nbf": NOW.seconds()}));
    let identity = ed_authenticator().verify(&token, NOW).expect("a caller");
    assert_eq!((&*identity.subject, &*identity.issuer), ("alice", ISSUER));
    assert_eq!(identity.expires, NOW.plus(Duration::from_secs(3600)));
    assert_eq!(identity.claims["role"], json!(["staff", "buyer"]));
    let headers: Vec<_> = identity.headers.iter().map(|(name, value)| (&**name, value.as_str())).collect();
    assert_eq!(headers, [("x-user-id", "alice"), ("x-user-role", "staff,buyer")]);
}

#[test]
fn every_algorithm_verifies_its_own_tokens_and_no_other_key_s() {
    for algorithm in Algorithm::ALL {
        let authenticator = authenticator(&store(&key(algorithm).public_jwks(Some("k"))));
        let sound = mint(&key(algorithm), Some("k"), claims(json!({})), NOW, Duration::ZERO).expect("a token");
        assert!(authenticator.verify(&sound, NOW).is_ok(), "{algorithm}");
        let forged = mint(&stranger(algorithm), Some("k"), claims(json!({})), NOW, Duration::ZERO).expect("a token");
        refused(&authenticator, &forged, "signature does not hold");
    }
}

#[test]
fn each_defect_of_the_claims_is_refused() {
    let authenticator = ed_authenticator();
    let now = NOW.seconds();
    for (changes, expected) in [
        (json!({"iss": null}), "no iss"),
        (json!({"iss": [ISSUER]}), "iss is not a string"),
        (json!({"iss": "https://issuer.example/"}), "issuer is not known"),
        (json!({"iss": "HTTPS://issuer.example"}), "issuer is not known"),
        (json!({"exp": null}), "no exp"),
        (json!({"exp": (now + 60).to_string()}), "exp is not a number"),
        (json!({"exp": true}), "exp is not a number"),
        (json!({"exp": now - 30}), "expired"),
        (json!({"exp": -1}), "expired"),
        (json!({"exp": -1e300}), "expired"),
        (json!({"exp": i64::MIN}), "expired"),
        (json!({"nbf": now + 31}), "not valid yet"),
        (json!({"nbf": 1e300}), "not valid yet"),
        (json!({"nbf": "soon"}), "nbf is not a number"),
        (json!({"iat": "2026-11-21"}), "iat is not a number"),
        (json!({"aud": null}), "no aud"),
        (json!({"aud": "shop"}), "another audience"),
        (json!({"aud": []}), "another audience"),
        (json!({"aud": ["a", "b"]}), "another audience"),
        (json!({"aud": ["shop-api", 7]}), "neither a string nor a list"),
        (json!({"aud": {"shop-api": true}}), "neither a string nor a list"),
        (json!({"sub": null}), "no sub"),
        (json!({"sub": ""}), "sub is empty"),
        (json!({"sub": 42}), "sub is not a string"),
        (json!({"sub": "x".repeat(513)}), "longer than 512"),
        (json!({"sub": "alice\r\nx-user-role: admin"}), "control characters"),
        (json!({"sub": "alice\u{85}"}), "control characters"),
    ] {
        refused(&authenticator, &token(ED, changes), expected);
    }
}

#[test]
fn claims_at_the_edge_are_accepted() {
    let authenticator = ed_authenticator();
    let now = NOW.seconds();
    for changes in [
        json!({"exp": now - 29}),
        json!({"exp": now as f64 + 0.5}),
        json!({"exp": u64::MAX}),
        json!({"nbf": now + 30}),
        json!({"iat": now + 1_000_000}),
        json!({"iat": null}),
        json!({"aud": ["other", "shop-admin"]}),
        json!({"sub": "x".repeat(512)}),
        json!({"sub": "Zoë"}),
    ] {
        let outcome = authenticator.verify(&token(ED, changes.clone()), NOW);
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
}

#[test]
fn without_configured_audiences_any_audience_will_do() {
    let issuer = Issuer { audiences: Vec::new(), ..issuer(&store(&key(ED).public_jwks(None))) };
    let authenticator = Authenticator::new(vec![issuer], Vec::new());
    assert!(authenticator.verify(&token(ED, json!({"aud": null})), NOW).is_ok());
    assert!(authenticator.verify(&token(ED, json!({"aud": 7})), NOW).is_ok());
}

#[test]
fn two_members_of_one_name_are_refused_though_well_signed() {
    let key = key(ED);
    let payload = Value::Object(claims(json!({}))).to_string();
    let doubled = payload.replacen('{', r#"{"sub":"admin","#, 1);
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, key.thumbprint());
    assert!(ed_authenticator().verify(&key.sign(&header, &payload).expect("a token"), NOW).is_ok());
    refused(&ed_authenticator(), &key.sign(&header, &doubled).expect("a token"), "unique members");
    let doubled = r#"{"alg":"EdDSA","alg":"EdDSA"}"#;
    refused(&ed_authenticator(), &key.sign(doubled, &payload).expect("a token"), "unique members");
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let rsa = key(Algorithm::Rs256);
    let jwks = rsa.public_jwks(Some("k"));
    let authenticator = authenticator(&store(&jwks));
    let members: Value = serde_json::from_str(&jwks).expect("JSON");
    let n = members["keys"][0]["n"].as_str().expect("a modulus");
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some("k".into());
    for secret in [jwks.as_bytes(), n.as_bytes(), &URL_SAFE_NO_PAD.decode(n).expect("base64url")] {
        let secret = jsonwebtoken::EncodingKey::from_secret(secret);
        let token = jsonwebtoken::encode(&header, &claims(json!({})), &secret).expect("a token");
        refused(&authenticator, &token, "algorithm is not accepted");
    }
}

#[test]
fn unsigned_tokens_are_refused_however_none_is_spelled() {
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(claims(json!({}))).to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            refused(&ed_authenticator(), &token, "algorithm is not accepted");
        }
    }
}

#[test]
fn an_algorithm_outside_the_issuer_s_list_is_refused() {
    let jwks = union(&[key(ED).public_jwks(None), key(Algorithm::Es256).public_jwks(None)]);
    let issuer = Issuer { algorithms: vec![Algorithm::Es256], ..issuer(&store(&jwks)) };
    let authenticator = Authenticator::new(vec![issuer], Vec::new());
    assert!(authenticator.verify(&token(Algorithm::Es256, json!({})), NOW).is_ok());
    refused(&authenticator, &token(ED, json!({})), "algorithm is not accepted");
}

#[test]
fn one_issuer_s_key_does_not_sign_for_another() {
    let other = Issuer {
        issuer: "https://other.example".into(),
        ..issuer(&store(&key(Algorithm::Es256).public_jwks(Some("k"))))
    };
    let mine = issuer(&store(&key(ED).public_jwks(Some("k"))));
    let authenticator = Authenticator::new(vec![mine, other], Vec::new());
    let sign = |algorithm, iss: &str| {
        mint(&key(algorithm), Some("k"), claims(json!({"iss": iss})), NOW, Duration::ZERO).expect("a token")
    };
    assert!(authenticator.verify(&sign(ED, ISSUER), NOW).is_ok());
    assert!(authenticator.verify(&sign(Algorithm::Es256, "https://other.example"), NOW).is_ok());
    refused(&authenticator, &sign(ED, "https://other.example"), "not its key's");
    refused(&authenticator, &sign(Algorithm::Es256, ISSUER), "not its key's");
}

#[test]
fn without_keys_the_issuer_is_to_blame_not_the_token() {
    let store = empty_store();
    let authenticator = authenticator(&store);
    let sound = token(ED, json!({}));
    let error = authenticator.verify(&sound, NOW).expect_err("no keys");
    assert!(matches!(&error, AuthError::KeysUnavailable { issuer, .. } if **issuer == *ISSUER), "{error:?}");
    assert!(!challenge("figway", Some(&error)).contains("error="));
    refused(&authenticator, &token(ED, json!({"exp": 1})), "expired");
    assert!(store.install("garbage").is_err());
    assert!(!store.is_ready());
    store.install(&key(ED).public_jwks(None)).expect("keys");
    assert!(authenticator.verify(&sound, NOW).is_ok());
}

#[test]
fn rotation_needs_no_restart_and_revocation_empties_the_cache() {
    let (old, new) = (key(ED), key(Algorithm::Es256));
    let store = store(&old.public_jwks(None));
    let authenticator = authenticator(&store);
    let (old_token, new_token) = (token(ED, json!({})), token(Algorithm::Es256, json!({})));
    let first = authenticator.verify(&old_token, NOW).expect("a caller");
    let error = authenticator.verify(&new_token, NOW).expect_err("an unknown key");
    assert!(
        matches!(&error, AuthError::UnknownKey { keys, kid } if Arc::ptr_eq(keys, &store) && *kid == Some(new.thumbprint()))
    );

    store.install(&old.public_jwks(None)).expect("the same keys");
    let again = authenticator.verify(&old_token, NOW).expect("a caller");
    assert!(Arc::ptr_eq(&first, &again), "equal keys leave the cache alone");

    store.install(&union(&[old.public_jwks(None), new.public_jwks(None)])).expect("both keys");
    assert!(authenticator.verify(&new_token, NOW).is_ok());
    assert!(authenticator.verify(&old_token, NOW).is_ok());

    store.install(&new.public_jwks(None)).expect("the new key");
    assert!(matches!(authenticator.verify(&old_token, NOW), Err(AuthError::UnknownKey { .. })));
    assert!(store.install("{}").is_err());
    assert!(authenticator.verify(&new_token, NOW).is_ok(), "stale keys serve");
}

#[test]
fn time_is_judged_on_every_hit() {
    let authenticator = ed_authenticator();
    let token = token(ED, json!({"nbf": NOW.seconds()}));
    let first = authenticator.verify(&token, NOW).expect("a caller");
    let last_moment = Timestamp(first.expires.0 + 29_999);
    assert!(Arc::ptr_eq(&first, &authenticator.verify(&token, last_moment).expect("a hit")));
    let error = authenticator.verify(&token, Timestamp(last_moment.0 + 1)).expect_err("expired");
    assert_eq!(error.to_string(), "the token has expired");
    let error = authenticator.verify(&token, Timestamp(NOW.0 - 30_001)).expect_err("too early");
    assert_eq!(error.to_string(), "the token is not valid yet");
}

#[test]
fn a_forgery_that_shares_a_cached_token_s_end_is_no_hit() {
    let authenticator = ed_authenticator();
    let sound = token(ED, json!({}));
    assert!(authenticator.verify(&sound, NOW).is_ok());
    let (header, rest) = sound.split_once('.').expect("three parts");
    let signature = rest.rsplit_once('.').expect("three parts").1;
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(claims(json!({"sub": "admin"}))).to_string());
    refused(&authenticator, &format!("{header}.{payload}.{signature}"), "signature does not hold");
}

#[test]
fn a_token_without_kid_is_tried_with_every_key_that_fits() {
    let strangers: Vec<_> = (0..3).map(|_| SigningKey::generate(ED).expect("a key").public_jwks(None)).collect();
    let mut sets = vec![key(Algorithm::Es256).public_jwks(None)];
    sets.extend(strangers.clone());
    sets.push(key(ED).public_jwks(None));
    let token = key(ED).sign(r#"{"alg":"EdDSA"}"#, &Value::Object(claims(json!({}))).to_string()).expect("a token");
    assert!(authenticator(&store(&union(&sets))).verify(&token, NOW).is_ok());
    let outcome = authenticator(&store(&union(&strangers))).verify(&token, NOW);
    assert!(matches!(outcome, Err(AuthError::UnknownKey { kid: None, .. })), "fresh keys may help: {outcome:?}");
}

#[test]
fn a_key_s_own_binding_is_kept() {
    let rsa = key(Algorithm::Rs256);
    let open = changed(&rsa.public_jwks(Some("k")), |jwk| drop(jwk.shift_remove("alg")));
    let bound = rsa.public_jwks(Some("k"));
    let payload = Value::Object(claims(json!({}))).to_string();
    let pem = rsa.to_pem().expect("PEM");
    let sha512 = SigningKey::from_text(&pem).and_then(|key| key.with_algorithm(Algorithm::Rs512)).expect("a key");
    let token = sha512.sign(r#"{"alg":"RS512","kid":"k"}"#, &payload).expect("a token");
    assert!(authenticator(&store(&open)).verify(&token, NOW).is_ok());
    refused(&authenticator(&store(&bound)), &token, "not its key's");
}

#[test]
fn ecdsa_signatures_have_one_width() {
    let authenticator = authenticator(&store(&key(Algorithm::Es256).public_jwks(None)));
    let sound = token(Algorithm::Es256, json!({}));
    let (signed, signature) = sound.rsplit_once('.').expect("three parts");
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (r, s) = raw.split_at(32);
    let padded = [&[0], r, &[0], s].concat();
    let der_integer = |number: &[u8]| [&[2, 33, 0], number].concat();
    let der = [&[0x30, 70][..], &der_integer(r), &der_integer(s)].concat();
    for other in [&raw[..63], &padded, &der, &[0; 64], &[]] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other));
        assert!(authenticator.verify(&token, NOW).is_err(), "{} bytes", other.len());
    }
    assert!(authenticator.verify(&sound, NOW).is_ok());
}

#[test]
fn unchanged_settings_keep_the_authenticator_and_its_cache() {
    let store = store(&key(ED).public_jwks(None));
    let headers = || vec![("sub".to_owned(), "x-user-id".to_owned())];
    let first = Authenticator::renew(None, vec![issuer(&store)], headers());
    let renew = |issuer, headers| Arc::ptr_eq(&first, &Authenticator::renew(Some(&first), vec![issuer], headers));
    assert!(renew(issuer(&store), headers()));
    assert!(!renew(issuer(&store), Vec::new()));
    assert!(!renew(Issuer { audiences: vec!["x".into()], ..issuer(&store) }, headers()));
    assert!(!renew(Issuer { leeway: Duration::ZERO, ..issuer(&store) }, headers()));
    assert!(!renew(Issuer { algorithms: vec![ED], ..issuer(&store) }, headers()));
    assert!(!renew(issuer(&empty_store()), headers()));
    let names: Vec<_> = first.identity_header_names().iter().map(|name| &**name).collect();
    assert_eq!(names, ["x-user-id"]);
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(400))]

        #[test]
        fn no_text_verifies_by_chance(text in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}"]) {
            prop_assert!(ed_authenticator_shared().verify(&text, NOW).is_err());
        }

        #[test]
        fn no_json_verifies_unsigned(header in "\\{(\"(alg|kid|typ|crit)\":(\"EdDSA\"|\"JWT\"|1|null|\\[\\]),?){0,3}\\}", payload in any::<String>()) {
            let token = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
            prop_assert!(ed_authenticator_shared().verify(&token, NOW).is_err());
        }

        #[test]
        fn a_token_changed_anywhere_no_longer_verifies(at in any::<prop::sample::Index>(), replacement in "[ -~]|\u{e9}", cut in any::<bool>()) {
            let sound = token(ED, json!({}));
            prop_assert!(ed_authenticator_shared().verify(&sound, NOW).is_ok());
            let index = at.index(sound.len());
            let changed = if cut {
                sound[..index].to_owned()
            } else {
                format!("{}{replacement}{}", &sound[..index], &sound[index + 1..])
            };
            prop_assume!(changed != sound);
            prop_assert!(ed_authenticator_shared().verify(&changed, NOW).is_err(), "{changed}");
        }
    }
}

fn ed_authenticator_shared() -> &'static Authenticator {
    static SHARED: std::sync::OnceLock<Authenticator> = std::sync::OnceLock::new();
    SHARED.get_or_init(ed_authenticator)
}
