//! The commands of `figway payments`, and what `list`, `resolve` and `weights` take.

use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::{ExportArgs, GatewayArgs, TryArgs};
use crate::app::commands::payment_export as export;
use crate::clock::Timestamp;

#[derive(Debug, Subcommand)]
pub(crate) enum PaymentsCommand {
    /// Payments, newest first.
    List(PaymentListArgs),
    /// One payment with its attempts and journal.
    Show {
        /// Id of the payment
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        #[command(flatten)]
        gateway: GatewayArgs,
    },
    /// Settle what the gateway could not, once you know from the provider what became of it.
    Resolve(PaymentResolveArgs),
    /// How the providers stand: weight, share, breaker, limit, success, maintenance; or change their weights.
    Weights(WeightsArgs),
    /// Charges and refunds of a provider as CSV, or one JSON document a line; or what differs from its own books.
    Export(ExportArgs),
    /// Call a provider once and show request, answer and what it is taken for; only a lookup, unless --really.
    Try(TryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PaymentListArgs {
    /// Only those in this status, e.g. pending; manual: those that a person has to settle
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Only those with an attempt at this provider
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Only those of this order
    #[arg(long = "order", value_name = "ORDER_ID")]
    pub(crate) order_id: Option<String>,
    /// First day (UTC, e.g. 2026-11-01) or moment (2026-11-21T20:00:00Z) of acceptance
    #[arg(long, value_name = "DAY", value_parser = export::first_moment)]
    pub(crate) from: Option<Timestamp>,
    /// Last day (UTC, included), or the moment before which they were accepted
    #[arg(long, value_name = "DAY", value_parser = export::end_moment)]
    pub(crate) to: Option<Timestamp>,
    /// Only those older than this payment: the last one of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,
    /// At most so many payments
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PaymentResolveArgs {
    /// Id of the payment
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) id: String,
    /// What became of it
    #[arg(long = "as", value_enum, value_name = "STATE")]
    pub(crate) state: PaymentOutcome,
    /// Number of the attempt; needed where more than one thing is open
    #[arg(long, conflicts_with = "refund")]
    pub(crate) attempt: Option<u32>,
    /// Number of the refund, if it is about one
    #[arg(long)]
    pub(crate) refund: Option<u32>,
    /// The provider's name for the charge
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) provider_ref: Option<String>,
    /// Why, for the journal
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PaymentOutcome {
    /// The money was taken, or given back
    Succeeded,
    /// It was refused
    Declined,
    /// Nothing happened
    #[value(name = "not_processed")]
    NotProcessed,
    /// It was taken back
    Voided,
}

#[derive(Debug, Args)]
pub(crate) struct WeightsArgs {
    /// New weights, in the flag that `payments.weights` names; who is not named keeps its own, 0 drains
    #[arg(value_name = "PROVIDER=WEIGHT", requires = "reason")]
    pub(crate) weights: Vec<Weight>,
    /// Why, for the history; with new weights only
    #[arg(long, requires = "weights", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: Option<String>,
    /// Change only if the flag did not change since this revision; else the current one
    #[arg(long, value_name = "REVISION", requires = "weights")]
    pub(crate) if_match: Option<u64>,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A provider and its new weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) provider: String,
    pub(crate) weight: u32,
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write PROVIDER=WEIGHT with a whole number from 0 to 1000000, e.g. alpha=70".to_owned();
        let (provider, weight) = text.split_once('=').filter(|(provider, _)| !provider.is_empty()).ok_or_else(wrong)?;
        let weight = weight.parse().ok().filter(|weight| *weight <= 1_000_000).ok_or_else(wrong)?;
        Ok(Self { provider: provider.to_owned(), weight })
    }
}
