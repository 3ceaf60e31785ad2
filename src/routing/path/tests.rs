//! Every spelling has one form, and nothing gets through that a backend could read in another way.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(raw: &str, expect: &str) {
    check_bytes(raw.as_bytes(), expect);
}

#[track_caller]
fn check_bytes(raw: &[u8], expect: &str) {
    let normal = normalise(raw).map(|normal| normal.path.into_owned());
    assert_eq!(normal.as_deref(), Ok(expect), "{}", raw.escape_ascii());
}

#[track_caller]
fn refused(raw: &str, expect: PathError) {
    assert_eq!(normalise(raw.as_bytes()), Err(expect), "{raw:?}");
}

#[test]
fn a_normal_path_is_borrowed() {
    for path in [
        "/",
        "/api/v1/members/42",
        "/api/v1/members/",
        "/.well-known/openid-configuration",
        "/...",
        "/..a/.b",
        "/a.b/c..",
        "/%C3%A9/%20/%3B%25%3F",
        "/.%20",
        "/a%2Fb",
        "/a!$&'()*+,;=:@-._~",
    ] {
        let normal = normalise(path.as_bytes()).expect(path);
        assert_eq!(normal.path, path);
        assert!(matches!(normal.path, Cow::Borrowed(_)), "{path}");
    }
}

#[test]
fn escapes_have_one_spelling() {
    check("/%61%2d%5F%7e%2E5", "/a-_~.5");
    check("/%c3%a9", "/%C3%A9");
    check("/a%3a%3B%2c", "/a%3A%3B%2C");
    check("/%252e%252e/%2525", "/%252e%252e/%2525");
    check("/%0d%0a%7f%20", "/%0D%0A%7F%20");
}

#[test]
fn what_browsers_send_raw_is_encoded() {
    check_bytes(b"/caf\xc3\xa9/\xff", "/caf%C3%A9/%FF");
    check(r#"/"<>[]^`{|}"#, "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D");
}

#[test]
fn dot_segments_are_resolved_however_they_are_written() {
    for raw in ["/a/../b", "/a/./../b", "/a/%2e%2E/b", "/a/.%2e/b", "/../b", "/a/../../../b", "/./b", "/%2e/b"] {
        check(raw, "/b");
    }
    check("/a/b/..", "/a/");
    check("/a/b/.", "/a/b/");
    check("/a/..", "/");
    check("/..", "/");
    check("/.", "/");
}

#[test]
fn slashes_are_merged_before_dots_are_resolved() {
    check("//", "/");
    check("//a///b//", "/a/b/");
    check("/a//../b", "/b");
    check("/a//.//b", "/a/b");
}

#[test]
fn encoded_slashes_are_kept_and_reported() {
    for (raw, expect, reported) in [
        ("/a%2fb", "/a%2Fb", true),
        ("/a%5Cb", "/a%5Cb", true),
        ("/a\\b", "/a%5Cb", true),
        ("/a%2F%2Fb", "/a%2F%2Fb", true),
        ("/a%2Fb/../c", "/c", false),
        ("/a%252Fb", "/a%252Fb", false),
    ] {
        let normal = normalise(raw.as_bytes()).expect(raw);
        assert_eq!((&*normal.path, normal.has_encoded_slash), (expect, reported), "{raw}");
    }
}

#[test]
fn dots_that_only_a_backend_would_see_are_refused() {
    for raw in ["/a%2F..%2Fb", "/..%2fb", "/a%5c%2e%2e", "/a\\..\\b", "/%2E%2F", "/x%2F..%2F../..", "/a%2f."] {
        refused(raw, PathError::EncodedDots);
    }
    for raw in ["/..;/b", "/a/..;x=1/b", "/a/.;", "/%2e%2e%3b/b", "/a%2F..;%2Fb", "/;%2f.;"] {
        refused(raw, PathError::DotParameters);
    }
    check("/...;/a;..%2Fb", "/...;/a;..%2Fb");
    check("/orders;jsessionid=1/;x", "/orders;jsessionid=1/;x");
}

#[test]
fn what_has_no_meaning_in_a_path_is_refused() {
    for raw in ["", "a", "*", "%2Fa", "http://a/"] {
        refused(raw, PathError::NotAbsolute);
    }
    for raw in ["/%", "/%2", "/%g0", "/%0g", "/a%%20", "/%+1", "/%2%35"] {
        refused(raw, PathError::BadEscape);
    }
    for raw in ["/\0", "/%00", "/a%00/.."] {
        refused(raw, PathError::Nul);
    }
    for raw in ["/a b", "/a\tb", "/\r\n", "/\x7f", "/a#b", "/a?b", "/\x1b"] {
        refused(raw, PathError::BadCharacter);
    }
}

/// Arbitrary bytes, mostly those that mean something in a path.
fn raw_path() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &'static [&'static str] = &[
        "/", "/", ".", "..", "%2e", "%2F", "%5c", "\\", ";", "%3b", "%25", "%", "a", "B", "%41", "%c3", "é", "{", "2e",
        "%00",
    ];
    let piece = prop_oneof![
        9 => proptest::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..3),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| [b"/".to_vec(), pieces.concat()].concat())
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(2048))]

        #[test]
        fn a_normal_path_is_legal_without_dots_and_stays_as_it_is(raw in raw_path()) {
            let Ok(normal) = normalise(&raw) else { return Ok(()) };
            let path = &*normal.path;
            prop_assert!(path.starts_with('/') && !path.contains("//"), "{path}");
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)), "{path}");
            // What a backend sees that decodes slashes and cuts parameters off.
            let decoded = path.replace("%2F", "/").replace("%5C", "/").replace("%3B", ";");
            for segment in decoded.split('/').map(|segment| segment.split(';').next()) {
                prop_assert!(!matches!(segment, Some("." | "..")), "{path}");
            }
            prop_assert_eq!(normal.has_encoded_slash, path.contains("%2F") || path.contains("%5C"));

            let again = normalise(path.as_bytes());
            prop_assert_eq!(again.as_ref(), Ok(&normal));
            prop_assert!(again.is_ok_and(|again| matches!(again.path, Cow::Borrowed(_))));
        }

        #[test]
        fn arbitrary_bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            let first = normalise(&raw);
            if raw.first() != Some(&b'/') {
                prop_assert_eq!(first, Err(PathError::NotAbsolute));
            }
        }

        #[test]
        fn escaping_more_than_needed_changes_nothing(path in "(/[a-zA-Z0-9._~-]{1,6}){1,4}", mask in any::<u64>()) {
            let mut bit = 0;
            let escaped: String = path
                .chars()
                .map(|c| {
                    bit += 1;
                    if c != '/' && mask >> (bit % 64) & 1 == 1 { format!("%{:02x}", u32::from(c)) } else { c.to_string() }
                })
                .collect();
            prop_assert_eq!(normalise(escaped.as_bytes()), normalise(path.as_bytes()));
        }
    }
}
