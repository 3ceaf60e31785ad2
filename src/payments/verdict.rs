//! What became of one call at a provider: three classes, never two, and what a look finds.
//!
//! `not_processed` is proof that nothing was charged; `declined` is an answer of the card's side;
//! everything else that is no success is `unknown`. Only the first lets another provider try.
//! `voided` and `not_found` are answers to a look or a void alone; of a call that could charge they
//! would be an answer to another question, and count as `unknown`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one call at a provider came to: a charge, a look at one, or any other operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "snake_case")]
pub enum Verdict {
    /// The operation is done: charged, confirmed, refunded; of a look: the money is captured.
    Succeeded {
        /// The provider's own name for the charge or refund.
        provider_ref: String,
        /// Of a look: how much was given back since, in minor units, where the provider says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refunded: Option<u64>,
    },
    /// The first step of two is done; nothing is captured until the second.
    Prepared {
        /// The provider's own name for the payment, if it has one by now.
        provider_ref: Option<String>,
        /// What the customer's device needs for its part, by name.
        next_action: BTreeMap<String, String>,
    },
    /// The card, its issuer or a validation said no; not the provider's fault.
    Declined {
        /// Why, in the provider's words.
        code: String,
        /// The provider's own name for the refused charge, if it gave one.
        provider_ref: Option<String>,
        /// The adapter lists the code as one that another provider may be asked about.
        soft: bool,
    },
    /// Provably nothing was charged.
    NotProcessed {
        /// What proves it.
        proof: Proof,
    },
    /// Nothing is charged any more, and it stays so: taken back, given up or expired.
    Voided,
    /// The provider has never heard of it, as far as it knows by now.
    NotFound,
    /// Nobody knows yet.
    Unknown {
        /// What was seen instead of an answer.
        doubt: Doubt,
    },
}

impl Verdict {
    /// The class, as the ledger and metrics write it.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Declined { .. } => "declined",
            Self::NotProcessed { .. } => "not_processed",
            Self::Prepared { .. } => "prepared",
            Self::Voided => "voided",
            Self::NotFound => "not_found",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Why nothing was processed or is known, as the ledger and logs write it.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::NotProcessed { proof } => Some(proof.as_str()),
            Self::Unknown { doubt } => Some(doubt.as_str()),
            Self::Voided | Self::NotFound => Some(Doubt::Unlisted.as_str()),
            Self::Succeeded { .. } | Self::Prepared { .. } | Self::Declined { .. } => None,
        }
    }

    /// Whether the provider is to blame, for its breaker. Declines are not its fault, and a provider
    /// at its contractual rate is full, not broken. What was never written never reached it.
    #[must_use]
    pub fn is_providers_fault(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Prepared { .. } | Self::Declined { .. } | Self::Voided | Self::NotFound => {
                false
            }
            Self::NotProcessed { proof } => !matches!(proof, Proof::Full | Proof::NotBuilt),
            Self::Unknown { .. } => true,
        }
    }
}

/// Why it is certain that nothing was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The provider's name does not resolve.
    NameLookup,
    /// No connection: refused, unreachable, or not within the connect timeout.
    Connect,
    /// TLS failed before a request could be sent.
    Tls,
    /// A connection was there and no byte of the request went into it.
    NotSent,
    /// The adapter could not write this request.
    NotBuilt,
    /// 429: the provider is at its rate limit.
    Full,
    /// The provider said so.
    Stated,
    /// Whatever became of it, it charges nobody unless it is confirmed, and it never will be.
    Harmless,
}

/// Why an outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// No whole answer in time.
    Timeout,
    /// The connection ended before a whole answer.
    Lost,
    /// An answer with a status or code that is not listed.
    Unlisted,
    /// An answer that can't be read.
    Unreadable,
    /// An answer about another amount, currency or order than was asked for: alarm.
    Mismatch,
    /// The provider says that it does not know yet.
    StillOpen,
    /// The gateway stopped between intent and outcome.
    Interrupted,
}

impl Proof {
    /// As the ledger and logs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameLookup => "name_lookup",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::NotSent => "not_sent",
            Self::NotBuilt => "not_built",
            Self::Full => "full",
            Self::Stated => "stated",
            Self::Harmless => "harmless",
        }
    }
}

impl Doubt {
    /// As the ledger and logs write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Unlisted => "unlisted",
            Self::Unreadable => "unreadable",
            Self::Mismatch => "mismatch",
            Self::StillOpen => "still_open",
            Self::Interrupted => "interrupted",
        }
    }
}
