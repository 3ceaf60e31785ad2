//! Settings of the data plane's and the control plane's listeners.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::payments::LedgerPlace;
use crate::tls::ServerTls;

/// What a reload may not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// `server.listen`.
    pub listen: Vec<SocketAddr>,
    /// `server.threads`; 0 means one per core.
    pub threads: usize,
    /// `admin.listen`.
    pub admin_listen: Option<SocketAddr>,
    /// `state.dir`, absolute.
    pub state_dir: PathBuf,
    /// `payments.ledger`, if payments are configured.
    pub ledger: Option<LedgerPlace>,
}

impl Startup {
    /// The path of each of these settings in the config file.
    pub const PATHS: [&'static str; 5] =
        ["server.listen", "server.threads", "admin.listen", "state.dir", "payments.ledger"];
}

/// Settings of the data plane.
#[derive(Debug, Clone)]
pub struct Server {
    /// Certificates by server name; plain text when absent.
    pub tls: Option<Arc<ServerTls>>,
    /// Peers whose `X-Forwarded-*` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Adds `x-figway-decision` to responses.
    pub debug_headers: bool,
    /// What a request may measure.
    pub limits: Limits,
    /// How long clients may take.
    pub timeouts: ClientTimeouts,
    /// Connections at once, over all cores (default 100,000); beyond it, accepting pauses.
    pub max_connections: usize,
    /// How the process ends.
    pub drain: Drain,
    /// Where the access log goes.
    pub access_log: AccessLog,
}

/// What a request may measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Header section in bytes (32 KiB).
    pub header_bytes: usize,
    /// Header lines (100).
    pub header_lines: usize,
    /// Request target in bytes (8 KiB).
    pub uri_bytes: usize,
    /// Request body in bytes (10 MiB).
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 32 << 10, header_lines: 100, uri_bytes: 8 << 10, body_bytes: 10 << 20 }
    }
}

/// How long clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// From the first byte of a head to its end (10 s).
    pub header: Duration,
    /// Between requests (75 s).
    pub idle: Duration,
    /// Without a byte of an announced body (10 s).
    pub body: Duration,
    /// Without taking a byte of an answer that is ready for it (60 s).
    pub answer: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(60),
        }
    }
}

/// How the process ends after SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Not ready but still accepting (5 s).
    pub delay: Duration,
    /// For requests in flight (30 s).
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), timeout: Duration::from_secs(30) }
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLog {
    /// Standard output.
    #[default]
    Stdout,
    /// Appended to a file, opened again on SIGHUP.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// Settings of the control plane.
#[derive(Debug, Clone)]
pub struct Admin {
    /// What a caller without a token may do.
    pub anonymous: AnonymousAccess,
    /// Known callers.
    pub tokens: Vec<AdminToken>,
}

/// What a caller without a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnonymousAccess {
    /// Nothing but health and metrics.
    None,
    /// Read.
    #[default]
    Read,
    /// Read and change; only on loopback.
    Operate,
}

/// What a known caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read and change.
    Operator,
}

/// A known caller of the control plane.
#[derive(Clone)]
pub struct AdminToken {
    /// Who it is, for the history.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The secret itself, read from `secret_file`, trimmed. Compared in constant time.
    pub secret: Arc<str>,
}

impl AdminToken {
    /// What the history calls a caller without a token; no token has this name.
    pub const ANONYMOUS: &'static str = "anonymous";
    /// What the history calls whoever changed a file by hand; no token has this name.
    pub const BY_HAND: &'static str = "file";
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminToken").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}
