//! Moves the write-ahead log into the file beside the writer, and keeps the log short.
//!
//! Moving takes long enough to be noticed by whoever waits for a commit, so the writer is spared most
//! of it. But the next commit begins at the log's start again only if all of it is moved by then, and
//! under load something new is there whenever this thread is done. So once the log is long, the writer
//! is asked to move the rest itself between two groups: what came within the last millisecond or two.
//! A log that is written over instead of growing makes each commit cheaper, too: no new length of the
//! file has to be made durable, which doubles the time of a sync.
//!
//! The bound: a log of [`LONG`] pages is begun anew within [`INTERVAL`] or so. If this thread does not
//! get to it, commits move the log themselves from [`LONGEST`] pages on; only a reader that stays in one
//! transaction for longer than that takes can make it longer, and every read here ends within
//! milliseconds. A file that was longer once is cut to that length.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use super::files::Files;
use crate::payments::ledger::{LedgerError, OpenError};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Pages in the log from which it is to begin anew (32 MB): at the highest load every second or so.
pub(super) const LONG: i64 = 8_000;
/// Pages in the log from which each commit moves them (128 MB).
pub(super) const LONGEST: i64 = 32_000;
/// Bytes of a page in the log: the page and its header.
pub(super) const PAGE: i64 = 4_096 + 24;

/// Asks the writer to move the end of the log.
pub(super) type LogEnd = Arc<AtomicBool>;

/// Starts the thread, which asks for the end of a log of `long` pages; it ends when the sender is dropped.
pub(super) fn start(files: Arc<Files>, log_end: LogEnd, long: i64) -> Result<SyncSender<()>, OpenError> {
    let connection = files.connect()?;
    let (sender, ended) = sync_channel::<()>(0);
    let run = move || {
        let mut before = Moved::default();
        let mut move_pages = || -> Result<Moved, LedgerError> {
            files.check_syncs()?;
            let moved = checkpoint(&connection, &files)?;
            if moved != std::mem::replace(&mut before, moved) {
                files.sync_database()?;
            }
            Ok(moved)
        };
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            // What fails here is tried again. The second time is for what came during the first.
            if move_pages().is_ok_and(|moved| moved.pages >= long) && move_pages().is_ok() {
                log_end.store(true, Ordering::Relaxed);
            }
        }
        files.before_closing(&connection);
    };
    std::thread::Builder::new().name("checkpointer".into()).spawn(run).map_err(OpenError::Thread)?;
    Ok(sender)
}

/// How far a checkpoint has got.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// Pages that the log had when it began.
    pub(super) pages: i64,
    /// How many of them are in the database now.
    moved: i64,
}

/// Moves what no reader needs in the log any more.
pub(super) fn checkpoint(connection: &Connection, files: &Files) -> Result<Moved, LedgerError> {
    let read = |row: &rusqlite::Row<'_>| Ok(Moved { pages: row.get(1)?, moved: row.get(2)? });
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], read);
    Ok(moved.inspect_err(|error| files.note(error))?)
}
