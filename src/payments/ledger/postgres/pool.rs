//! Connections to PostgreSQL, each with its statements prepared.
//!
//! A connection that is in doubt is never used again: it is kept only if its work ended with an
//! answer of the server, and dropping one ends its transaction. So a server that was restarted, or
//! a network that came back, needs nothing but the next call. Every call ends within [`ANSWER`].

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::address::{PostgresAddress, Tls};
use super::statements::Prepared;
use super::tls::RustlsConnect;
use crate::payments::ledger::known::Known;
use crate::payments::ledger::{LedgerError, LedgerFuture, OpenError};
use crate::tls::ClientTls;

/// Longest time for one call of the ledger, all in all.
const ANSWER: Duration = Duration::from_secs(6);
/// Calls at once. Commits of all connections are made durable together, so more of them wait no less.
const CONNECTIONS: usize = 16;

/// What holds for every connection. Replication settings that wait for more than `on` stay as they are.
const SESSION: &str = "
    SET search_path = figway;
    SET statement_timeout = '4s';
    SET lock_timeout = '3s';
    SET idle_in_transaction_session_timeout = '10s';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
";

/// One connection that is ready.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) sql: Prepared,
    pub(super) known: Arc<Known>,
}

/// Connections that nobody uses at the moment.
pub(super) struct Pool {
    address: PostgresAddress,
    idle: Mutex<Vec<Session>>,
    places: Semaphore,
    known: Arc<Known>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    /// A pool that connects when it is asked to.
    pub(super) fn new(address: PostgresAddress) -> Self {
        Self { address, idle: Mutex::default(), places: Semaphore::new(CONNECTIONS), known: Arc::default() }
    }

    /// Does `work` on a connection of its own.
    pub(super) async fn run<T>(
        &self,
        work: impl for<'a> FnOnce(&'a Session) -> LedgerFuture<'a, T> + Send,
    ) -> Result<T, LedgerError> {
        let late = |_| LedgerError::Unavailable(format!("PostgreSQL gave no answer within {} s", ANSWER.as_secs()));
        tokio::time::timeout(ANSWER, self.run_in_time(work)).await.map_err(late)?
    }

    async fn run_in_time<T>(
        &self,
        work: impl for<'a> FnOnce(&'a Session) -> LedgerFuture<'a, T> + Send,
    ) -> Result<T, LedgerError> {
        let closed = |_| LedgerError::Unavailable("the ledger is closed".into());
        let _place = self.places.acquire().await.map_err(closed)?;
        let session = match self.idle() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let result = work(&session).await;
        if !matches!(result, Err(LedgerError::Unavailable(_))) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
        result
    }

    fn idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that the server has closed since are dropped here.
        std::iter::from_fn(|| idle.pop()).find(|session| !session.client.is_closed())
    }

    async fn connect(&self) -> Result<Session, LedgerError> {
        let unavailable = |error: OpenError| LedgerError::Unavailable(error.to_string());
        let client = connect(&self.address).await.map_err(unavailable)?;
        let sql = Prepared::new(&client).await?;
        Ok(Session { client, sql, known: Arc::clone(&self.known) })
    }
}

/// A connection with the session's settings, and nothing prepared.
///
/// # Errors
/// It can't be made; the text never holds the password.
pub(super) async fn connect(address: &PostgresAddress) -> Result<Client, OpenError> {
    let client = match &address.tls {
        Tls::Off => {
            let (client, connection) = address.config.connect(NoTls).await?;
            tokio::spawn(connection);
            client
        }
        Tls::On { roots } => {
            let roots = roots.clone();
            let tls = tokio::task::spawn_blocking(move || trust(roots.as_deref())).await;
            let tls = tls.map_err(|error| OpenError::Database(error.to_string()))??;
            let (client, connection) = address.config.connect(RustlsConnect::new(&tls)).await?;
            tokio::spawn(connection);
            client
        }
    };
    client.batch_execute(SESSION).await?;
    Ok(client)
}

/// Trusts the certificates of this file, or the system's.
fn trust(roots: Option<&Path>) -> Result<ClientTls, OpenError> {
    let tls = match roots {
        Some(file) => {
            let name = file.display();
            let pem =
                std::fs::read(file).map_err(|error| OpenError::Database(format!("sslrootcert {name}: {error}")))?;
            ClientTls::from_pem(&name.to_string(), &pem)
        }
        None => ClientTls::from_system(),
    };
    tls.map_err(|error| OpenError::Database(error.to_string()))
}

impl From<tokio_postgres::Error> for LedgerError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(detail) if *detail.code() == SqlState::UNIQUE_VIOLATION => Self::Conflict(detail.message().into()),
            Some(detail) => Self::Unavailable(format!("PostgreSQL: {} ({})", detail.message(), detail.code().code())),
            None => {
                let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                Self::Unavailable(format!("PostgreSQL: {error}{reason}"))
            }
        }
    }
}
