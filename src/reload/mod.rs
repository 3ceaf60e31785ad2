//! Reload: watch, rescan, load, publish; write flag files; fetch keys.
//!
//! Events only hint; content decides. Whoever wants a look at the files (a hint, the rescan, SIGHUP,
//! a flag change) goes through one [`publisher::Publisher`], one at a time, on a thread that may
//! block. It reads everything, and either publishes all of it as the next revision or nothing and
//! says why. Deliberately not here: what makes files good (`config` decides).

mod change;
mod durable;
mod edit;
mod history;
mod keys;
mod last_good;
mod loader;
mod own_writes;
mod publisher;
mod record;
mod reloader;
mod render;
mod report;
mod restart;
mod seen;
mod start;
mod watch;
mod writer;

pub use keys::{Fetch, Fetched, KeyFetcher};
pub use loader::{Files, Loader};
pub use reloader::{Hints, Options, ReloadTrigger, Reloader};
pub use start::StartError;
pub use writer::{ChangeError, Changed, FlagWriter, HistoryEntry, Wish};
