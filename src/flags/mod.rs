//! Flags: what they say, to whom, and why. Pure: no files, no clock, no sockets.
//!
//! A flag is evaluated in a fixed order: killed, first matching rule, percentage, default of its
//! stage or state. Evaluating allocates nothing, save to write out a claim that is a number. Its
//! fields are public because `config`, the only place that makes flags, has checked them already; the
//! two invariants that evaluation relies on stand at [`Rule::serve`] and in [`Split`].
//!
//! Deliberately not here: reading and writing YAML (`config`, `reload`), and what happens when the
//! variant that a flag names has no backend (the route decides).

mod bucket;
mod claim;
mod debt;
mod definition;
mod error;
mod evaluate;
mod explain;
mod percent;
mod rule;
mod split;
mod stage;
mod sticky;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::types::{FlagKey, VariantName};

pub use bucket::bucket;
pub use claim::visit_claim;
pub use debt::Debt;
pub use error::FlagError;
pub use explain::Explanation;
pub use percent::{WHOLE, format_percent, parse_percent};
pub use rule::{Attribute, Condition, Rule};
pub use split::Split;
pub use stage::Stage;
pub use sticky::StickyBy;

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
    Split(Split),
}

impl Kind {
    /// The word in a flag's definition: `migration`, `switch` or `split`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Migration { .. } => "migration",
            Self::Switch { .. } => "switch",
            Self::Split(_) => "split",
        }
    }
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
    /// The migration's stage, or a canary's request without a subject.
    Stage,
    /// The switch's state, or a split without a subject.
    Default,
    /// Flags come from the last good copy.
    Stale,
}

impl Reason {
    /// The word that headers, logs and the admin API carry, e.g. `PERCENTAGE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "KILLED",
            Self::Rule => "RULE",
            Self::Percentage => "PERCENTAGE",
            Self::Stage => "STAGE",
            Self::Default => "DEFAULT",
            Self::Stale => "STALE",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
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

static MIGRATION: LazyLock<[VariantName; 2]> = LazyLock::new(|| ["legacy".into(), "new".into()]);
static SWITCH: LazyLock<[VariantName; 2]> = LazyLock::new(|| ["off".into(), "on".into()]);

impl Flag {
    /// Names of the variants; [`Decision::variant`] indexes them.
    #[must_use]
    pub fn variants(&self) -> &[VariantName] {
        match &self.kind {
            Kind::Migration { .. } => &*MIGRATION,
            Kind::Switch { .. } => &*SWITCH,
            Kind::Split(split) => split.names(),
        }
    }
}
