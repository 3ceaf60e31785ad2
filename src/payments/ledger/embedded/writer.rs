//! Writes the embedded ledger, in groups.
//!
//! Two threads take turns. Whose turn it is puts all writes that wait into the log, as one transaction; then the
//! turn passes on, and the log is made durable: one `fdatasync` for the group. Only then are they told that they are
//! done. So the next group is being worked on while the disk is waited for. SQLite itself never syncs a commit, only
//! what it needs to move the log into the file safely (`synchronous = NORMAL`).
//!
//! A write that breaks a rule takes nobody with it: the group is then done again with a savepoint for each. A group
//! whose commit fails has failed for everybody in it, and the connection is opened anew: nothing that it believes can
//! be trusted. So has one that would go into files that are not the ledger's any more ([`Files`]), and one that could
//! not be made durable. What the log has on disk is unknown from then on, so nothing is committed before all of it is
//! in the database and durable there. The group that follows in the log meanwhile fails as well: each thread syncs
//! through a file of its own, because the system tells each of them, once, that something was not written.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpointer::{LogEnd, checkpoint};
use super::files::Files;
use super::unsettled::Unsettled;
use crate::payments::ledger::{LedgerError, OpenError};

/// Writes that may wait; more are refused, because the ledger does not keep up.
const QUEUE: usize = 4096;
/// Writes in one group.
const GROUP: usize = 256;
/// One works while the other waits for the disk. A third makes groups smaller, and so all of them slower.
const THREADS: usize = 2;

/// Makes what was written to a file durable: [`File::sync_data`], but in tests.
pub(super) type SyncLog = fn(&File) -> io::Result<()>;

/// Hands writes to the threads, which end when the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer(SyncSender<Box<dyn Write>>);

impl Writer {
    /// Starts the threads.
    pub(super) fn start(
        files: &Arc<Files>,
        log_end: LogEnd,
        unsettled: &Arc<Unsettled>,
        sync: SyncLog,
    ) -> Result<Self, OpenError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let connection = Some(files.connect_writer()?);
        let turn = Turn { connection, files: Arc::clone(files), log_end, receiver };
        let shared = Arc::new(Shared { turn: Mutex::new(turn), suspect: AtomicBool::default() });
        for _ in 0..THREADS {
            let (shared, unsettled, log) = (Arc::clone(&shared), Arc::clone(unsettled), files.open_log()?);
            let thread = Thread { shared, unsettled, log, sync };
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
        let result = match (group, self.result) {
            // A write that broke a rule hears that, whatever became of the others.
            (_, Some(Err(own))) => Err(own),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(stopped()),
            (Err(error), _) => Err(error),
        };
        // Nobody waits any more: the client's task was dropped. The write stands all the same.
        let _ = self.reply.send(result);
    }
}

/// What both threads have.
struct Shared {
    turn: Mutex<Turn>,
    /// Something in the log could not be made durable; set until the log was moved.
    suspect: AtomicBool,
}

struct Thread {
    shared: Arc<Shared>,
    unsettled: Arc<Unsettled>,
    log: File,
    sync: SyncLog,
}

impl Thread {
    /// Waits for its turn, and for a group to write; `None` when there won't be another.
    fn take_turn(&self) -> Option<()> {
        // A write that panicked: nobody knows what it has left behind.
        let mut turn = self.shared.turn.lock().ok()?;
        let mut group = turn.next_group()?;
        let unsettled = self.unsettled.begin();
        let committed = turn.commit(&mut group, &self.shared.suspect);
        drop(turn);
        let result = committed.and_then(|()| self.make_durable());
        drop(unsettled);
        for write in group {
            write.tell(result.clone());
        }
        Some(())
    }

    fn make_durable(&self) -> Result<(), LedgerError> {
        (self.sync)(&self.log).map_err(|error| {
            self.shared.suspect.store(true, Ordering::SeqCst);
            LedgerError::Unavailable(format!("its log can't be made durable: {error}"))
        })
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
            // A failure to write is met again by the commit that follows.
            let _ = checkpoint(connection);
        }
    }

    /// Puts a group into the log, where it is not durable yet.
    fn commit(&mut self, group: &mut [Box<dyn Write>], suspect: &AtomicBool) -> Result<(), LedgerError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.files.connect_writer()?,
        };
        if suspect.load(Ordering::SeqCst) {
            move_all(&connection)?;
            suspect.store(false, Ordering::SeqCst);
        }
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
        execute(&connection, "COMMIT")?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// Moves all of the log into the database, durably, and begins it anew.
fn move_all(connection: &Connection) -> Result<(), LedgerError> {
    let is_in_use: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_in_use {
        return Err(LedgerError::Unavailable("its log can't be moved after a failure: it is being read".into()));
    }
    Ok(())
}

fn execute(connection: &Connection, sql: &str) -> Result<(), LedgerError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests;
