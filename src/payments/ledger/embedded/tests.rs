use std::path::Path;

use tempfile::TempDir;

use super::checkpointer::LogEnd;
use super::*;
use crate::payments::ledger::conformance::{NOW, Two, at, conforms, lease, new_payment, outcome, save, succeeded};
use crate::payments::record::{AttemptState, Operation, PaymentState, Record, RefundIntent, VoidReason};

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("payments.db")
}

/// The files of a ledger that a connection has open.
fn files(folder: &TempDir) -> Arc<Files> {
    let database = File::open(file(folder)).expect("there");
    Arc::new(Files::opened(Location(file(folder)), database, File::sync_data).expect("there"))
}

fn open(path: &Path) -> EmbeddedLedger {
    EmbeddedLedger::open(path, NOW).expect("opens")
}

async fn two() -> Option<(Two, TempDir)> {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (open(&file(&folder)), open(&file(&folder)));
    Some((Two { one: Arc::new(one), other: Arc::new(other) }, folder))
}

conforms!(super::two);

#[tokio::test]
async fn what_was_saved_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = {
        let ledger = open(&file(&folder));
        assert_eq!(ledger.accept(new_payment(1)).await, Ok(Accepted::New));
        ledger.save(save(1, vec![outcome(1, succeeded(1))])).await.expect("saved");
        ledger.secret()
    };
    let ledger = open(&file(&folder));
    assert_eq!(ledger.secret(), secret, "keys stay what they were");
    let (stored, used_for) = ledger.by_key([1; 32]).await.expect("readable").expect("stored");
    assert_eq!((stored.state, stored.lease), (PaymentState::Succeeded, None));
    assert_eq!(stored.attempts[0].provider_ref.as_deref(), Some("ch_1"));
    assert_eq!(used_for, new_payment(1).key);
}

#[tokio::test]
async fn a_clock_that_went_back_does_not_take_the_ledger_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    ledger.accept(NewPayment { now: at(60), ..new_payment(1) }).await.expect("accepted");
    drop(ledger);
    assert_eq!(open(&file(&folder)).opened_at(), at(60));
    assert_eq!(EmbeddedLedger::open(&file(&folder), at(90)).expect("opens").opened_at(), at(90));
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_live_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    let insert = |number: u32, state: &str, live: bool| {
        tables.execute(
            "INSERT INTO attempts (payment, number, provider, operation, state, live, order_reference, lookup, \
             started) VALUES ('p', ?1, 'alpha', 'charge', ?2, ?3, 'o', 'o', 0)",
            rusqlite::params![number, state, live],
        )
    };
    for state in AttemptState::ALL.iter().filter(|state| **state != AttemptState::Planned) {
        tables.execute("DELETE FROM attempts", []).expect("deleted");
        let (name, live) = (state.as_str(), !state.is_released());
        insert(1, name, !live).expect_err("a column that hides what the state says");
        insert(1, name, live).expect("the first one, in any state");
        assert_eq!(insert(2, "intent", true).is_ok(), !live, "{state:?}");
    }
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_open_refund() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    let insert = |number: u32, state: &str| {
        tables.execute(
            "INSERT INTO refunds (payment, number, amount, state, reference, refunded_before, started) \
             VALUES ('p', ?1, 1, ?2, 'r', 0, 0)",
            rusqlite::params![number, state],
        )
    };
    for state in ["intent", "unknown", "manual", "succeeded", "declined", "not_processed"] {
        tables.execute("DELETE FROM refunds", []).expect("deleted");
        insert(1, state).expect("the first one, in any state");
        let settled = matches!(state, "succeeded" | "declined" | "not_processed");
        assert_eq!(insert(2, "intent").is_ok(), settled, "{state}");
    }
}

#[tokio::test]
async fn every_word_can_be_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    let put = |number: i64, operation: &str, voiding: &str| {
        let sql = "INSERT INTO attempts (payment, number, provider, operation, state, live, order_reference, lookup, \
                   started, voiding) VALUES ('p' || ?1, 1, 'a', ?2, 'intent', 1, 'o', 'o', 0, ?3)";
        tables.execute(sql, rusqlite::params![number, operation, voiding]).expect(voiding);
    };
    for (number, reason) in (1..).zip(VoidReason::ALL) {
        put(number, "confirm", reason.as_str());
    }
    put(100, Operation::Prepare.as_str(), "expired");
    drop(tables);
    let ledger = open(&file(&folder));
    for state in PaymentState::ALL {
        assert!(ledger.list(Filter { state: Some(*state), ..Filter::default() }).await.is_ok());
        let tables = Connection::open(file(&folder)).expect("opens");
        let sql = "INSERT INTO payments (id, client, order_id, amount, currency, method, capture, given_up, state, \
                   manual, at_rest, looks, key, last_entry, created, updated) \
                   VALUES (?1, x'00', 'o', 1, 'EUR', 'card', 1, 0, ?1, 0, 0, 0, x'00', 0, 0, 0)";
        tables.execute(sql, [state.as_str()]).expect("a word of the column");
    }
}

#[tokio::test]
async fn what_a_process_that_is_gone_held_is_due_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    open(&file(&folder)).accept(new_payment(1)).await.expect("accepted");
    let ledger = open(&file(&folder));
    let found = ledger.claim_due(lease(5, 1), NOW, 10).await.expect("readable");
    assert_eq!(found.iter().map(|payment| payment.attempts[0].state).collect::<Vec<_>>(), [AttemptState::Intent]);
}

#[tokio::test]
async fn what_another_living_process_holds_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(&file(&folder));
    first.accept(new_payment(1)).await.expect("accepted");
    let second = open(&file(&folder));
    assert_eq!(second.claim_due(lease(5, 1), NOW, 10).await, Ok(Vec::new()));
    first.save(save(1, vec![outcome(1, succeeded(1))])).await.expect("it is still the first one's");
}

#[tokio::test]
async fn what_is_asked_for_often_is_found_by_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    for (sql, index) in [
        (
            "SELECT id FROM payments WHERE coalesce(lease_until, due) <= 1 ORDER BY coalesce(lease_until, due)",
            "payments_to_wake",
        ),
        ("SELECT count(*) FROM payments WHERE state = 'pending'", "pending_payments"),
        ("SELECT count(*) FROM payments WHERE state = 'requires_action'", "waiting_payments"),
        ("SELECT count(*) FROM payments WHERE manual = 1", "manual_payments"),
        ("SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS NULL", "sleeping_payments"),
        ("SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS NOT NULL", "payments_to_wake"),
        (
            "SELECT id FROM payments WHERE updated < 1 AND at_rest = 1 AND coalesce(lease_until, due) IS NULL \
             ORDER BY updated",
            "sleeping_payments",
        ),
        ("SELECT payment FROM attempts WHERE provider_ref = '1' AND provider = '2'", "attempts_by_provider_ref"),
        (
            "SELECT id FROM payments WHERE id >= '' AND id < '~' AND order_id = '1' ORDER BY id DESC",
            "payments_by_order",
        ),
        (
            "SELECT id FROM payments WHERE id >= '' AND id < '~' AND state = 'pending' ORDER BY id DESC",
            "pending_payments",
        ),
        ("SELECT provider FROM events WHERE at < 1", "events_by_time"),
        ("DELETE FROM keys WHERE payment = '1' || '' AND operation <> 'charge'", "later_keys"),
    ] {
        let plan: Vec<String> = tables
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .and_then(|mut plan| plan.query_map([], |row| row.get(3))?.collect())
            .expect(sql);
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn what_is_forgotten_leaves_no_row_behind_and_takes_none_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&file(&folder));
    let held = |number, records| Save { lease_until: Some(at(10)), ..save(number, records) };
    let refund = Record::RefundIntent(RefundIntent {
        refund: 1,
        amount: 10,
        provider_key: "rk".into(),
        reference: "r-1".into(),
        refunded_before: 0,
    });
    let key = KeyUse { key: [50; 32], fingerprint: [4; 32], operation: Operation::Refund, refund: Some(1) };
    // The two take turns in the journal.
    ledger.accept(new_payment(1)).await.expect("accepted");
    ledger.accept(new_payment(2)).await.expect("accepted");
    ledger.save(held(1, vec![outcome(1, succeeded(1))])).await.expect("saved");
    ledger.save(held(2, vec![outcome(1, succeeded(2))])).await.expect("saved");
    ledger.save(Save { key: Some(key), ..held(1, vec![refund]) }).await.expect("saved");
    ledger.save(save(1, vec![Record::RefundOutcome { refund: 1, verdict: succeeded(3) }])).await.expect("saved");
    assert_eq!(ledger.journal(new_payment(1).id).await.expect("readable").len(), 5);
    assert_eq!(ledger.prune(at(1), 10).await, Ok(1));
    let tables = Connection::open(file(&folder)).expect("opens");
    for (table, rows) in [("payments", 1), ("keys", 1), ("attempts", 1), ("refunds", 0), ("journal", 3)] {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(tables.query_row(&sql, [], |row| row.get::<_, i64>(0)), Ok(rows), "{table}");
    }
    assert_eq!(ledger.journal(new_payment(2).id).await.expect("readable").len(), 3);
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

#[tokio::test]
async fn a_log_whose_end_is_moved_is_written_from_its_start_again() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let log_end = LogEnd::default();
    let beside = Location(file(&folder)).connect().expect("opens");
    let files = files(&folder);
    let writer = Writer::start(&files, Arc::clone(&log_end), &Arc::default()).expect("threads");
    let accept = async |number| {
        let new = new_payment(number);
        assert_eq!(
            writer.write(move |connection| statements::accept(connection, &Known::default(), &new)).await,
            Ok(Accepted::New)
        );
    };
    for number in 0..40 {
        accept(number).await;
    }
    let long = checkpointer::checkpoint(&beside, &files).expect("moved").pages;
    accept(40).await;
    let longer = checkpointer::checkpoint(&beside, &files).expect("moved").pages;
    // All of it was moved before the writer came, so it began anew by itself.
    assert!(longer < long, "{longer} pages after {long}");
    for number in 41..80 {
        accept(number).await;
    }
    log_end.store(true, std::sync::atomic::Ordering::Relaxed);
    accept(80).await;
    let pages = checkpointer::checkpoint(&beside, &files).expect("moved").pages;
    assert!(pages < long / 4, "{pages} pages after {long}");
}

#[test]
fn the_end_of_a_long_log_is_asked_for_and_of_a_short_one_not() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let writing = Location(file(&folder)).connect().expect("opens");
    let files = files(&folder);
    let length = || std::fs::metadata(file(&folder)).expect("there").len();
    let within_seconds = |is_so: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !is_so() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        is_so()
    };
    for (long, asked) in [(1_000, false), (10, true)] {
        let log_end = LogEnd::default();
        let _running = checkpointer::start(Arc::clone(&files), Arc::clone(&log_end), long);
        // Each write waits until all of it is moved. One look may move two of them, and says then what it has to say;
        // the third is moved by a later one.
        for name in ["first", "second", "third"] {
            let before = length();
            let insert = "INSERT INTO meta (name, value) VALUES (?1 || ?2, zeroblob(60000))";
            writing.execute(insert, rusqlite::params![name, long]).expect("written");
            assert!(within_seconds(&|| length() > before), "nothing was moved");
        }
        assert_eq!(log_end.load(std::sync::atomic::Ordering::Relaxed), asked, "from {long} pages on");
    }
}

/// The steps of a statement, as SQLite has compiled it: operation and second operand.
fn steps(tables: &Connection, sql: &str) -> Vec<(String, i64)> {
    let mut program = tables.prepare(&format!("EXPLAIN {sql}")).expect(sql);
    program.raw_query().mapped(|row| Ok((row.get(1)?, row.get(3)?))).collect::<Result<_, _>>().expect(sql)
}

#[test]
fn the_index_of_live_attempts_is_written_only_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'one_live_attempt'";
    let page: i64 = tables.query_row(page, [], |row| row.get(0)).expect("there");
    for live_changes in [false, true] {
        let steps = steps(&tables, &rows::update_of_attempt(live_changes));
        assert_eq!(steps.contains(&("OpenWrite".into(), page)), live_changes);
    }
}

#[tokio::test]
async fn what_was_rolled_back_is_not_taken_for_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let (connection, known) = (Connection::open(file(&folder)).expect("opens"), Known::default());
    statements::accept(&connection, &known, &new_payment(1)).expect("accepted");
    let goes_on = Save { lease_until: Some(at(5)), ..save(1, vec![outcome(1, succeeded(1))]) };
    connection.execute_batch("BEGIN").expect("begun");
    statements::save(&connection, &known, &goes_on).expect("saved");
    connection.execute_batch("ROLLBACK").expect("undone");
    statements::save(&connection, &known, &goes_on).expect("saved at last");
    let id = new_payment(1).id;
    assert_eq!(statements::journal(&connection, &id).expect("readable").len(), 3);
    let payment = statements::payment(&connection, &id).expect("readable").expect("there");
    assert_eq!((payment.state, payment.attempts[0].state), (PaymentState::Succeeded, AttemptState::Succeeded));
}

#[test]
fn no_write_makes_a_temporary_table() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(&file(&folder)));
    let tables = Connection::open(file(&folder)).expect("opens");
    for sql in [
        "INSERT INTO payments (id, state) VALUES (?1, ?2)",
        "UPDATE payments SET state = ?2, lease_until = ?3 WHERE id = ?1",
        "INSERT INTO attempts (payment, number, state, voiding) VALUES (?1, ?2, ?3, ?4)",
        "UPDATE attempts SET state = ?3, operation = ?4, late_capture = ?5 WHERE payment = ?1 AND number = ?2",
        "INSERT INTO keys (payment, key, operation) VALUES (?1, ?2, ?3)",
        "INSERT INTO refunds (payment, number, state) VALUES (?1, ?2, ?3)",
        "UPDATE refunds SET state = ?3 WHERE payment = ?1 AND number = ?2",
    ] {
        assert!(!steps(&tables, sql).iter().any(|(step, _)| step == "OpenEphemeral"), "{sql}");
    }
}

/// What `kill -9` and a power failure leave: of the log as much as was written by then, to the byte.
#[tokio::test]
async fn a_log_that_breaks_off_anywhere_has_what_was_answered_and_nothing_in_part() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder);
    drop(open_private(&path).expect("made"));
    let mut connection = Location(path.clone()).connect().expect("opens");
    schema::prepare(&mut connection, || [9; 32]).expect("tables");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("moved");
    let writer = Writer::start(&files(&folder), LogEnd::default(), &Arc::default()).expect("threads");
    let log = with_suffix(&path, "-wal");
    let mut answered = Vec::new();
    for number in 1..=2 {
        let (new, outcome) = (new_payment(number), save(number, vec![outcome(1, succeeded(number))]));
        writer
            .write(move |connection| statements::accept(connection, &Known::default(), &new))
            .await
            .expect("accepted");
        answered.push(std::fs::metadata(&log).expect("there").len());
        writer.write(move |connection| statements::save(connection, &Known::default(), &outcome)).await.expect("saved");
        answered.push(std::fs::metadata(&log).expect("there").len());
    }
    let (tables, written) = (std::fs::read(&path).expect("read"), std::fs::read(&log).expect("read"));
    // Entries of both payments' journals after so many writes.
    let after = [[0, 0], [2, 0], [3, 0], [3, 2], [3, 3]];
    // Between any two pages of the log, and in the middle of each.
    for end in (32..=written.len()).step_by(checkpointer::PAGE as usize / 2) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(file(&folder), &tables).expect("written");
        std::fs::write(with_suffix(&file(&folder), "-wal"), &written[..end]).expect("written");
        let found = Location(file(&folder)).connect().expect("opens");
        let writes = answered.iter().filter(|length| **length <= end as u64).count();
        for (number, entries) in (1..=2).zip(after[writes]) {
            let new = new_payment(number);
            assert_eq!(statements::journal(&found, &new.id).expect("readable").len(), entries, "{writes} writes");
            let payment = statements::by_key(&found, &new.key.key).expect("readable").map(|(payment, _)| payment);
            let state = payment.map(|payment| payment.attempts[0].state);
            let states = [None, None, Some(AttemptState::Intent), Some(AttemptState::Succeeded)];
            assert_eq!(state, states[entries], "{writes} writes");
        }
    }
}
