//! The compiled, immutable view of config and flags, and the handle through which everybody reads it.
//!
//! One request pins one snapshot. State that must outlive a reload (pools, breakers, counters) is
//! not here; it is kept elsewhere by name.

mod backend;
mod context;
mod decide;
mod handle;
mod route;
mod settings;

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::clock::Timestamp;
use crate::flags::FlagSet;
use crate::routing::RouteTable;
use crate::types::Revision;

pub use crate::filters::{AuthMode, Cors};
pub use backend::{Backend, BackendTls, EndpointAddress, Protocol, Timeouts};
pub use context::RequestContext;
pub use decide::{Choice, Refusal};
pub use handle::{Diagnostic, ReloadStatus, Severity, SnapshotHandle};
pub use route::{Policy, Route, Target, Terms, TimeoutOverrides};
pub use settings::{
    AccessLog, Admin, AdminToken, AnonymousAccess, ClientTimeouts, Drain, Limits, Role, Server, Startup,
};

/// Config and flags at one revision.
#[derive(Debug)]
pub struct Snapshot {
    /// Number of the publication.
    pub revision: Revision,
    /// SHA-256 over every file it was made from, hexadecimal.
    pub hash: String,
    /// When it was compiled.
    pub created: Timestamp,
    /// It came from the last good copy on disk, because the files were bad at start.
    pub stale: bool,
    /// What a reload may not change.
    pub startup: Startup,
    /// The data plane's own settings.
    pub server: Server,
    /// The control plane's settings.
    pub admin: Admin,
    /// Verifies tokens.
    pub auth: Arc<Authenticator>,
    /// All flags.
    pub flags: FlagSet,
    /// All backends, in the order written.
    pub backends: Vec<Arc<Backend>>,
    /// All routes; [`RouteTable`] answers with indexes into this.
    pub routes: Vec<Route>,
    /// Finds a route.
    pub table: RouteTable,
    /// The payment distributor's settings, if payments are configured.
    pub payments: Option<Arc<crate::payments::Settings>>,
    /// What is legal but deserves a look.
    pub warnings: Vec<Diagnostic>,
}
