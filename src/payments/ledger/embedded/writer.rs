//! Writes the embedded ledger, in groups.
//!
//! Two threads take turns. Whose turn it is puts all writes that wait into the log, as one transaction; then the
//! turn passes on, and the log is made durable: one `fdatasync` for the group. Only then are they told that they are
//! done. So the next group is being worked on while the disk is waited for. SQLite itself never syncs a commit, only
//! what it needs to move the log into the file safely (`synchronous = NORMAL`).
//!
//! A write that breaks a rule takes nobody with it: the group is then done again with a savepoint for each. A group
//! whose commit fails has failed for everybody in it, and so has one that would go into files that are not the
//! ledger's any more; the connection is then opened anew, for nothing that it believes can be trusted. After a sync
//! that failed, nothing is committed any more ([`Files`]); the group that is in the log behind it has failed, too.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpointer::{LogEnd, checkpoint};
use super::files::Files;
use super::unsettled::{Commit, Unsettled};
use crate::payments::ledger::{LedgerError, OpenError};

/// Writes that may wait; more are refused, because the ledger does not keep up.
const QUEUE: usize = 4096;
/// Writes in one group.
const GROUP: usize = 256;
/// One works while the other waits for the disk. A third makes groups smaller, and so all of them slower.
const THREADS: usize = 2;

/// Hands writes to the threads, which end when the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer(SyncSender<Box<dyn Write>>);

impl Writer {
    /// Starts the threads.
    pub(super) fn start(files: &Arc<Files>, log_end: LogEnd, unsettled: &Arc<Unsettled>) -> Result<Self, OpenError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let connection = Some(files.connect_writer()?);
        let turn = Arc::new(Mutex::new(Turn { connection, files: Arc::clone(files), log_end, receiver }));
        for _ in 0..THREADS {
            let (files, unsettled) = (Arc::clone(files), Arc::clone(unsettled));
            let thread = Thread { turn: Arc::clone(&turn), log: files.open_log()?, files, unsettled };
            std::thread::Builder::new()
                .name("ledger".into())
                .spawn(move || while thread.take_turn().is_some() {})
                .map_err(OpenError::Thread)?;
        }
        Ok(Self(sender))
    }

    /// Runs `work` within the next group; ready when the group is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let write = Box::new(OneWrite { work, result: None, reply });
        self.0.try_send(write).map_err(|error| match error {
            TrySendError::Full(_) => LedgerError::Unavailable(format!("{QUEUE} writes are waiting already")),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> LedgerError {
    LedgerError::Unavailable("its thread has stopped".into())
}

/// A write of any result.
trait Write: Send {
    /// Does the work, again if need be; whether to keep it.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells who waits: the write's own result, or why the group failed.
    fn tell(self: Box<Self>, group: Result<(), LedgerError>);
}

struct OneWrite<F, T> {
    work: F,
    result: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<F, T> Write for OneWrite<F, T>
where
    F: Fn(&Connection) -> Result<T, LedgerError> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let result = self.result.insert((self.work)(connection));
        result.is_ok()
    }

    fn tell(self: Box<Self>, group: Result<(), LedgerError>) {
        let result = group.and(self.result.unwrap_or_else(|| Err(stopped())));
        // Nobody waits any more: the client's task was dropped. The write stands all the same.
        let _ = self.reply.send(result);
    }
}

struct Thread {
    turn: Arc<Mutex<Turn>>,
    log: File,
    files: Arc<Files>,
    unsettled: Arc<Unsettled>,
}

impl Thread {
    /// Waits for its turn, and for a group to write; `None` when there won't be another.
    fn take_turn(&self) -> Option<()> {
        // A write that panicked: nobody knows what it has left behind.
        let mut turn = self.turn.lock().ok()?;
        let mut group = turn.next_group()?;
        let committed = turn.commit(&mut group, &self.unsettled);
        drop(turn);
        // Readers go on only once it is known.
        let result = committed.and_then(|_commit| self.files.sync(&self.log));
        for write in group {
            write.tell(result.clone());
        }
        Some(())
    }
}

/// What a thread needs to write; one has it at a time.
struct Turn {
    /// `None` after a failure, until it could be opened again.
    connection: Option<Connection>,
    files: Arc<Files>,
    log_end: LogEnd,
    receiver: Receiver<Box<dyn Write>>,
}

impl Turn {
    /// Waits for a write; all that wait by then. `None` if there won't be any.
    fn next_group(&mut self) -> Option<Vec<Box<dyn Write>>> {
        let mut group = vec![self.receiver.recv().ok()?];
        self.move_log_end();
        group.extend(self.receiver.try_iter().take(GROUP - 1));
        Some(group)
    }

    /// Between two groups, when the checkpointer asks for it.
    fn move_log_end(&self) {
        if self.log_end.swap(false, Ordering::Relaxed)
            && let Some(connection) = &self.connection
        {
            // A sync that failed is known to the files; what else fails is tried again.
            let _ = checkpoint(connection, &self.files);
        }
    }

    /// Puts a group into the log, where it is not durable yet.
    fn commit<'a>(
        &mut self,
        group: &mut [Box<dyn Write>],
        unsettled: &'a Unsettled,
    ) -> Result<Commit<'a>, LedgerError> {
        self.files.check_syncs()?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.files.connect_writer()?,
        };
        execute(&connection, "BEGIN IMMEDIATE")?;
        if !group.iter_mut().all(|write| write.run(&connection)) {
            // A full disk makes SQLite roll back by itself.
            if !connection.is_autocommit() {
                execute(&connection, "ROLLBACK")?;
            }
            execute(&connection, "BEGIN IMMEDIATE")?;
            for write in group {
                execute(&connection, "SAVEPOINT write")?;
                if !write.run(&connection) {
                    execute(&connection, "ROLLBACK TO write")?;
                }
                execute(&connection, "RELEASE write")?;
            }
        }
        self.files.check()?;
        let commit = unsettled.begin();
        execute(&connection, "COMMIT").inspect_err(|error| self.files.note(error))?;
        self.connection = Some(connection);
        Ok(commit)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            self.files.before_closing(connection);
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests;
