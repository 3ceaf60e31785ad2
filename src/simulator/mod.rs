//! Pretended payment providers that keep their own books and can do every fault on demand.
//!
//! They drive the demo and judge the tests: whatever the gateway believes, what the books say was
//! captured was captured. Pure: a request in, a [`Plan`] out, and the effect when its time has
//! come; time and randomness are arguments, so hours of outages pass in milliseconds. Deliberately
//! not here: sockets, waiting, tasks (whoever drives a provider does that), and any knowledge of
//! the gateway; each dialect is written from its provider's documentation, not from our adapters.

mod answer;
mod books;
mod canonical;
mod fault;
mod form;
mod provider;
mod stripe_like;
mod toss_like;

pub use answer::unexplained;
pub use books::{Books, Charge, ChargeState, Effect, Entry, Refund};
pub use fault::{Fault, Faults, Garble, Outage, Plan, Reply};
pub use provider::{CustomersPayment, Dialect, Manners, Provider, Received, Wish};

/// A request as a provider gets it, its body complete.
pub type Request = http::Request<bytes::Bytes>;
/// A provider's whole answer.
pub type Answer = http::Response<bytes::Bytes>;

/// A means of payment that the pretended card's issuer always refuses.
pub const DECLINED_TOKEN: &str = "tok_declined";
