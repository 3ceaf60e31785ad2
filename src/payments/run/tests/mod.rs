//! Runs against pretended providers, in virtual time.

mod charges;
mod crashes;
mod ledger_failures;
mod observing;
mod refunds;
mod resolving;
mod two_steps;
