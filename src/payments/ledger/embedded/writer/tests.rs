//! What is told, and when, while the disk is slow or fails.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::super::files::SyncFile;
use crate::payments::ledger::conformance::{NOW, new_payment};
use crate::payments::ledger::embedded::{EmbeddedLedger, with_suffix};
use crate::payments::ledger::{Accepted, Ledger as _, LedgerError};

fn open(sync: SyncFile) -> (tempfile::TempDir, PathBuf, Arc<EmbeddedLedger>) {
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

/// Nothing is told any more, neither of writes nor of what can be read.
async fn is_given_up(ledger: &EmbeddedLedger) {
    let id = new_payment(20).id;
    for refused in [ledger.accept(new_payment(20)).await.map(|_| ()), ledger.payment(id).await.map(|_| ())] {
        match refused {
            Err(LedgerError::Unavailable(why)) => assert!(why.contains("restart the gateway"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_told_until_a_restart_which_finds_all_that_was() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    let sync = |log: &File| match FAILS.swap(false, Ordering::SeqCst) {
        true => Err(io::Error::other("the disk is broken")),
        false => log.sync_data(),
    };
    let (_folder, path, ledger) = open(sync);
    for number in 1..10 {
        assert_eq!(ledger.accept(new_payment(number)).await, Ok(Accepted::New));
    }
    let log = with_suffix(&path, "-wal");
    FAILS.store(true, Ordering::SeqCst);
    let failed = ledger.accept(new_payment(10)).await;
    assert!(matches!(&failed, Err(LedgerError::Unavailable(why)) if why.contains("the disk is broken")), "{failed:?}");
    let length = std::fs::metadata(&log).expect("there").len();
    is_given_up(&ledger).await;
    drop(ledger);
    let begun = Instant::now();
    let ledger = loop {
        // The threads close what they have a moment later.
        match EmbeddedLedger::open(&path, NOW) {
            Ok(ledger) => break ledger,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
        }
    };
    assert!(std::fs::metadata(&log).expect("kept").len() >= length, "it was moved and written over");
    for number in 1..10 {
        assert!(ledger.payment(new_payment(number).id).await.expect("readable").is_some());
    }
    assert_eq!(ledger.accept(new_payment(11)).await, Ok(Accepted::New));
}

#[tokio::test]
async fn a_group_behind_one_that_could_not_be_synced_has_failed_too() {
    static SYNCS: AtomicU64 = AtomicU64::new(0);
    static GATES: [AtomicBool; 2] = [AtomicBool::new(false), AtomicBool::new(false)];
    let sync = |log: &File| {
        let number = SYNCS.fetch_add(1, Ordering::SeqCst) as usize;
        while !GATES[number].load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        if number == 0 { Err(io::Error::other("the disk is broken")) } else { log.sync_data() }
    };
    let (_folder, path, ledger) = open(sync);
    let accept = |number| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move { ledger.accept(new_payment(number)).await })
    };
    let before = std::fs::metadata(with_suffix(&path, "-wal")).expect("there").len();
    let first = accept(1);
    let of_the_first = longer_log(&path, before).await;
    let second = accept(2);
    longer_log(&path, of_the_first).await;
    GATES[0].store(true, Ordering::SeqCst);
    assert!(matches!(first.await.expect("ends"), Err(LedgerError::Unavailable(_))));
    GATES[1].store(true, Ordering::SeqCst);
    let second = second.await.expect("ends");
    assert!(matches!(second, Err(LedgerError::Unavailable(_))), "its own sync has worked, and yet: {second:?}");
}

#[tokio::test]
async fn a_database_that_can_not_be_synced_ends_it_too() {
    use std::os::unix::fs::MetadataExt as _;
    static DATABASE: AtomicU64 = AtomicU64::new(0);
    let sync = |file: &File| match file.metadata()?.ino() == DATABASE.load(Ordering::SeqCst) {
        true => Err(io::Error::other("the disk is broken")),
        false => file.sync_data(),
    };
    let (_folder, path, ledger) = open(sync);
    DATABASE.store(std::fs::metadata(&path).expect("there").ino(), Ordering::SeqCst);
    let begun = Instant::now();
    // Until the checkpointer has moved something.
    while ledger.accept(new_payment(1)).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_given_up(&ledger).await;
}

#[tokio::test]
async fn a_write_that_panics_ends_writing_and_leaves_nobody_waiting() {
    let (_folder, _path, ledger) = open(File::sync_data);
    assert_eq!(ledger.accept(new_payment(1)).await, Ok(Accepted::New));
    let broken = ledger.writer.write(|_| -> Result<(), LedgerError> { panic!("as broken code would") }).await;
    assert!(matches!(broken, Err(LedgerError::Unavailable(_))), "{broken:?}");
    let next = ledger.accept(new_payment(2)).await;
    assert!(matches!(&next, Err(LedgerError::Unavailable(why)) if why.contains("stopped")), "{next:?}");
    assert!(ledger.payment(new_payment(1).id).await.expect("readable").is_some());
}
