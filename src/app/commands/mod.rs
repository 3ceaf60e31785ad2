//! The commands, one a file. Each reads its arguments, does one thing and returns the exit code.

pub(super) mod assignment;
pub(super) mod check;
pub(super) mod explain;
mod flag_tables;
pub(super) mod flags;
pub(super) mod health;
pub(super) mod migrations;
mod moved;
pub(super) mod payment_export;
mod payment_trial;
mod payment_weights;
pub(super) mod payments;
mod raise;
pub(super) mod schema;
pub(super) mod settlement_file;
pub(super) mod token;
