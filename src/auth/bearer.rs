//! Bearer tokens on the wire: the `Authorization` header in, the `WWW-Authenticate` header out (RFC 6750, RFC 9110).

use super::AuthError;

/// The bearer token in the value of an `Authorization` header; `None` if the value has another scheme.
///
/// A request with several `Authorization` headers is the caller's to refuse.
///
/// # Errors
/// The scheme is `Bearer`, but nothing follows, or no text.
pub fn bearer(value: &[u8]) -> Result<Option<&str>, AuthError> {
    let value = value.trim_ascii();
    let scheme_length = value.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    let (scheme, rest) = value.split_at(scheme_length);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = &rest[spaces..];
    if token.is_empty() {
        return Err(AuthError::Invalid("there is no token after the scheme Bearer"));
    }
    if spaces == 0 {
        return Err(AuthError::Invalid("between the scheme Bearer and its token there is something else than spaces"));
    }
    // Whether it is a well-formed token is seen when it is taken apart, which a cached one need not be.
    std::str::from_utf8(token)
        .map(Some)
        .map_err(|_| AuthError::Invalid("what follows the scheme Bearer is not a token"))
}

/// The value of `WWW-Authenticate` that goes with a 401: without an error if there was no token at all.
#[must_use]
pub fn challenge(realm: &str, error: Option<&AuthError>) -> String {
    let realm: String = realm.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    match error {
        Some(error @ (AuthError::Invalid(_) | AuthError::UnknownKey { .. })) => {
            format!(r#"Bearer realm="{realm}", error="invalid_token", error_description="{error}""#)
        }
        // Not the token's fault, so the token is not called invalid.
        None | Some(AuthError::KeysUnavailable { .. }) => format!(r#"Bearer realm="{realm}""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_token_whatever_the_scheme_s_case() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", " Bearer a.b.c "] {
            assert_eq!(bearer(value.as_bytes()).ok(), Some(Some("a.b.c")), "{value:?}");
        }
        assert_eq!(bearer(b"Bearer QUJD-._~+/==").ok(), Some(Some("QUJD-._~+/==")));
    }

    #[test]
    fn another_scheme_is_no_bearer_token() {
        for value in ["", " ", "Basic QWxhZGRpbg==", "Bearerx a", "Digest username=\"x\"", "a.b.c", "\u{e9} x"] {
            assert_eq!(bearer(value.as_bytes()).ok(), Some(None), "{value:?}");
        }
    }

    #[test]
    fn the_scheme_alone_or_with_something_else_is_refused() {
        for value in [&b"Bearer"[..], b"Bearer ", b"bearer\ta.b.c", b"Bearer \xff"] {
            assert!(bearer(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_challenge_names_an_error_only_for_a_bad_token() {
        assert_eq!(challenge("figway", None), r#"Bearer realm="figway""#);
        assert_eq!(
            challenge("figway", Some(&AuthError::Invalid("the token has expired"))),
            r#"Bearer realm="figway", error="invalid_token", error_description="the token has expired""#
        );
        let unavailable = AuthError::KeysUnavailable { issuer: "x".into(), keys: crate::auth::fixture::empty_store() };
        assert_eq!(challenge("a\"b\\c\r\n", Some(&unavailable)), r#"Bearer realm="abc""#);
    }
}
