//! Decisions in words, for `explain` and for people at 3 a.m.
//!
//! The words come from the very decision that requests get; there is no second evaluation that
//! could say something else. They name attributes and numbers, never a subject's value.

use std::fmt::Write as _;

use super::evaluate::Grounds;
use super::{Condition, Context, Decision, Flag, Kind, Reason, Split, WHOLE, format_percent};

/// A decision and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Flag::evaluate`] says for the same request.
    pub decision: Decision,
    /// Why, e.g. `no rule matches (of 2); stage canary at 10 %: bucket 4711 of 10000 is not below 1000`.
    pub words: String,
}

impl Flag {
    /// What [`Flag::evaluate`] says, with the reason in words.
    #[must_use]
    pub fn explain(&self, context: &dyn Context, stale: bool) -> Explanation {
        let (variant, grounds) = self.decide(context);
        let mut words = match grounds {
            Grounds::Killed => "killed: rules, percentage and stage are not looked at".to_owned(),
            Grounds::Rule(index) => self.rule_in_words(index),
            Grounds::Bucket(_) | Grounds::NoSubject | Grounds::Fixed => {
                let passed_over = match self.rules.len() {
                    0 => String::new(),
                    rules => format!("no rule matches (of {rules}); "),
                };
                passed_over + &self.default_in_words(grounds, variant)
            }
        };
        if stale {
            words.push_str("; the flags are the last good copy, because the files are bad");
        }
        let reason = if stale { Reason::Stale } else { self.reason(grounds) };
        Explanation { decision: Decision { variant, reason }, words }
    }

    fn rule_in_words(&self, index: usize) -> String {
        let conditions: Vec<_> = self.rules[index].when.iter().map(condition_in_words).collect();
        let conditions = if conditions.is_empty() { "always".to_owned() } else { conditions.join(" and ") };
        format!("rule {} of {} matches: {conditions}", index + 1, self.rules.len())
    }

    fn default_in_words(&self, grounds: Grounds, variant: usize) -> String {
        let sticky_by = &self.sticky_by;
        match (&self.kind, grounds) {
            (Kind::Migration { stage, percent }, Grounds::Bucket(bucket)) => {
                let below = if bucket < u32::from(*percent) { "is" } else { "is not" };
                let share = format_percent(*percent);
                format!("stage {stage} at {share} % by {sticky_by}: bucket {bucket} of {WHOLE} {below} below {percent}")
            }
            (Kind::Migration { stage, percent }, Grounds::NoSubject) => {
                let share = format_percent(*percent);
                format!(
                    "stage {stage} at {share} % by {sticky_by}, which this request lacks, so it is not in the percentage"
                )
            }
            (Kind::Migration { stage, .. }, _) => format!("stage {stage}"),
            (Kind::Switch { on }, _) => format!("state {}", if *on { "on" } else { "off" }),
            (Kind::Split(split), Grounds::Bucket(bucket)) => {
                let (total, range) = (split.total(), buckets_of(split, variant));
                format!("split by {sticky_by}: bucket {bucket} of {total} is in {range}, this variant's share")
            }
            (Kind::Split(_), _) => {
                format!("split by {sticky_by}, which this request lacks, so it gets the first variant")
            }
        }
    }
}

fn condition_in_words(condition: &Condition) -> String {
    let mut words = format!("{} is ", condition.attribute);
    for (position, value) in condition.any_of.iter().enumerate() {
        let or = if position == 0 { "" } else { " or " };
        write!(words, "{or}{value:?}").expect("writing to a string never fails");
    }
    words
}

/// The buckets of a variant that owns at least one, e.g. `50–99`.
fn buckets_of(split: &Split, variant: usize) -> String {
    let start: u32 = split.weights()[..variant].iter().sum();
    format!("{start}–{}", start + (split.weights()[variant] - 1))
}
