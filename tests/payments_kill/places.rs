//! The two kinds of ledger as a run sees them: what goes into the configuration, when something is
//! written, and what the journal holds.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::postgres::PostgresServer;
use crate::stage::{Stage, Step};

/// Where ledgers are made.
pub(crate) enum Place {
    Sqlite,
    Postgres { server: PostgresServer, databases: AtomicU32 },
}

/// The ledger of one run.
#[derive(Clone)]
pub(crate) enum Tables {
    Sqlite(Arc<TempDir>),
    Postgres { through_proxy: String, direct: String },
}

impl Place {
    /// Where gateways on it can be killed.
    pub(crate) fn steps(&self) -> &'static [Step] {
        match self {
            Self::Sqlite => &[Step::Asked, Step::Done, Step::Answered, Step::Logged],
            Self::Postgres { .. } => &[Step::Asked, Step::Done, Step::Answered, Step::Writing, Step::Written],
        }
    }

    /// An empty ledger.
    pub(crate) fn open(&self, stage: &Arc<Stage>) -> Tables {
        match self {
            Self::Sqlite => Tables::Sqlite(Arc::new(tempfile::tempdir().expect("a folder"))),
            Self::Postgres { server, databases } => {
                let name = format!("run{}", databases.fetch_add(1, Ordering::SeqCst));
                let direct = server.database(&name);
                let port = proxy(server.folder().join(".s.PGSQL.5432"), Arc::clone(stage));
                Tables::Postgres { through_proxy: format!("postgres://figway@127.0.0.1:{port}/{name}"), direct }
            }
        }
    }
}

impl Tables {
    /// What stands in `payments.ledger`.
    pub(crate) fn configured(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("embedded: \"{}\"", folder.path().join("payments.db").display()),
            Self::Postgres { through_proxy, .. } => format!("postgres: \"{through_proxy}\""),
        }
    }

    /// From now on each write is a step: on PostgreSQL before and after, by the proxy; on SQLite just
    /// after its bytes are in the log, as fast as a look at the file can tell.
    pub(crate) fn watch(&self, stage: &Arc<Stage>) {
        if let Self::Sqlite(folder) = self {
            let (log, stage) = (folder.path().join("payments.db-wal"), Arc::clone(stage));
            thread::spawn(move || watch_file(&log, &stage));
        }
    }

    /// Makes as if the time had passed after which others may take what a killed gateway held.
    pub(crate) fn end_leases(&self) {
        if let Self::Postgres { direct, .. } = self {
            query(direct, "UPDATE figway.payments SET lease_until = 0 WHERE lease_until > 0 RETURNING 1", None);
        }
    }

    /// Whether the journal announces what is done under this reference.
    pub(crate) fn have_intent(&self, reference: &str) -> bool {
        let pattern = format!("%\"{reference}\"%");
        match self {
            Self::Sqlite(folder) => {
                let tables = rusqlite::Connection::open(folder.path().join("payments.db")).expect("opens");
                let sql = "SELECT count(*) FROM journal WHERE record LIKE ?1";
                tables.query_row(sql, [pattern], |row| row.get::<_, i64>(0)).expect("readable") > 0
            }
            Self::Postgres { direct, .. } => {
                query(direct, "SELECT 1 FROM figway.journal WHERE record::text LIKE $1", Some(&pattern)) > 0
            }
        }
    }
}

/// How many rows a statement gives.
fn query(url: &str, sql: &str, value: Option<&str>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("up");
        tokio::spawn(connection);
        let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = value.iter().map(|value| value as _).collect();
        client.query(sql, &values).await.expect(sql).len()
    })
}

/// A step for each change of a file, until the run is over.
fn watch_file(file: &Path, stage: &Stage) {
    let state = || std::fs::metadata(file).and_then(|metadata| Ok((metadata.len(), metadata.modified()?))).ok();
    let mut before = state();
    while !stage.has_ended() {
        let now = state();
        if now != before {
            stage.step(Step::Logged);
            before = now;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// Stands between gateway and server; each message that is about a payment is a step before it is
/// passed on, and so is the server's answer to it.
fn proxy(socket: PathBuf, stage: Arc<Stage>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = UnixStream::connect(&socket).expect("the server is up");
            client.set_nodelay(true).expect("set");
            let writes = Arc::new(AtomicU32::new(0));
            let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            let (seen, answered) = (Arc::clone(&writes), writes);
            let (there, back) = (Arc::clone(&stage), Arc::clone(&stage));
            thread::spawn(move || {
                pass(&from, &to, |bytes| {
                    if is_about_a_payment(bytes) {
                        there.step(Step::Writing);
                        seen.store(1, Ordering::SeqCst);
                    }
                });
                // A gateway that was killed: the server drops what it had not committed.
                let _ = to.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                pass(&server, &client, |_| {
                    if answered.swap(0, Ordering::SeqCst) == 1 {
                        back.step(Step::Written);
                    }
                });
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

fn pass(mut from: impl Read, mut to: impl Write, mut heard: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        heard(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn is_about_a_payment(bytes: &[u8]) -> bool {
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    holds(b"pay_") || holds(b"COMMIT")
}
