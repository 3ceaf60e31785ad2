//! Flags: what they say, to whom, and why. Pure: no files, no clock, no sockets.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::{FlagKey, VariantName};

/// All flags of one snapshot.
#[derive(Debug, Clone, Default)]
pub struct FlagSet {
    /// By key, in key order.
    pub flags: BTreeMap<FlagKey, Arc<Flag>>,
    /// The flags come from the last good copy on disk: every reason is `STALE`.
    pub stale: bool,
}

/// One flag, checked and compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// Its key.
    pub key: FlagKey,
    /// What it decides.
    pub kind: Kind,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Day (`2027-03-31`) after which it should be gone; only a warning.
    pub expires: Option<String>,
    /// Whom a percentage sticks to.
    pub sticky_by: StickyBy,
    /// Prefix of the bucket's hash; the key unless set.
    pub salt: String,
    /// In order; the first that matches wins over the percentage.
    pub rules: Vec<Rule>,
    /// Everything to the first variant, whatever else the flag says.
    pub killed: bool,
    /// File that holds it, for people, e.g. `flags/member.yaml`.
    pub file: String,
}

/// The three kinds of flags.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Variants `legacy` (0) and `new` (1).
    Migration {
        /// How far the migration is.
        stage: Stage,
        /// Share of subjects that get `new` in stage canary, in hundredths of a per cent (0–10,000).
        percent: u16,
    },
    /// Variants `off` (0) and `on` (1).
    Switch {
        /// What it says when no rule matches.
        on: bool,
    },
    /// Variants as written, each with a weight.
    Split {
        /// Name and weight, in the order written; the sum of the weights is at least 1.
        variants: Vec<(VariantName, u32)>,
    },
}

/// Stage of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The monolith answers.
    Legacy,
    /// The monolith answers; copies go to the new side.
    Shadow,
    /// A share goes to the new side.
    Canary,
    /// The new side answers.
    New,
    /// The new side answers; the way back is gone.
    Retired,
}

/// What a percentage sticks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyBy {
    /// The token's `sub`.
    User,
    /// A claim of the token.
    Claim(String),
    /// A request header, lower case.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// The client's address.
    Ip,
}

/// Serve `serve` when every condition holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// All must hold.
    pub when: Vec<Condition>,
    /// Index into the flag's variants.
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

/// Why a flag said what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The kill switch is on.
    Killed,
    /// A rule matched.
    Rule,
    /// The subject's bucket.
    Percentage,
    /// The migration's stage.
    Stage,
    /// The switch's state, or a split without a subject.
    Default,
    /// Flags come from the last good copy.
    Stale,
}

/// What a flag says for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Index into [`Flag::variants`].
    pub variant: usize,
    /// Why.
    pub reason: Reason,
}

/// What a flag may look at; implemented by requests, `explain` and OFREP.
pub trait Context {
    /// The token's `sub`, if the caller is authenticated.
    fn user(&self) -> Option<&str>;
    /// Calls `visit` with each value of a claim as text (elements of an array one by one).
    fn claim(&self, name: &str, visit: &mut dyn FnMut(&str));
    /// First value of a request header (name in lower case).
    fn header(&self, name: &str) -> Option<&str>;
    /// Value of a cookie.
    fn cookie(&self, name: &str) -> Option<&str>;
    /// The client's address.
    fn ip(&self) -> std::net::IpAddr;
}

impl Flag {
    /// Names of the variants; [`Decision::variant`] indexes them.
    #[must_use]
    pub fn variants(&self) -> Vec<VariantName> {
        todo!()
    }

    /// What the flag says: killed, else first matching rule, else percentage, else default.
    #[must_use]
    pub fn evaluate(&self, context: &dyn Context, stale: bool) -> Decision {
        let _ = (context, stale);
        todo!()
    }
}
