//! A backend: a named service with one or more endpoints.

use std::time::Duration;

use crate::tls::ClientTls;
use crate::types::BackendName;

/// A named service.
#[derive(Debug)]
pub struct Backend {
    /// Its name.
    pub name: BackendName,
    /// Where it listens; at least one.
    pub endpoints: Vec<EndpointAddress>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// What it speaks.
    pub protocol: Protocol,
    /// TLS towards it, if any.
    pub tls: Option<BackendTls>,
    /// Requests under way at once, over all cores; more are refused with 503.
    pub max_in_flight: u32,
}

/// `host:port` of one endpoint; the host may be a name that is resolved again every 10 s.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointAddress {
    /// Name or address (an IPv6 address without brackets).
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS towards a backend.
#[derive(Debug, Clone)]
pub struct BackendTls {
    /// Roots and client configuration.
    pub client: ClientTls,
    /// Server name to ask for and to verify; the endpoint's host unless set.
    pub sni: Option<String>,
}

/// The HTTP version spoken to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: ALPN on TLS, prior knowledge without.
    H2,
}

/// How long to wait; a route may override any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To a connection, TLS included (2 s).
    pub connect: Duration,
    /// From the request to the response's head, per try (10 s).
    pub response: Duration,
    /// The request all in all, streams excepted (30 s).
    pub request: Duration,
    /// Without a byte in either direction once streaming (5 min).
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: Duration::from_secs(10),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(300),
        }
    }
}
