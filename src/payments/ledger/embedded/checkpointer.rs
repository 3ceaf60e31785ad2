//! Moves the write-ahead log into the file beside the writer.
//!
//! Moving it takes long enough to be noticed by whoever waits for a commit, so the writer is spared
//! it. But only when all of the log is moved does the next commit begin at its start again, and under
//! load there is always something new; so now and then the writer is asked to move the little that
//! is left. Without that the log grows until a commit has to move all of it. A log that is written
//! over instead of growing also costs less: no commit has to make a new file length durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use crate::payments::ledger::{LedgerError, OpenError};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Pages in the log from which it is to begin anew (32 MB): at the highest load every few seconds.
const LONG: i64 = 8_000;
/// Pages that the writer may be asked to move. Mostly it is some hundreds, which take some milliseconds;
/// on a disk that is slow for everybody it may be this many.
const LITTLE: i64 = 4_000;

/// How often the end of a long log is gone after at once.
const PASSES: usize = 5;

/// Asks the writer to move the end of the log.
pub(super) type LogEnd = Arc<AtomicBool>;

/// Starts the thread; it ends when the sender is dropped.
pub(super) fn start(connection: Connection, log_end: LogEnd) -> Result<SyncSender<()>, OpenError> {
    let (sender, ended) = sync_channel::<()>(0);
    let run = move || {
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            // What fails here fails again, and loudly, in the writer.
            let mut log = checkpoint(&connection);
            // While one part is moved, less than that is added, and so less each time.
            for _ in 0..PASSES {
                match log {
                    Ok((pages, moved)) if pages > LONG && pages - moved >= LITTLE / 16 => log = checkpoint(&connection),
                    _ => break,
                }
            }
            if log.is_ok_and(|(pages, moved)| pages > LONG && (1..LITTLE).contains(&(pages - moved))) {
                log_end.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::Builder::new().name("checkpointer".into()).spawn(run).map_err(OpenError::Thread)?;
    Ok(sender)
}

/// Moves what no reader needs in the log any more; pages in the log, and how many of them are moved.
pub(super) fn checkpoint(connection: &Connection) -> Result<(i64, i64), LedgerError> {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
    Ok(moved)
}
