//! Rules that keep one failing backend from becoming everybody's failure. Pure: time and randomness are arguments.

pub mod balance;
mod retry_budget;

pub use retry_budget::RetryBudget;
