//! A route: which requests, who may, and where they go.

use std::sync::Arc;
use std::time::Duration;

use super::{Backend, Timeouts};
use crate::filters::{AuthMode, Cors, Filter};
use crate::flags::Flag;
use crate::types::RouteName;

/// A compiled route.
///
/// What every request reads stands first and lies on one line of memory: with many routes, each line is one to wait for.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Route {
    /// What it demands and allows; one for all routes with the same terms.
    pub policy: Arc<Policy>,
    /// Where matching requests go.
    pub target: Target,
    /// Its name.
    pub name: RouteName,
    /// The template, for people and metrics.
    pub path: String,
    /// Upper-case methods; empty means any.
    pub methods: Vec<String>,
    /// Host without port, or any.
    pub host: Option<String>,
}

/// A route's terms, and the filters that enforce them.
#[derive(Debug)]
pub struct Policy {
    /// As configured.
    pub terms: Terms,
    /// Request policies in the order in which they run; made by [`crate::filters::chain`].
    pub filters: Vec<Box<dyn Filter>>,
}

/// What a route demands of requests, and what it allows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whether callers must prove who they are.
    pub auth: AuthMode,
    /// Cross-origin rules, if any.
    pub cors: Option<Cors>,
    /// Encoded slashes and backslashes are accepted (and forwarded as they are).
    pub allow_encoded_slash: bool,
    /// Largest request body in bytes, if the route has a limit of its own. Without one the server's counts,
    /// save for gRPC: its streams have no length in all, only their messages have.
    pub max_body: Option<u64>,
    /// More tries for idempotent methods on 502, 503, 504 or a lost connection; 0 by default.
    pub retries: u32,
    /// Overrides of the backend's timeouts.
    pub timeouts: TimeoutOverrides,
}

/// What a route sets instead of its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeoutOverrides {
    /// See [`Timeouts::connect`].
    pub connect: Option<Duration>,
    /// See [`Timeouts::response`].
    pub response: Option<Duration>,
    /// See [`Timeouts::request`].
    pub request: Option<Duration>,
    /// See [`Timeouts::idle`].
    pub idle: Option<Duration>,
}

impl TimeoutOverrides {
    /// The backend's timeouts with this route's overrides.
    #[must_use]
    pub fn over(&self, backend: &Timeouts) -> Timeouts {
        Timeouts {
            connect: self.connect.unwrap_or(backend.connect),
            response: self.response.unwrap_or(backend.response),
            request: self.request.unwrap_or(backend.request),
            idle: self.idle.unwrap_or(backend.idle),
        }
    }
}

/// Where a route's requests go.
#[derive(Debug)]
pub enum Target {
    /// Always to one backend.
    Backend(Arc<Backend>),
    /// As a flag says.
    Flagged {
        /// The flag, compiled into this very snapshot.
        flag: Arc<Flag>,
        /// One per variant of the flag, in the order of [`Flag::variants`]; `None` only for a
        /// variant that can no longer be served (the legacy side of a retired migration).
        backends: Vec<Option<Arc<Backend>>>,
    },
    /// The payment distributor.
    Payments,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_request_reads_lies_on_one_line() {
        assert_eq!(align_of::<Route>(), 64);
        assert!(std::mem::offset_of!(Route, name) + size_of::<RouteName>() <= 64);
    }
}
