//! The gateway as its neighbours see it: bytes in, bytes out, over real sockets.
//!
//! One binary for all of it, since linking is what costs. Each test has a gateway, backends and ports
//! of its own; the rules come from the RFCs and from the design, not from the implementation.

#[path = "../support/mod.rs"]
mod support;

mod abuse;
mod auth;
mod bodies;
mod chunks;
mod clients;
mod cors;
mod deadlines;
mod failing_backends;
mod forwarding;
mod framing;
mod grpc;
mod host;
mod http2;
mod http2_backends;
mod http2_clients;
mod identity;
mod interim;
mod keys;
mod limits;
mod memory;
mod paths;
mod payment_choice;
mod payments;
mod pool;
mod process;
mod reload;
mod tls;
mod upgrades;
