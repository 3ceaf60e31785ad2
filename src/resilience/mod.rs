//! Rules that keep one failing backend from becoming everybody's failure. Pure: time and randomness are arguments.

pub mod balance;
mod breaker;
mod retry_budget;

pub use breaker::{Breaker, BreakerRules, BreakerState, Ended, Need, Refused, Ticket};
pub use retry_budget::RetryBudget;
