//! Rules: who gets a variant for certain, before any percentage.

use super::{Context, FlagError};

/// Serve `serve` when every condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// All must hold.
    pub when: Vec<Condition>,
    /// Index into the flag's variants; always less than their number.
    pub serve: usize,
}

/// One attribute is any of some values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Where the value comes from.
    pub attribute: Attribute,
    /// Any of these, compared as text.
    pub any_of: Vec<String>,
}

/// Where a condition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A claim of the verified token; an array claim matches if any element does.
    Claim(String),
    /// A request header, lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
}

impl Rule {
    /// Every condition holds.
    #[must_use]
    pub(super) fn matches(&self, context: &dyn Context) -> bool {
        self.when.iter().all(|condition| condition.holds(context))
    }
}

impl Condition {
    fn holds(&self, context: &dyn Context) -> bool {
        let wanted = |value: &str| self.any_of.iter().any(|any| any == value);
        match &self.attribute {
            Attribute::Claim(name) => {
                let mut found = false;
                context.claim(name, &mut |value| found = found || wanted(value));
                found
            }
            Attribute::Header(name) => context.header(name).is_some_and(wanted),
            Attribute::Cookie(name) => context.cookie(name).is_some_and(wanted),
        }
    }
}

impl std::str::FromStr for Attribute {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        match text.split_once('.') {
            Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name.into())),
            Some(("header", name)) => Ok(Self::Header(checked_name(name)?.to_ascii_lowercase())),
            Some(("cookie", name)) => Ok(Self::Cookie(checked_name(name)?.into())),
            _ => Err(FlagError::UnknownAttribute(text.into())),
        }
    }
}

/// As a flag's definition writes it, e.g. `claim.role`.
impl std::fmt::Display for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "claim.{name}"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
        }
    }
}

/// Headers and cookies share the grammar of their names, `token` of RFC 9110 section 5.6.2.
pub(super) fn checked_name(name: &str) -> Result<&str, FlagError> {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(_) => Err(FlagError::BadName(name.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written() {
        for text in ["claim.role", "claim.realm.roles", "header.x-beta", "cookie.Beta"] {
            let attribute: Attribute = text.parse().expect(text);
            assert_eq!(attribute.to_string(), text);
        }
        assert_eq!("header.X-Beta".parse(), Ok(Attribute::Header("x-beta".into())));
    }

    #[test]
    fn refuses_what_names_no_attribute() {
        for text in ["", "claim", "claim.", "role", "header.", "header.a b", "cookie.a=b", "claim:role", "user"] {
            assert!(text.parse::<Attribute>().is_err(), "{text}");
        }
    }
}
