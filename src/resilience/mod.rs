//! resilience

mod breaker;

pub use breaker::{Breaker, BreakerRules, BreakerState, Ended, Need, Refused, Ticket};
