//! Reload: watch, rescan, load, publish; write flag files; fetch keys.

mod writer;

pub use writer::{Change, ChangeError, Changed, FlagWriter, HistoryEntry};
