use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::payments::ledger::conformance::{NOW, new_payment};
use crate::payments::ledger::embedded::with_suffix;
use crate::payments::ledger::{Accepted, EmbeddedLedger, Ledger as _, LedgerError};

fn open() -> (tempfile::TempDir, PathBuf, EmbeddedLedger) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("payments.db");
    let ledger = EmbeddedLedger::open(&path, NOW).expect("opens");
    (folder, path, ledger)
}

async fn is_refused(ledger: &EmbeddedLedger, number: u8) {
    match ledger.accept(new_payment(number)).await {
        Err(LedgerError::Unavailable(why)) => assert!(why.contains("was removed or replaced while in use"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_written_while_a_file_is_gone_or_another_and_the_same_one_heals_it() {
    for suffix in ["", "-wal", "-shm"] {
        let (folder, path, ledger) = open();
        assert_eq!(ledger.accept(new_payment(1)).await, Ok(Accepted::New));
        let known = || async { ledger.payment(new_payment(1).id).await.expect("readable").is_some() };
        assert!(known().await);
        let (path, aside) = (with_suffix(&path, suffix), folder.path().join("aside"));
        std::fs::rename(&path, &aside).expect("moved away");
        is_refused(&ledger, 2).await;
        std::fs::copy(&aside, &path).expect("replaced");
        is_refused(&ledger, 2).await;
        is_refused(&ledger, 2).await;
        assert!(known().await, "what is there can be read all the time");
        std::fs::rename(&aside, &path).expect("put back");
        assert_eq!(ledger.accept(new_payment(2)).await, Ok(Accepted::New), "{suffix}");
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_is_not_made_anew() {
    let (_folder, path, ledger) = open();
    std::fs::remove_file(&path).expect("deleted");
    for number in 1..4 {
        is_refused(&ledger, number).await;
        let unread = ledger.payment(new_payment(number).id).await;
        assert!(matches!(unread, Err(LedgerError::Unavailable(_))), "{unread:?}");
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn without_its_log_the_database_still_gets_all_that_was_answered() {
    let (folder, path, ledger) = open();
    for number in 1..20 {
        assert_eq!(ledger.accept(new_payment(number)).await, Ok(Accepted::New));
    }
    std::fs::remove_file(with_suffix(&path, "-wal")).expect("deleted");
    is_refused(&ledger, 20).await;
    let begun = Instant::now();
    // As a process finds it that starts after this one was killed.
    let copy = folder.path().join("copy.db");
    loop {
        std::fs::copy(&path, &copy).expect("copied");
        if let Ok(found) = EmbeddedLedger::open(&copy, NOW)
            && let Ok(Some(_)) = found.payment(new_payment(19).id).await
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "never moved");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
