use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::payments::ledger::StoredAttempt;
use crate::payments::money::{Currency, Money};
use crate::payments::record::{AttemptState, Intent, Operation, PaymentState, Record};
use crate::payments::verdict::{Proof, Verdict};

const NOW: Timestamp = Timestamp(1_795_291_200_000);
const LATER: Timestamp = Timestamp(1_795_291_260_000);

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("payments.db")
}

fn open(path: &Path) -> EmbeddedLedger {
    EmbeddedLedger::open(path, NOW).expect("opens")
}

fn intent(id: &PaymentId, attempt: u32) -> Intent {
    Intent {
        attempt,
        operation: Operation::Charge,
        provider: "alpha".into(),
        amount: 100,
        currency: "EUR".into(),
        provider_key: "pk".into(),
        order_reference: id.order_reference(attempt),
        lookup: id.order_reference(attempt),
    }
}

fn new_payment(number: u8) -> NewPayment {
    let id = PaymentId::new(NOW, [number; 10]);
    NewPayment {
        client: [1; 32],
        key: [number; 32],
        fingerprint: [3; 32],
        order_id: format!("o-{number}"),
        money: Money { amount: 100, currency: Currency::parse("EUR").expect("listed") },
        method: "card".into(),
        intent: intent(&id, 1),
        now: NOW,
        lease_until: LATER,
        id,
    }
}

fn outcome(attempt: u32, verdict: Verdict) -> Record {
    Record::Outcome { attempt, operation: Operation::Charge, verdict }
}

fn succeeded() -> Verdict {
    Verdict::Succeeded { provider_ref: "ch_1".into() }
}

fn not_processed() -> Verdict {
    Verdict::NotProcessed { proof: Proof::Connect }
}

fn save(id: &PaymentId, records: Vec<Record>) -> Save {
    Save { id: id.clone(), records, now: NOW, lease_until: None }
}

#[tokio::test]
async fn what_was_saved_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = new_payment(1);
    let secret = {
        let ledger = open(&file(&folder));
        assert_eq!(ledger.accept(new.clone()).await, Ok(Accepted::New));
        ledger.save(save(&new.id, vec![outcome(1, succeeded())])).await.expect("saved");
        ledger.secret()
    };
    let ledger = open(&file(&folder));
    assert_eq!(ledger.secret(), secret, "keys stay what they were");
    let stored = ledger.by_key(new.key).await.expect("readable").expect("stored");
    assert_eq!((stored.state, stored.lease_until), (PaymentState::Succeeded, None));
    assert_eq!(stored.attempts[0].provider_ref.as_deref(), Some("ch_1"));
}

#[tokio::test]
async fn a_key_names_one_payment() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    let first = new_payment(1);
    let second = NewPayment { key: first.key, ..new_payment(2) };
    ledger.accept(first.clone()).await.expect("accepted");
    let Ok(Accepted::Existing(existing)) = ledger.accept(second.clone()).await else { panic!("the first one") };
    assert_eq!(existing.id, first.id);
    assert_eq!(ledger.payment(second.id).await, Ok(None));
}

#[tokio::test]
async fn many_writes_at_once_are_all_durable_and_a_bad_one_hurts_only_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(open(&file(&folder)));
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..100 {
        let ledger = Arc::clone(&ledger);
        writes.spawn(async move {
            let new = new_payment(number);
            ledger.accept(new.clone()).await.expect("accepted");
            // The second attempt breaks the release rule for every other payment.
            let verdict = if number % 2 == 0 { succeeded() } else { not_processed() };
            let records = vec![outcome(1, verdict), Record::Intent(intent(&new.id, 2))];
            (number, ledger.save(save(&new.id, records)).await)
        });
    }
    for (number, saved) in writes.join_all().await {
        assert_eq!(saved.is_ok(), number % 2 == 1, "{number}: {saved:?}");
        let stored = ledger.payment(new_payment(number).id).await.expect("readable").expect("stored");
        let states: Vec<_> = stored.attempts.iter().map(|attempt| attempt.state).collect();
        let expected: &[_] =
            if number % 2 == 0 { &[AttemptState::Intent] } else { &[AttemptState::NotProcessed, AttemptState::Intent] };
        assert_eq!(states, expected, "all of a write or nothing of it");
    }
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_live_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    let new = new_payment(1);
    ledger.accept(new.clone()).await.expect("accepted");
    for verdict in ["intent", "succeeded", "declined", "unknown", "resolving", "manual"] {
        let other = Connection::open(file(&folder)).expect("opens");
        other.execute("UPDATE attempts SET state = ?1", [verdict]).expect("updated");
        let refused = ledger.save(save(&new.id, vec![Record::Intent(intent(&new.id, 2))])).await;
        assert!(matches!(refused, Err(LedgerError::Conflict(_))), "{verdict}: {refused:?}");
    }
}

#[tokio::test]
async fn what_is_settled_cannot_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    let new = new_payment(1);
    ledger.accept(new.clone()).await.expect("accepted");
    ledger.save(save(&new.id, vec![outcome(1, not_processed())])).await.expect("saved");
    let late = ledger.save(save(&new.id, vec![outcome(1, succeeded())])).await;
    assert!(matches!(late, Err(LedgerError::Conflict(_))), "{late:?}");
}

#[tokio::test]
async fn an_intent_left_by_a_process_that_is_gone_is_unknown_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = new_payment(1);
    open(&file(&folder)).accept(new.clone()).await.expect("accepted");
    let ledger = open(&file(&folder));
    let stored = ledger.payment(new.id.clone()).await.expect("readable").expect("stored");
    assert_eq!(stored.state, PaymentState::Pending);
    let StoredAttempt { state, reason, .. } = &stored.attempts[0];
    assert_eq!((*state, reason.as_deref()), (AttemptState::Unknown, Some("interrupted")));
    assert_eq!(ledger.journal(new.id).await.expect("readable").len(), 3);
}

#[tokio::test]
async fn an_intent_of_another_living_process_is_left_alone_until_its_lease_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = new_payment(1);
    let first = open(&file(&folder));
    first.accept(new.clone()).await.expect("accepted");
    let second = open(&file(&folder));
    let state = async |ledger: &EmbeddedLedger| {
        ledger.payment(new.id.clone()).await.expect("readable").expect("stored").attempts[0].state
    };
    assert_eq!(state(&second).await, AttemptState::Intent);
    assert_eq!(second.recover(NOW).await, Ok(0));
    assert_eq!(second.recover(LATER).await, Ok(1));
    assert_eq!(state(&first).await, AttemptState::Unknown);
    // The first one's answer arrives after all.
    first.save(save(&new.id, vec![outcome(1, succeeded())])).await.expect("unknown may still settle");
}

#[tokio::test]
async fn a_failure_passes_and_the_ledger_works_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    let other = Connection::open(file(&folder)).expect("opens");
    let full = "CREATE TRIGGER full BEFORE INSERT ON payments BEGIN SELECT RAISE(ROLLBACK, 'disk is full'); END";
    other.execute_batch(full).expect("a trigger");
    let failed = ledger.accept(new_payment(1)).await;
    assert!(matches!(failed, Err(LedgerError::Unavailable(_))), "{failed:?}");
    other.execute_batch("DROP TRIGGER full").expect("dropped");
    assert_eq!(ledger.accept(new_payment(1)).await, Ok(Accepted::New));
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    for number in 1..=5 {
        ledger.accept(new_payment(number)).await.expect("accepted");
    }
    ledger.save(save(&new_payment(2).id, vec![outcome(1, succeeded())])).await.expect("saved");
    let list = async |filter| {
        let found = ledger.list(filter).await.expect("readable");
        found.into_iter().map(|payment| payment.order_id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter { limit: Some(2), ..Filter::default() }).await, ["o-5", "o-4"]);
    let before = Some(new_payment(4).id);
    assert_eq!(list(Filter { limit: Some(2), before, ..Filter::default() }).await, ["o-3", "o-2"]);
    assert_eq!(list(Filter { state: Some(PaymentState::Succeeded), ..Filter::default() }).await, ["o-2"]);
    assert_eq!(list(Filter { order_id: Some("o-3".into()), ..Filter::default() }).await, ["o-3"]);
    assert!(list(Filter { provider: Some("beta".into()), ..Filter::default() }).await.is_empty());
    assert_eq!(ledger.count_pending().await, Ok(4));
}

#[test]
fn files_that_are_no_ledger_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder);
    std::fs::write(&path, "not a database, but long enough to have a header ".repeat(10)).expect("written");
    assert!(matches!(EmbeddedLedger::open(&path, NOW), Err(OpenError::Database(_))));
    let path = folder.path().join("other.db");
    Connection::open(&path).expect("opens").execute_batch("CREATE TABLE theirs (x)").expect("a table");
    assert!(matches!(EmbeddedLedger::open(&path, NOW), Err(OpenError::Foreign)));
    let path = folder.path().join("newer.db");
    drop(open(&path));
    Connection::open(&path).expect("opens").execute_batch("PRAGMA user_version = 99").expect("set");
    assert!(matches!(EmbeddedLedger::open(&path, NOW), Err(OpenError::Newer { version: 99 })));
    assert!(matches!(EmbeddedLedger::open(&folder.path().join("no/such/p.db"), NOW), Err(OpenError::File { .. })));
}

#[test]
fn only_the_owner_can_read_the_ledger() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let _ledger = open(&file(&folder));
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}
