//! What `figway payments list`, `resolve` and `weights` take.

use clap::{Args, ValueEnum};

use super::GatewayArgs;
use crate::app::commands::assignment::Assignment;
use crate::app::commands::payment_export as export;
use crate::clock::Timestamp;

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
    #[arg(long)]
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
    #[arg(value_name = "PROVIDER=WEIGHT")]
    pub(crate) weights: Vec<Assignment>,
    /// Why, for the history; with new weights only
    #[arg(long, requires = "weights")]
    pub(crate) reason: Option<String>,
    /// Change only if the flag did not change since this revision; else the current one
    #[arg(long, value_name = "REVISION", requires = "weights")]
    pub(crate) if_match: Option<u64>,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
