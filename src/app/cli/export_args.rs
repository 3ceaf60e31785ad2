//! The options of `figway payments export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::GatewayArgs;
use crate::app::commands::payment_export as export;
use crate::app::commands::settlement_file::Column;
use crate::clock::Timestamp;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Whose charges and refunds
    #[arg(long)]
    pub(crate) provider: String,
    /// First day (UTC, e.g. 2026-11-01) or moment of acceptance
    #[arg(long, value_name = "DAY", value_parser = export::first_moment)]
    pub(crate) from: Option<Timestamp>,
    /// Last day (UTC, included), or the moment before which they were accepted
    #[arg(long, value_name = "DAY", value_parser = export::end_moment)]
    pub(crate) to: Option<Timestamp>,
    /// The provider's settlement file (.csv, .json or .jsonl): print every difference, and exit with 1 if there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// How to read a settlement file.
#[derive(Debug, Clone, Args)]
pub(crate) struct FormatArgs {
    /// Its columns where they have other names: reference, provider_ref, amount, currency, kind, status; in JSON, keys or
    /// pointers (/order/id)
    #[arg(long, value_name = "NAME=COLUMN", value_delimiter = ',', requires = "against")]
    pub(crate) columns: Vec<Column>,
    /// Unit of its amounts: minor (1234) or major (12.34)
    #[arg(long, value_enum, default_value_t = AmountUnit::Minor, requires = "against")]
    pub(crate) amounts: AmountUnit,
    /// Its statuses that mean that money has moved
    #[arg(long, value_name = "STATUS", value_delimiter = ',', requires = "against",
          default_values = ["settled", "succeeded", "success", "paid", "captured", "completed", "done"])]
    pub(crate) settled: Vec<String>,
    /// Its kinds of lines that are neither charges nor refunds, such as fee
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "against")]
    pub(crate) ignore: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AmountUnit {
    /// Integers in the currency's smallest unit
    Minor,
    /// Decimals in the currency itself
    Major,
}
