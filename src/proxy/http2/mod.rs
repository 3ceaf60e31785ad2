//! HTTP/2 (RFC 9113) on both sides, on top of the `h2` library: it frames, compresses and controls the
//! flow; what a request or an answer may be, and how long anybody may take, is decided here.
//!
//! Deliberately not here: server push, extended CONNECT, priorities.

pub(crate) mod client;
mod coalesce;
pub(crate) mod incoming;
mod outgoing;
mod patience;
mod request_head;
pub(crate) mod server;
mod stream;
mod unfinished;

pub(crate) use coalesce::Coalesced;

/// The peer has reset the stream, or the connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;
