//! The order in which a flag is read: killed, first matching rule, percentage, default.

use super::{Context, Decision, Flag, Kind, Reason, Stage, WHOLE};

/// What a decision rests on, with the numbers that [`Flag::explain`] puts into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grounds {
    /// The kill switch.
    Killed,
    /// The rule at this index.
    Rule(usize),
    /// The subject's bucket.
    Bucket(u32),
    /// A percentage, but nobody whom it could stick to.
    NoSubject,
    /// The stage of a migration that has no percentage, or the state of a switch.
    Fixed,
}

impl Flag {
    /// What the flag says: killed, else first matching rule, else percentage, else default.
    ///
    /// A kill wins over everything, also on a retired migration, whose legacy side may be gone: what
    /// becomes of such a request is the route's business. Rules hold in every stage. A request
    /// without a subject is not in the percentage, even at 100 %: a canary then serves `legacy` with
    /// reason `STAGE`, a split its first variant with reason `DEFAULT`. When `stale`, the variant is
    /// the same and the reason is always `STALE`.
    #[must_use]
    pub fn evaluate(&self, context: &dyn Context, stale: bool) -> Decision {
        let (variant, grounds) = self.decide(context);
        Decision { variant, reason: if stale { Reason::Stale } else { self.reason(grounds) } }
    }

    pub(super) fn decide(&self, context: &dyn Context) -> (usize, Grounds) {
        if self.killed {
            return (0, Grounds::Killed);
        }
        if let Some(index) = self.rules.iter().position(|rule| rule.matches(context)) {
            return (self.rules[index].serve, Grounds::Rule(index));
        }
        match &self.kind {
            Kind::Migration { stage, percent } => match stage {
                Stage::Legacy | Stage::Shadow => (0, Grounds::Fixed),
                Stage::New | Stage::Retired => (1, Grounds::Fixed),
                Stage::Canary => match self.sticky_by.bucket(context, &self.salt, u32::from(WHOLE)) {
                    Some(bucket) => (usize::from(bucket < u32::from(*percent)), Grounds::Bucket(bucket)),
                    None => (0, Grounds::NoSubject),
                },
            },
            Kind::Switch { on } => (usize::from(*on), Grounds::Fixed),
            Kind::Split(split) => match self.sticky_by.bucket(context, &self.salt, split.total()) {
                Some(bucket) => (split.variant_of(bucket), Grounds::Bucket(bucket)),
                None => (0, Grounds::NoSubject),
            },
        }
    }

    pub(super) fn reason(&self, grounds: Grounds) -> Reason {
        match grounds {
            Grounds::Killed => Reason::Killed,
            Grounds::Rule(_) => Reason::Rule,
            Grounds::Bucket(_) => Reason::Percentage,
            Grounds::NoSubject | Grounds::Fixed => match self.kind {
                Kind::Migration { .. } => Reason::Stage,
                Kind::Switch { .. } | Kind::Split(_) => Reason::Default,
            },
        }
    }
}
