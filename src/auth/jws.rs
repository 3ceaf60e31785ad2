//! A token taken apart (RFC 7515 compact serialization) with its header judged; nothing in it is believed yet.
//!
//! `jku`, `x5u`, `x5c` and `jwk` in a header offer keys of the sender's choice. They are never read: keys come from the
//! issuer's configured source only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Algorithm, AuthError};
use crate::types::strict_json;

/// Longest token that is looked at, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The parts of a token whose signature has not been checked.
#[derive(Debug)]
pub(super) struct Jws<'token> {
    /// What the signature is over.
    pub(super) signed: &'token [u8],
    /// The algorithm that the header names.
    pub(super) algorithm: Algorithm,
    /// The key that the header names.
    pub(super) kid: Option<String>,
    /// The payload.
    pub(super) claims: Map<String, Value>,
    /// The signature's bytes.
    pub(super) signature: Vec<u8>,
}

impl<'token> Jws<'token> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] with the defect.
    pub(super) fn parse(token: &'token str) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid("the token is longer than 8 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_COMPACT)?;
        let (header, payload) = signed.split_once('.').ok_or(NOT_COMPACT)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(NOT_COMPACT);
        }
        let header = members(header, "the token's header is not a JSON object with unique members")?;
        let (algorithm, kid) = judge_header(&header)?;
        if signature.is_empty() {
            return Err(NOT_COMPACT);
        }
        let claims = members(payload, "the token's payload is not a JSON object with unique members")?;
        let signature = decode(signature)?;
        Ok(Self { signed: signed.as_bytes(), algorithm, kid, claims, signature })
    }
}

const NOT_COMPACT: AuthError = AuthError::Invalid("the token is not three parts joined by dots");

fn judge_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), AuthError> {
    if header.contains_key("crit") {
        return Err(AuthError::Invalid("the token requires extensions that are not supported (crit)"));
    }
    if header.contains_key("b64") {
        return Err(AuthError::Invalid("the token's payload encoding is not supported (b64)"));
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(name)) if is_token_type(name) => {}
        Some(_) => return Err(AuthError::Invalid("the token's type is neither JWT nor at+jwt")),
    }
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::from_name(name).ok_or(ALGORITHM_NOT_ACCEPTED)?,
        _ => return Err(AuthError::Invalid("the token names no signature algorithm")),
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err(AuthError::Invalid("the token's kid is not a string")),
    };
    Ok((algorithm, kid))
}

/// The algorithm is none of ours or none of the issuer's.
pub(super) const ALGORITHM_NOT_ACCEPTED: AuthError =
    AuthError::Invalid("the token's signature algorithm is not accepted");

/// RFC 7515 section 4.1.9: media types, compared without case, `application/` may be left out.
fn is_token_type(name: &str) -> bool {
    const PREFIX: &str = "application/";
    let name = match name.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => &name[PREFIX.len()..],
        _ => name,
    };
    name.eq_ignore_ascii_case("JWT") || name.eq_ignore_ascii_case("at+jwt")
}

fn members(part: &str, defect: &'static str) -> Result<Map<String, Value>, AuthError> {
    strict_json::object(&decode(part)?).map_err(|_| AuthError::Invalid(defect))
}

/// Refuses padding, other alphabets and stray trailing bits, so that no second spelling of a token exists.
fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Invalid("the token is not base64url without padding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str, payload: &str) -> Result<(Algorithm, Option<String>), AuthError> {
        let token = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        Jws::parse(&token).map(|jws| (jws.algorithm, jws.kid))
    }

    #[track_caller]
    fn refused(header: &str, expected: &str) {
        let error = parse(header, "{}").expect_err(header);
        assert!(error.to_string().contains(expected), "{header}: {error}");
    }

    #[test]
    fn algorithm_and_key_come_from_the_header() {
        assert_eq!(
            parse(r#"{"alg":"ES256","kid":"a","typ":"JWT"}"#, "{}").ok(),
            Some((Algorithm::Es256, Some("a".to_owned())))
        );
    }

    #[test]
    fn offers_of_keys_in_the_header_are_not_read() {
        let header = r#"{"alg":"ES256","jku":"https://evil.example/","x5u":7,"x5c":[],"jwk":{"kty":"oct","k":"AA"}}"#;
        assert_eq!(parse(header, "{}").ok(), Some((Algorithm::Es256, None)));
    }

    #[test]
    fn token_types_are_compared_as_media_types() {
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/jwt"] {
            assert!(parse(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}").is_ok(), "{typ}");
        }
        for typ in [r#""JOSE""#, r#""dpop+jwt""#, r#""application/""#, r#""""#, "null", "1", r#""application/é""#] {
            refused(&format!(r#"{{"alg":"ES256","typ":{typ}}}"#), "neither JWT nor at+jwt");
        }
    }

    #[test]
    fn headers_that_change_the_meaning_are_refused() {
        refused(r#"{"alg":"ES256","crit":["exp"]}"#, "crit");
        refused(r#"{"alg":"ES256","crit":[]}"#, "crit");
        refused(r#"{"alg":"ES256","b64":true}"#, "b64");
        refused(r#"{"alg":"ES256","alg":"ES256"}"#, "unique members");
        refused(r#"{"alg":"ES256","kid":7}"#, "kid");
        refused(r#"{"typ":"JWT"}"#, "names no signature algorithm");
        refused(r#"{"alg":["ES256"]}"#, "names no signature algorithm");
        for alg in ["none", "None", "nOnE", "HS256", "es256", "ES256 "] {
            refused(&format!(r#"{{"alg":"{alg}"}}"#), "not accepted");
        }
    }

    #[test]
    fn only_three_parts_that_are_not_empty_are_a_token() {
        let part = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        for token in [
            String::new(),
            "..".into(),
            "a.b".into(),
            format!("{part}.{part}."),
            format!(".{part}.{part}"),
            format!("{part}..{part}"),
            format!("{part}.{part}.{part}.{part}"),
            format!("{part}.{part}.{part}.{part}.{part}"),
        ] {
            assert!(Jws::parse(&token).is_err_and(|error| error.to_string().contains("three parts")), "{token}");
        }
        let long = format!("{part}.{}.AAAA", "A".repeat(MAX_TOKEN_BYTES));
        assert!(Jws::parse(&long).is_err_and(|error| error.to_string().contains("8 KiB")));
    }

    #[test]
    fn a_part_has_one_spelling() {
        let part = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        // 4 trailing bits that must be zero, padding, the other alphabet, white space.
        for signature in ["AB", "AA==", "A+A/", "AA A", "AA\n"] {
            let error = Jws::parse(&format!("{part}.{part}.{signature}")).expect_err(signature).to_string();
            assert!(error.contains("base64url"), "{signature}: {error}");
        }
    }

    #[test]
    fn a_payload_is_an_object_with_unique_members() {
        for payload in ["[]", "\"eyJ\"", r#"{"sub":"a","sub":"b"}"#, ""] {
            assert!(parse(r#"{"alg":"ES256"}"#, payload).is_err(), "{payload}");
        }
    }
}
