//! Flags are debt: what a flag has outlived at a given time.

use super::{Flag, Kind, Stage};
use crate::clock::Timestamp;
use crate::types::FlagKey;

/// Why a flag should be looked at or removed; never changes what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Debt {
    /// Its day has passed (in UTC).
    Expired {
        /// Which flag.
        key: FlagKey,
        /// The day it was meant to be gone by, e.g. `2027-03-31`.
        on: String,
        /// Who answers for it.
        owner: Option<String>,
    },
    /// A retired migration: only the new side is left, so there is nothing to decide.
    Finished {
        /// Which flag.
        key: FlagKey,
        /// Who answers for it.
        owner: Option<String>,
    },
}

impl std::fmt::Display for Debt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ask = |owner: &Option<String>| owner.as_ref().map_or(String::new(), |owner| format!(" (ask {owner})"));
        match self {
            Self::Expired { key, on, owner } => {
                write!(f, "flag {key:?} expired on {on}{}; remove it, or give it a later day", ask(owner))
            }
            Self::Finished { key, owner } => write!(
                f,
                "the migration of flag {key:?} is finished{}; let its routes name the new backend and delete the flag",
                ask(owner)
            ),
        }
    }
}

impl Flag {
    /// What there is to say against keeping the flag as it is at `now`.
    ///
    /// The day of `expires` counts in UTC and still belongs to the flag's life.
    #[must_use]
    pub fn debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts = Vec::new();
        if let Some(on) = &self.expires
            && Timestamp::end_of_day(on).is_some_and(|end| now > end)
        {
            debts.push(Debt::Expired { key: self.key.clone(), on: on.clone(), owner: self.owner.clone() });
        }
        if matches!(self.kind, Kind::Migration { stage: Stage::Retired, .. }) {
            debts.push(Debt::Finished { key: self.key.clone(), owner: self.owner.clone() });
        }
        debts
    }
}
