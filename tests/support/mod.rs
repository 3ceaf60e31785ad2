//! What the black-box tests stand on: a gateway process, raw clients, scripted backends and signed tokens.
//!
//! Nothing here goes through the library: the gateway is the built binary, its configuration is a file,
//! and both of its neighbours speak bytes, so that a test sees what is on the wire and nothing kinder.

mod backend;
mod client;
mod gateway;
pub(crate) mod h2;
pub(crate) mod h2_frames;
mod message;
mod ports;
pub(crate) mod tls;
mod tokens;

use std::time::{Duration, Instant};

pub(crate) use backend::{FakeBackend, full_backlog, refusing_port};
pub(crate) use client::RawClient;
pub(crate) use gateway::TestGateway;
pub(crate) use message::{Request, Response};
pub(crate) use tokens::{TokenMint, unix_now};

/// How long a test waits for anything before it calls it missing.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Waits for a condition; fails the test when it does not come true in time.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
