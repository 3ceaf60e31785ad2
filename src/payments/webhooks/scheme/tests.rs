use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::new(text)).collect()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_str(text).expect("a header's value");
    let mut headers = HeaderMap::new();
    for (name, text) in pairs {
        headers.append(HeaderName::from_static(name), value(text));
    }
    headers
}

fn stripe() -> Scheme {
    Scheme::Stripe { header: HeaderName::from_static("stripe-signature") }
}

fn plain(algorithm: Algorithm, encoding: Encoding, prefix: &str) -> Scheme {
    Scheme::Hmac { header: HeaderName::from_static("x-signature"), algorithm, encoding, prefix: prefix.into() }
}

fn toss() -> Scheme {
    Scheme::Toss {
        header: HeaderName::from_static("tosspayments-webhook-signature"),
        time: HeaderName::from_static("tosspayments-webhook-transmission-time"),
        secret: ["/secret", "/data/secret"].map(|text| Pointer::parse(text).expect("a pointer")).to_vec(),
    }
}

fn sign(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), &parts.concat()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stripe_header(secret: &str, seconds: i64, body: &[u8]) -> String {
    let time = seconds.to_string();
    format!("t={time},v1={},v0=abcd", hex(&sign(secret, &[time.as_bytes(), b".", body])))
}

fn check(scheme: &Scheme, known: &[&str], pairs: &[(&'static str, &str)], body: &str) -> Result<(), Rejection> {
    scheme.verify(&secrets(known), &headers(pairs), body.as_bytes(), NOW)
}

#[test]
fn the_hmac_is_that_of_rfc_4231() {
    // RFC 4231, test case 2.
    let body = "what do ya want for nothing?";
    let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdc\
                  aeab1a34d4a6b4b636e070a38bce737";
    let base64 = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    for (scheme, written) in [
        (plain(Algorithm::Sha256, Encoding::Hex, ""), sha256.to_owned()),
        (plain(Algorithm::Sha256, Encoding::Hex, ""), sha256.to_uppercase()),
        (plain(Algorithm::Sha256, Encoding::Hex, "sha256="), format!("sha256={sha256}")),
        (plain(Algorithm::Sha256, Encoding::Base64, ""), base64.to_owned()),
        (plain(Algorithm::Sha256, Encoding::Base64, ""), base64.trim_end_matches('=').to_owned()),
        (plain(Algorithm::Sha512, Encoding::Hex, ""), sha512.to_owned()),
    ] {
        assert_eq!(check(&scheme, &["Jefe"], &[("x-signature", &written)], body), Ok(()), "{scheme:?}");
        assert_eq!(check(&scheme, &["Jeff"], &[("x-signature", &written)], body), Err(Rejection::Wrong));
    }
}

#[test]
fn a_plain_signature_must_stand_there_once_and_be_readable() {
    let scheme = plain(Algorithm::Sha256, Encoding::Hex, "sha256=");
    for (pairs, expected) in [
        (&[][..], Rejection::Missing),
        (&[("x-signature", "")], Rejection::Malformed),
        (&[("x-signature", "5bdc")], Rejection::Malformed),
        (&[("x-signature", "sha256=")], Rejection::Malformed),
        (&[("x-signature", "sha256=5bd")], Rejection::Malformed),
        (&[("x-signature", "sha256=zz")], Rejection::Malformed),
        (&[("x-signature", "sha256=5bdc")], Rejection::Wrong),
        (&[("x-signature", "sha256=5bdc"), ("x-signature", "sha256=5bdc")], Rejection::Malformed),
    ] {
        assert_eq!(check(&scheme, &["s"], pairs, "{}"), Err(expected), "{pairs:?}");
    }
}

#[test]
fn either_secret_is_good_while_one_replaces_the_other() {
    let header = stripe_header("new", NOW.seconds(), b"{}");
    let pairs = [("stripe-signature", header.as_str())];
    assert_eq!(check(&stripe(), &["old", "new"], &pairs, "{}"), Ok(()));
    assert_eq!(check(&stripe(), &["old"], &pairs, "{}"), Err(Rejection::Wrong));
    // While it is replaced, the provider signs with both.
    let both = format!("{header},v1={}", hex(&[0; 32]));
    assert_eq!(check(&stripe(), &["new"], &[("stripe-signature", &both)], "{}"), Ok(()));
}

#[test]
fn a_signed_time_may_be_300_seconds_off_and_no_more() {
    for (offset, expected) in
        [(0, Ok(())), (-300, Ok(())), (300, Ok(())), (-301, Err(Rejection::Stale)), (301, Err(Rejection::Stale))]
    {
        let header = stripe_header("s", NOW.seconds() + offset, b"{}");
        assert_eq!(check(&stripe(), &["s"], &[("stripe-signature", &header)], "{}"), expected, "{offset}");
    }
}

#[test]
fn a_time_that_is_not_the_signed_one_is_no_way_around_the_tolerance() {
    let old = stripe_header("s", NOW.seconds() - 9_000, b"{}");
    let moved = old.replace(&format!("t={}", NOW.seconds() - 9_000), &format!("t={}", NOW.seconds()));
    assert_eq!(check(&stripe(), &["s"], &[("stripe-signature", &moved)], "{}"), Err(Rejection::Wrong));
    let twice = format!("t={},{old}", NOW.seconds());
    assert_eq!(check(&stripe(), &["s"], &[("stripe-signature", &twice)], "{}"), Err(Rejection::Malformed));
    for malformed in ["v1=00", "t=1", "t=,v1=00", "t=-5,v1=00", "t=99999999999999,v1=00", "nonsense", ""] {
        assert!(check(&stripe(), &["s"], &[("stripe-signature", malformed)], "{}").is_err(), "{malformed:?}");
    }
}

#[test]
fn toss_signs_body_and_transmission_time() {
    let time = "2023-11-15T07:13:20+09:00";
    assert_eq!(Timestamp::parse(time), Some(NOW));
    let body = r#"{"eventType":"payout.changed"}"#;
    let right = STANDARD.encode(sign("key", &[body.as_bytes(), b":", time.as_bytes()]));
    let other = STANDARD.encode([1; 32]);
    let with = |signature: &str, time: &str| {
        let pairs = [("tosspayments-webhook-signature", signature), ("tosspayments-webhook-transmission-time", time)];
        check(&toss(), &["key"], &pairs, body)
    };
    assert_eq!(with(&format!("v1:{other},v1:{right}"), time), Ok(()));
    assert_eq!(with(&format!("v1:{right},{other}"), time), Ok(()));
    assert_eq!(with(&format!("v1:{other}"), time), Err(Rejection::Wrong));
    assert_eq!(with(&format!("v1:{right}"), "2023-11-15T07:13:21+09:00"), Err(Rejection::Wrong));
    assert_eq!(with(&format!("v1:{right}"), "yesterday"), Err(Rejection::Malformed));
    assert_eq!(with("", time), Err(Rejection::Malformed));
    let late = "2023-11-15T07:03:20+09:00";
    let signed_late = STANDARD.encode(sign("key", &[body.as_bytes(), b":", late.as_bytes()]));
    assert_eq!(with(&format!("v1:{signed_late}"), late), Err(Rejection::Stale));
}

#[test]
fn toss_events_without_a_signature_carry_the_secret_itself() {
    assert_eq!(check(&toss(), &["a", "ps_key"], &[], r#"{"secret":"ps_key","orderId":"o"}"#), Ok(()));
    assert_eq!(check(&toss(), &["ps_key"], &[], r#"{"data":{"secret":"ps_key"}}"#), Ok(()));
    assert_eq!(check(&toss(), &["ps_key"], &[], r#"{"secret":"ps_kez"}"#), Err(Rejection::Wrong));
    assert_eq!(check(&toss(), &["ps_key"], &[], r#"{"orderId":"o"}"#), Err(Rejection::Missing));
    assert_eq!(check(&toss(), &["ps_key"], &[], "not JSON"), Err(Rejection::Missing));
    // The secret in the body does not make up for a wrong signature.
    let pairs = [
        ("tosspayments-webhook-signature", "v1:AAAA"),
        ("tosspayments-webhook-transmission-time", "2023-11-15T07:13:20+09:00"),
    ];
    assert_eq!(check(&toss(), &["ps_key"], &pairs, r#"{"secret":"ps_key"}"#), Err(Rejection::Wrong));
}

#[test]
fn a_secret_is_never_shown() {
    assert!(!format!("{:?}", secrets(&["s3cret"])).contains("s3cret"));
}

proptest! {
    #![proptest_config(crate::types::property::config(100))]

    #[test]
    fn property_any_flipped_bit_of_body_time_or_signature_fails(
        body in prop::collection::vec(any::<u8>(), 1..64),
        secret in "[a-zA-Z0-9]{8,40}",
        bit in any::<prop::sample::Index>(),
    ) {
        let header = stripe_header(&secret, NOW.seconds(), &body);
        let known = secrets(&[&secret]);
        let judge = |header: &str, body: &[u8]| {
            stripe().verify(&known, &headers(&[("stripe-signature", header)]), body, NOW)
        };
        prop_assert_eq!(judge(&header, &body), Ok(()));

        let mut other = body.clone();
        let place = bit.index(other.len() * 8);
        other[place / 8] ^= 1 << (place % 8);
        prop_assert_eq!(judge(&header, &other), Err(Rejection::Wrong));

        // One digit of the time or of the signature.
        let signed = header.trim_end_matches(",v0=abcd");
        let digits: Vec<usize> =
            signed.char_indices().filter(|(at, c)| c.is_ascii_hexdigit() && !signed[*at..].starts_with("1=")).map(|(at, _)| at).collect();
        let at = digits[bit.index(digits.len())];
        let digit = signed[at..=at].chars().next().and_then(|c| c.to_digit(16)).expect("a digit");
        let flipped = if at < 13 { (digit + 1) % 10 } else { digit ^ 1 };
        let changed = format!("{}{flipped:x}{}", &signed[..at], &signed[at + 1..]);
        prop_assert!(judge(&changed, &body).is_err(), "{changed}");
    }

    #[test]
    fn property_any_header_is_judged_without_panic(header in "[ -~]{0,80}", body in prop::collection::vec(any::<u8>(), 0..32)) {
        for (scheme, name) in [
            (stripe(), "stripe-signature"),
            (plain(Algorithm::Sha512, Encoding::Base64, ""), "x-signature"),
            (toss(), "tosspayments-webhook-signature"),
        ] {
            let pairs = [(name, header.as_str()), ("tosspayments-webhook-transmission-time", "2023-11-15T07:13:20Z")];
            prop_assert!(scheme.verify(&secrets(&["secret"]), &headers(&pairs), &body, NOW).is_err());
        }
    }
}
