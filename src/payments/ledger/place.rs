//! Where the ledger is, and how it is opened: at once, or as soon as that works.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{EmbeddedLedger, Ledger, LedgerError, PostgresAddress, PostgresLedger};
use crate::clock::Timestamp;

/// Waits between tries to open a ledger; the last one repeats.
const AGAIN: [u64; 5] = [1, 2, 5, 10, 15];

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In this file, for one gateway.
    Embedded(PathBuf),
    /// In this database, for any number of gateways.
    Postgres(PostgresAddress),
}

/// Why a ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder can't be made, read or written.
    #[error("the payment ledger {path}: {source}; the folder must exist and be writable")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite can't use it.
    #[error("the payment ledger can't be opened: {0}")]
    Database(String),
    /// The file belongs to another program.
    #[error("the payment ledger's file is a database of another program; name a new file in payments.ledger")]
    Foreign,
    /// A later figway wrote it.
    #[error("the payment ledger has version {version}, which this figway does not know; use the newer one")]
    Newer {
        /// Its version.
        version: usize,
    },
    /// No thread for it.
    #[error("the payment ledger's thread can't be started: {0}")]
    Thread(std::io::Error),
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        Self::Database(error.to_string())
    }
}

/// For people: never the password of a database.
impl fmt::Display for LedgerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => path.display().fmt(f),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

impl LedgerPlace {
    /// Opens the ledger, made if it is missing. Call it on the runtime that is to carry the payments.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the ledger and how to mend it.
    pub async fn open(&self) -> Result<Arc<dyn Ledger>, OpenError> {
        match self {
            Self::Embedded(path) => {
                let path = path.clone();
                let opened = tokio::task::spawn_blocking(move || EmbeddedLedger::open(&path, Timestamp::now())).await;
                Ok(Arc::new(opened.map_err(|error| OpenError::Database(error.to_string()))??))
            }
            Self::Postgres(address) => Ok(Arc::new(PostgresLedger::open(address.clone()).await?)),
        }
    }

    /// Opens the ledger as soon as that works: when the database is up, the volume mounted, the file
    /// mended. `failed` hears why it does not, whenever that is another reason than before.
    pub async fn open_when_possible(&self, failed: impl Fn(&OpenError)) -> Arc<dyn Ledger> {
        let mut told = None;
        let mut waits = AGAIN.into_iter().chain(std::iter::repeat(AGAIN[AGAIN.len() - 1]));
        loop {
            let error = match self.open().await {
                Ok(ledger) => return ledger,
                Err(error) => error,
            };
            let reason = error.to_string();
            if told.as_ref() != Some(&reason) {
                failed(&error);
                told = Some(reason);
            }
            tokio::time::sleep(Duration::from_secs(waits.next().expect("the last wait repeats"))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ledger_is_opened_as_soon_as_its_folder_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = folder.path().join("volume");
        let place = LedgerPlace::Embedded(volume.join("payments.db"));
        let failures = AtomicUsize::new(0);
        let mount = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(failures.load(Ordering::SeqCst), 1, "told once for one reason");
            std::fs::create_dir(&volume).expect("made");
        };
        let count = |_: &OpenError| {
            failures.fetch_add(1, Ordering::SeqCst);
        };
        let (ledger, ()) = tokio::join!(place.open_when_possible(count), mount);
        assert_eq!(ledger.tally().await, Ok(super::super::Tally::default()));
    }
}
