//! What is told, and when, while the disk is slow or fails.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::SyncLog;
use crate::payments::ledger::conformance::{NOW, new_payment};
use crate::payments::ledger::embedded::{EmbeddedLedger, with_suffix};
use crate::payments::ledger::{Accepted, Ledger as _, LedgerError};

fn open(sync: SyncLog) -> (tempfile::TempDir, PathBuf, Arc<EmbeddedLedger>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("payments.db");
    let ledger = EmbeddedLedger::open_with(&path, NOW, sync).expect("opens");
    (folder, path, Arc::new(ledger))
}

/// Waits until the log is longer than this; how long it is then.
async fn longer_log(path: &std::path::Path, than: u64) -> u64 {
    let begun = Instant::now();
    loop {
        let length = std::fs::metadata(with_suffix(path, "-wal")).expect("there").len();
        if length > than {
            return length;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing was written");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn nothing_is_told_or_read_before_it_is_durable_while_the_next_group_is_begun() {
    static IS_SLOW: Mutex<bool> = Mutex::new(true);
    static FASTER: Condvar = Condvar::new();
    let sync = |log: &File| -> io::Result<()> {
        drop(FASTER.wait_while(IS_SLOW.lock().expect("held by nobody who panics"), |is_slow| *is_slow));
        log.sync_data()
    };
    let (_folder, path, ledger) = open(sync);
    let before = std::fs::metadata(with_suffix(&path, "-wal")).expect("there").len();
    let accept = |number| {
        tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { ledger.accept(new_payment(number)).await }
        })
    };
    let first = accept(1);
    let of_the_first = longer_log(&path, before).await;
    let second = accept(2);
    longer_log(&path, of_the_first).await;
    let reader = Arc::clone(&ledger);
    let mut read = tokio::spawn(async move { reader.payment(new_payment(1).id).await });
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut read).await.is_err(), "a power failure could undo it");
    assert!(!first.is_finished() && !second.is_finished());
    *IS_SLOW.lock().expect("held by nobody who panics") = false;
    FASTER.notify_all();
    assert_eq!(first.await.expect("ends"), Ok(Accepted::New));
    assert_eq!(second.await.expect("ends"), Ok(Accepted::New));
    assert!(read.await.expect("ends").expect("readable").is_some());
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_committed_before_the_log_was_moved() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    let sync = |log: &File| match FAILS.swap(false, Ordering::SeqCst) {
        true => Err(io::Error::other("the disk is broken")),
        false => log.sync_data(),
    };
    let (_folder, path, ledger) = open(sync);
    for number in 1..10 {
        assert_eq!(ledger.accept(new_payment(number)).await, Ok(Accepted::New));
    }
    let long = longer_log(&path, 0).await;
    FAILS.store(true, Ordering::SeqCst);
    let refused = |refused, why: &str| match refused {
        Err(LedgerError::Unavailable(told)) => assert!(told.contains(why), "{told}"),
        other => panic!("{other:?}"),
    };
    refused(ledger.accept(new_payment(10)).await, "the disk is broken");
    let reader = Connection::open(&path).expect("opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM payments;").expect("begun");
    refused(ledger.accept(new_payment(11)).await, "it is being read");
    reader.execute_batch("COMMIT").expect("ended");
    assert_eq!(ledger.accept(new_payment(11)).await, Ok(Accepted::New));
    let short = longer_log(&path, 0).await;
    assert!(short < long, "the log is {short} bytes long and was {long}");
    assert!(ledger.payment(new_payment(9).id).await.expect("readable").is_some());
}
