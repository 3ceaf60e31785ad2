//! The control plane over real sockets: every status, who may call, and callers that misbehave.
//!
//! The router, the listener and the snapshot are the real ones; what changes flags, explains and keeps payments is faked.

#[path = "admin/access.rs"]
mod access;
#[path = "admin/connections.rs"]
mod connections;
#[path = "admin/documents.rs"]
mod documents;
#[path = "admin/events.rs"]
mod events;
#[path = "admin/fakes.rs"]
mod fakes;
#[path = "admin/flags.rs"]
mod flags;
#[path = "admin/gateway.rs"]
mod gateway;
#[path = "admin/health.rs"]
mod health;
#[path = "admin/ofrep.rs"]
mod ofrep;
