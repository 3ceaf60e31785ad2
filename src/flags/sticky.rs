//! Whom a percentage sticks to.

use std::fmt::Write as _;

use super::bucket::{Murmur3, bucket};
use super::rule::checked_name;
use super::{Context, FlagError};

/// What a percentage sticks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyBy {
    /// The token's `sub`.
    User,
    /// A claim of the token; of an array, its first element.
    Claim(String),
    /// A request header, lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The client's address, as text; an IPv4 address mapped into IPv6 counts as IPv4.
    Ip,
}

impl StickyBy {
    /// The subject's bucket out of `total`; `None` without a subject.
    ///
    /// An empty subject is none: callers without a value must not all share one bucket.
    #[must_use]
    pub(super) fn bucket(&self, context: &dyn Context, salt: &str, total: u32) -> Option<u32> {
        let of_text = |subject: &str| (!subject.is_empty()).then(|| bucket(salt, subject, total));
        match self {
            Self::User => context.user().and_then(of_text),
            Self::Claim(name) => {
                let mut first = None;
                context.claim(name, &mut |subject| first = first.or_else(|| of_text(subject)));
                first
            }
            Self::Header(name) => context.header(name).and_then(of_text),
            Self::Cookie(name) => context.cookie(name).and_then(of_text),
            Self::Ip => {
                let mut hash = Murmur3::default();
                hash.write(salt.as_bytes());
                write!(hash, "{}", context.ip().to_canonical()).expect("hashing never fails");
                Some(hash.bucket(total))
            }
        }
    }
}

impl std::str::FromStr for StickyBy {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        match text.split_once(':') {
            None if text == "user" => Ok(Self::User),
            None if text == "ip" => Ok(Self::Ip),
            Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name.into())),
            Some(("header", name)) => Ok(Self::Header(checked_name(name)?.to_ascii_lowercase())),
            Some(("cookie", name)) => Ok(Self::Cookie(checked_name(name)?.into())),
            _ => Err(FlagError::UnknownSubject(text.into())),
        }
    }
}

/// As a flag's definition writes it, e.g. `header:x-tenant`.
impl std::fmt::Display for StickyBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Claim(name) => write!(f, "claim:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Ip => f.write_str("ip"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_written() {
        for text in ["user", "ip", "claim:tenant", "claim:https://shop.example/tenant", "header:x-tenant", "cookie:SID"]
        {
            let subject: StickyBy = text.parse().expect(text);
            assert_eq!(subject.to_string(), text);
        }
        assert_eq!("header:X-Tenant".parse(), Ok(StickyBy::Header("x-tenant".into())));
    }

    #[test]
    fn refuses_what_names_no_subject() {
        for text in ["", "users", "claim", "claim:", "header:", "header:a b", "cookie:a;b", "ip:1", "claim.role"] {
            assert!(text.parse::<StickyBy>().is_err(), "{text}");
        }
    }
}
