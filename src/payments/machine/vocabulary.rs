//! What a run hears and what it wants: goals, events, effects.

use crate::clock::Timestamp;
use crate::payments::record::{Intent, Operation, Record, RefundIntent};
use crate::payments::resolution::Item;
use crate::payments::verdict::Verdict;

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Goal {
    /// Have it charged or prepared by some provider.
    Pay,
    /// Take the second step at its owner, or the first at another if that provably did nothing.
    Confirm,
    /// Give up what is prepared.
    Cancel,
    /// Give money back.
    Refund(RefundIntent),
    /// Settle what is open, and look after what is released.
    Resolve,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Event {
    /// A provider was found, and this is what it is to be asked.
    Planned(Intent),
    /// No provider is available, or no time is left.
    NoneAvailable,
    /// What was to be saved is durable.
    Saved,
    /// What was to be saved is not known to be durable.
    NotSaved,
    /// Somebody else has the payment now.
    Lost,
    /// The call came to this.
    Ended(Verdict),
    /// The time to wait for has come.
    Woke,
    /// Nobody waits that long.
    TimeUp,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Effect {
    /// Say what is to be asked of whom; the answer is an intent.
    Plan(Plan),
    /// Make these records durable, all or none.
    Save {
        /// In order; may be empty where the lease is to end.
        records: Vec<Record>,
        /// Whether the run goes on and keeps its lease.
        goes_on: bool,
        /// When the worker is to see the payment next.
        due: Option<Timestamp>,
        /// Looks since something became open.
        looks: u32,
    },
    /// Call a provider.
    Call(Ask),
    /// Wait until then.
    Wait(Timestamp),
    /// The run is over.
    Answer(Answer),
}

/// What an intent is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payments) enum Plan {
    /// A new attempt of this number.
    Attempt(u32),
    /// The second step of this attempt.
    Confirm(u32),
}

/// What a provider is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Ask {
    /// To charge, prepare or confirm.
    Attempt(u32, Operation),
    /// To give money back.
    Refund(u32),
    /// What became of it.
    Look(Item),
    /// To take it back by this operation; what the latest look found.
    TakeBack(u32, Operation, Option<Verdict>),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Answer {
    /// Everything is durable; the payment says how it stands.
    Stands,
    /// The ledger failed before anything was sent in this run.
    NothingAttempted,
    /// The ledger failed after something was sent: these facts are still to be saved.
    Unsaved(Vec<Record>),
    /// Somebody else has the payment; whether anything was sent in this run.
    Lost {
        /// Whether a provider may have been asked for something.
        sent: bool,
    },
}
