use super::*;
use crate::auth::fixture::key;

/// RFC 8037, appendix A.
const RFC_8037_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// RFC 7515, appendix A.3.
const RFC_7515_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

#[test]
fn signs_the_example_of_rfc_8037() {
    let key = SigningKey::from_text(RFC_8037_KEY).expect("a key");
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(
        key.sign(r#"{"alg":"EdDSA"}"#, "Example of Ed25519 signing").expect("a token"),
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
         hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_key_survives_its_pem() {
    for algorithm in Algorithm::ALL {
        let original = key(algorithm);
        let back = SigningKey::from_text(&original.to_pem().expect("PEM")).expect("a key");
        assert_eq!(back.thumbprint(), original.thumbprint(), "{algorithm}");
        let back = back.with_algorithm(algorithm).expect("its own algorithm");
        assert_eq!(back.public_jwks(None), original.public_jwks(None));
    }
}

#[test]
fn older_pem_forms_are_read() {
    let ec = SigningKey::from_text(RFC_7515_KEY).expect("a key");
    let Pair::Ec(pair) = &ec.pair else { panic!("an EC key") };
    let der = AsDer::<aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_>>::as_der(&pair.private_key()).expect("DER");
    let pem = pem::write_pkcs8(der.as_ref()).replace("PRIVATE KEY", "EC PRIVATE KEY");
    assert_eq!(SigningKey::from_text(&pem).expect("a key").thumbprint(), ec.thumbprint());

    let rsa = key(Algorithm::Rs256);
    let (_, pkcs8) = pem::private_key(&rsa.to_pem().expect("PEM")).map(|(_, der)| ((), der)).expect("a key");
    // A PKCS #8 RSA key is a 26-byte envelope around the PKCS #1 key.
    let pem = pem::write_pkcs8(&pkcs8[26..]).replace("PRIVATE KEY", "RSA PRIVATE KEY");
    assert_eq!(SigningKey::from_text(&pem).expect("a key").thumbprint(), rsa.thumbprint());
}

#[test]
fn an_algorithm_must_fit_the_key() {
    let ed = SigningKey::from_text(RFC_8037_KEY).expect("a key");
    let error = ed.with_algorithm(Algorithm::Rs256).expect_err("another kind of key");
    assert_eq!(error.to_string(), "the key can't sign with RS256; it is a key for EdDSA");
    let with_alg = RFC_7515_KEY.replacen('{', r#"{"alg":"ES256","#, 1);
    assert!(SigningKey::from_text(&with_alg).is_ok());
    let with_alg = RFC_7515_KEY.replacen('{', r#"{"alg":"ES384","#, 1);
    assert!(matches!(SigningKey::from_text(&with_alg), Err(SigningKeyError::AlgorithmMismatch { .. })));
}

#[test]
fn unusable_keys_are_told_what_to_do() {
    let public = RFC_8037_KEY.replace("\"d\"", "\"not-d\"");
    let torn = RFC_8037_KEY.replace("11qYAY", "22qYAY");
    let encrypted = pem::write_pkcs8(&[1, 2, 3]).replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (text, expected) in [
        ("", "write PEM"),
        ("secret", "write PEM"),
        (public.as_str(), "it has no d"),
        (torn.as_str(), "do not belong together"),
        ("{", "not valid: EOF"),
        (r#"{"kty":"oct","k":"AAAA"}"#, "\"oct\""),
        (encrypted.as_str(), "openssl pkcs8"),
        (&pem::write_pkcs8(&[1, 2, 3]), "use RSA"),
        (&pem::write_pkcs8(&[1, 2, 3]).replace("PRIVATE KEY", "DSA PRIVATE KEY"), "\"DSA PRIVATE KEY\""),
    ] {
        let error = SigningKey::from_text(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_private_key_is_not_printed() {
    let text = format!("{:?}", SigningKey::from_text(RFC_8037_KEY).expect("a key"));
    assert_eq!(text, "SigningKey { algorithm: EdDsa, .. }");
}
