//! Figway: an API gateway for the years in which a monolith is being replaced.
//!
//! Modules form layers; each imports only from layers below it (`tests/architecture.rs` holds the
//! table). `ARCHITECTURE.md` walks through a request, a flag change and a payment with file names.

// Layer 0: words and values.
pub mod clock;
pub mod problem;
pub mod tls;
pub mod types;
pub mod units;

// Layer 1: pure rules, and what every layer may use.
pub mod auth;
pub mod client;
pub mod flags;
pub mod resilience;
pub mod routing;
pub mod simulator;
pub mod telemetry;

// Layer 2: request policies and the payment distributor.
pub mod filters;
pub mod payments;

// Layer 3: the compiled, immutable view.
pub mod snapshot;

// Layer 4: what the user wrote.
pub mod config;

// Layer 5: sockets of the data plane, and reload.
pub mod proxy;
pub mod reload;

// Layer 6: the control plane.
pub mod admin;

// Layer 7: wiring.
pub mod app;
