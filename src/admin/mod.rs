//! Admin: the control plane's HTTP interface: health, metrics, flags, snapshot, explain, payments, OFREP, events.
//!
//! It reads the published snapshot and asks `reload` to change flags; it decides nothing itself. Settings
//! (who may call) are read from the snapshot of each request, so that a reload applies at once.
//! Deliberately absent: the data plane (it has its own listeners and threads, and lives on when this does not)
//! and any endpoint of a feature that does not exist yet; such a path is a plain 404.

mod access;
mod answer;
mod body;
mod events;
mod explain;
mod flag_view;
mod flags;
mod health;
mod html;
mod migrations;
mod ofrep;
mod openapi;
mod payments;
mod request;
mod router;
mod serve;
mod snapshot;
mod stall;
mod state;
mod status_page;

pub use access::Ends;
pub use flag_view::FLAG_SURROUNDINGS;
pub use health::Readiness;
pub use openapi::DOCUMENT as OPENAPI;
pub use router::{operations, router};
pub use serve::serve;
pub use state::{AdminState, ExplainRequest, Explainer, FlagChanges, Future, Limits, Metrics, PaymentRecords};
