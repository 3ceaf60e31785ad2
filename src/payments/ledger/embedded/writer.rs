//! The one thread that writes the embedded ledger, in groups.
//!
//! While one group is being made durable, the writes that arrive wait together and become the next:
//! one transaction and one `fsync` for all of them. A write that breaks a rule takes nobody with it:
//! the group is then done again with a savepoint for each. A group whose commit fails has failed for
//! everybody in it, and the connection is opened anew: after a failed `fsync` nothing that it
//! believes can be trusted. So has one that would go into files that are not the ledger's any more ([`Files`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpointer::{LogEnd, checkpoint};
use super::files::Files;
use crate::payments::ledger::{LedgerError, OpenError};

/// Writes that may wait; more are refused, because the ledger does not keep up.
const QUEUE: usize = 4096;
/// Writes in one group.
const GROUP: usize = 256;

/// Hands writes to the thread; the thread ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer(SyncSender<Box<dyn Write>>);

impl Writer {
    /// Starts the thread with a connection that is ready.
    pub(super) fn start(connection: Connection, files: Arc<Files>, log_end: LogEnd) -> Result<Self, OpenError> {
        let (sender, receiver) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || Thread { connection: Some(connection), files, log_end, receiver }.run())
            .map_err(OpenError::Thread)?;
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

struct Thread {
    /// `None` after a failure, until it could be opened again.
    connection: Option<Connection>,
    files: Arc<Files>,
    log_end: LogEnd,
    receiver: Receiver<Box<dyn Write>>,
}

impl Thread {
    fn run(mut self) {
        while let Ok(first) = self.receiver.recv() {
            self.move_log_end();
            let mut group = vec![first];
            group.extend(self.receiver.try_iter().take(GROUP - 1));
            let result = self.commit(&mut group);
            if result.is_err() {
                self.connection = None;
            }
            for write in group {
                write.tell(result.clone());
            }
        }
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

    fn commit(&mut self, group: &mut [Box<dyn Write>]) -> Result<(), LedgerError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.files.connect()?,
        };
        let connection = self.connection.insert(connection);
        execute(connection, "BEGIN IMMEDIATE")?;
        if !group.iter_mut().all(|write| write.run(connection)) {
            // A full disk makes SQLite roll back by itself.
            if !connection.is_autocommit() {
                execute(connection, "ROLLBACK")?;
            }
            execute(connection, "BEGIN IMMEDIATE")?;
            for write in group {
                execute(connection, "SAVEPOINT write")?;
                if !write.run(connection) {
                    execute(connection, "ROLLBACK TO write")?;
                }
                execute(connection, "RELEASE write")?;
            }
        }
        self.files.check()?;
        execute(connection, "COMMIT")
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<(), LedgerError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
