//! The ledger's vocabulary: states of attempts and payments, and the records that lead to them.
//!
//! The words are stored, so none of them ever changes its meaning. An attempt walks
//! `planned → intent → succeeded | declined | soft_declined | not_processed | unknown`, and
//! `unknown → resolving → succeeded | declined | voided | not_processed | manual`. One of two steps
//! rests at `prepared` between its two intents.
//! **A further attempt may start only once every earlier one is released.** How records change
//! what is stored is said once, in [`super::ledger::StoredPayment::apply`].

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::types::ProviderName;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$word_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As the ledger, the API and metrics write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads what [`Self::as_str`] wrote.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where an attempt stands.
    AttemptState {
        /// Chosen; nothing is durable and nothing sent.
        Planned = "planned",
        /// Durable; the request may be under way.
        Intent = "intent",
        /// The first of two steps is done: the customer's part comes next, or the second step.
        Prepared = "prepared",
        /// Charged.
        Succeeded = "succeeded",
        /// Refused by the card's side.
        Declined = "declined",
        /// Refused with a code that lets another provider try.
        SoftDeclined = "soft_declined",
        /// Provably nothing was charged.
        NotProcessed = "not_processed",
        /// Nobody knows.
        Unknown = "unknown",
        /// The provider is being asked.
        Resolving = "resolving",
        /// Charged or not, it was taken back and that is confirmed.
        Voided = "voided",
        /// A person has to settle it.
        Manual = "manual",
    }
}

words! {
    /// Where a payment stands, as its attempts make it.
    PaymentState {
        /// Nothing is charged and nothing under way: it may be tried (again).
        NotProcessed = "not_processed",
        /// The outcome is not known yet.
        Pending = "pending",
        /// Prepared: nothing is charged until it is confirmed.
        RequiresAction = "requires_action",
        /// Charged, once.
        Succeeded = "succeeded",
        /// Refused.
        Declined = "declined",
        /// Given up before anything was captured.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a provider is asked to do.
    Operation {
        /// Charge at once.
        Charge = "charge",
        /// First step of two: the customer authenticates next.
        Prepare = "prepare",
        /// Second step of two.
        Confirm = "confirm",
        /// Give a prepared payment up.
        Cancel = "cancel",
        /// Give captured money back.
        Refund = "refund",
        /// Ask what became of an attempt.
        Lookup = "lookup",
        /// Take an attempt back.
        Void = "void",
    }
}

impl AttemptState {
    /// The state that a verdict on a charge, prepare or confirm leads to.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Prepared { .. } => Self::Prepared,
            Verdict::Succeeded { .. } => Self::Succeeded,
            Verdict::Declined { soft: false, .. } => Self::Declined,
            Verdict::Declined { soft: true, .. } => Self::SoftDeclined,
            Verdict::NotProcessed { .. } => Self::NotProcessed,
            Verdict::Unknown { .. } | Verdict::Voided | Verdict::NotFound => Self::Unknown,
        }
    }

    /// It certainly charged nobody and never will: the only states that let another attempt start.
    #[must_use]
    pub fn is_released(self) -> bool {
        matches!(self, Self::NotProcessed | Self::Voided | Self::SoftDeclined)
    }

    /// Whether somebody or something still has to find out what became of it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Intent | Self::Unknown | Self::Resolving)
    }

    /// Whether an attempt may go from here to `next`. What was settled stays settled.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        let settled = matches!(next, Self::Succeeded | Self::Declined | Self::SoftDeclined | Self::NotProcessed);
        match self {
            Self::Planned => next == Self::Intent,
            Self::Intent => settled || matches!(next, Self::Prepared | Self::Unknown),
            // To `intent`: the second step begins. To `resolving`: it is to be given up.
            Self::Prepared => matches!(next, Self::Intent | Self::Resolving),
            // The answer itself may still arrive after the attempt was given up for lost.
            Self::Unknown => settled || matches!(next, Self::Prepared | Self::Resolving | Self::Manual),
            Self::Resolving => settled || matches!(next, Self::Prepared | Self::Voided | Self::Manual),
            Self::Manual => settled || next == Self::Voided,
            Self::Succeeded | Self::Declined | Self::SoftDeclined | Self::NotProcessed | Self::Voided => false,
        }
    }
}

impl PaymentState {
    /// What the states of a payment's attempts make of it; `given_up` if its client or time ended it.
    #[must_use]
    pub fn of(attempts: impl IntoIterator<Item = AttemptState>, given_up: bool) -> Self {
        let mut state = if given_up { Self::Cancelled } else { Self::NotProcessed };
        for attempt in attempts {
            match attempt {
                AttemptState::Succeeded => return Self::Succeeded,
                AttemptState::Prepared => return Self::RequiresAction,
                AttemptState::Intent | AttemptState::Unknown | AttemptState::Resolving | AttemptState::Manual => {
                    return Self::Pending;
                }
                // The last refusal is the client's answer unless a later attempt does better.
                AttemptState::Declined | AttemptState::SoftDeclined => state = Self::Declined,
                AttemptState::Planned | AttemptState::NotProcessed | AttemptState::Voided => {}
            }
        }
        state
    }
}

words! {
    /// Why an attempt is taken back.
    VoidReason {
        /// Its outcome is unknown and nothing of it was found.
        Unresolved = "unresolved",
        /// The client cancelled the payment.
        Cancelled = "cancelled",
        /// It was prepared and never confirmed.
        Expired = "expired",
        /// It was released, and captured all the same: an alarm.
        LateCapture = "late_capture",
    }
}

/// One entry of the journal; durable before the step that it allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The payment exists; its key and fingerprint stand beside it.
    Accepted {
        /// The client's own name for the order.
        order_id: String,
        /// In minor units.
        amount: u64,
        /// ISO 4217.
        currency: String,
        /// E.g. `card`.
        method: String,
        /// Whether it is to be charged at once, or confirmed later by the client.
        capture: bool,
    },
    /// From now on a provider may be called: for a new attempt, or for the second step of one.
    Intent(Intent),
    /// What a charge, prepare or confirm came to.
    Outcome {
        /// Of which attempt.
        attempt: u32,
        /// Of which operation.
        operation: Operation,
        /// What it came to.
        verdict: Verdict,
    },
    /// What a look at an attempt found; written when it is another finding than before.
    Found {
        /// Which attempt.
        attempt: u32,
        /// What was found.
        verdict: Verdict,
    },
    /// From now on the provider may be asked to take the attempt back.
    VoidIntent {
        /// Which attempt.
        attempt: u32,
        /// Why.
        reason: VoidReason,
    },
    /// What the provider said to that. No proof: the attempt is looked at once more.
    VoidOutcome {
        /// Which attempt.
        attempt: u32,
        /// What it said.
        verdict: Verdict,
    },
    /// An attempt is settled, released or handed to a person, by a finding or by that person.
    Resolved {
        /// Which attempt.
        attempt: u32,
        /// Where it stands from now on.
        state: AttemptState,
        /// The provider's name for it, if that is known now.
        provider_ref: Option<String>,
        /// Why it was declined, if it was.
        code: Option<String>,
        /// `lookup`, `void`, or an operator's name.
        by: String,
        /// Why, for people.
        reason: String,
    },
    /// An attempt that was released is captured: an alarm. It is taken back.
    LateCapture {
        /// Which attempt.
        attempt: u32,
        /// The provider's name for it.
        provider_ref: String,
    },
    /// The late capture was taken back, or a person has to do it.
    LateCaptureEnded {
        /// Which attempt.
        attempt: u32,
        /// `voided` or `manual`.
        state: AttemptState,
        /// `lookup`, `void`, or an operator's name.
        by: String,
        /// Why, for people.
        reason: String,
    },
    /// From now on the provider may be asked to give money back.
    RefundIntent(RefundIntent),
    /// What the refund came to.
    RefundOutcome {
        /// Of which refund.
        refund: u32,
        /// What it came to.
        verdict: Verdict,
    },
    /// A refund whose outcome was unknown is settled or handed to a person.
    RefundResolved {
        /// Which refund.
        refund: u32,
        /// `succeeded`, `declined`, `not_processed` or `manual`.
        state: AttemptState,
        /// `lookup`, or an operator's name.
        by: String,
        /// Why, for people.
        reason: String,
    },
    /// A refund that counted as not processed was carried out: an alarm. It counts from now on.
    LateRefund {
        /// Which refund.
        refund: u32,
    },
}

/// Everything that is needed to find out later what became of a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundIntent {
    /// Number of the refund, from 1.
    pub refund: u32,
    /// In minor units.
    pub amount: u64,
    /// The key under which the provider recognises a repetition.
    pub provider_key: String,
    /// Our name for the refund.
    pub reference: String,
    /// What was given back before, in minor units: what a look must find exceeded.
    pub refunded_before: u64,
}

/// Everything that is needed to find out later what became of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// What the provider is asked to do: `charge`, `prepare` or `confirm`.
    pub operation: Operation,
    /// Which provider.
    pub provider: ProviderName,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
    /// The key under which the provider recognises a repetition.
    pub provider_key: String,
    /// Our name for the attempt.
    pub order_reference: String,
    /// What to ask the provider for when the answer never came: its own name for the payment where
    /// that is known before the call, else our order reference.
    pub lookup: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for state in AttemptState::ALL {
            assert_eq!(AttemptState::parse(state.as_str()), Some(*state));
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
        }
        for state in PaymentState::ALL {
            assert_eq!(PaymentState::parse(state.as_str()), Some(*state));
        }
        for reason in VoidReason::ALL {
            assert_eq!(VoidReason::parse(reason.as_str()), Some(*reason));
        }
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.as_str()), Some(*operation));
        }
    }

    #[test]
    fn what_is_settled_or_released_stays_so() {
        for from in AttemptState::ALL {
            let settled = from.is_released() || matches!(from, AttemptState::Succeeded | AttemptState::Declined);
            let leaves = AttemptState::ALL.iter().any(|next| from.may_become(*next));
            assert_eq!(leaves, !settled, "{from:?}");
            assert!(!from.may_become(AttemptState::Planned));
        }
    }

    #[test]
    fn a_payment_is_pending_as_long_as_one_attempt_may_have_charged() {
        use AttemptState as A;
        for (attempts, expected) in [
            (&[][..], PaymentState::NotProcessed),
            (&[A::NotProcessed, A::Voided], PaymentState::NotProcessed),
            (&[A::NotProcessed, A::Intent], PaymentState::Pending),
            (&[A::Unknown], PaymentState::Pending),
            (&[A::Manual], PaymentState::Pending),
            (&[A::SoftDeclined, A::Resolving], PaymentState::Pending),
            (&[A::SoftDeclined, A::NotProcessed], PaymentState::Declined),
            (&[A::Declined], PaymentState::Declined),
            (&[A::SoftDeclined, A::Succeeded], PaymentState::Succeeded),
            (&[A::NotProcessed, A::Prepared], PaymentState::RequiresAction),
        ] {
            assert_eq!(PaymentState::of(attempts.iter().copied(), false), expected, "{attempts:?}");
        }
    }
}
