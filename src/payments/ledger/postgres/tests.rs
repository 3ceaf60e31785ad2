//! Against a real server. See `tests/support/postgres.rs` for how it is found and started.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::payments::ledger::conformance::{Two, conforms, ended, new_payment, outcome, save, stored, succeeded};
use crate::payments::ledger::{LedgerError, LedgerPlace};
use crate::payments::record::{AttemptState, PaymentState};
use crate::payments::verdict::Verdict;

#[path = "../../../../tests/support/postgres.rs"]
mod server;

use server::PostgresServer;

/// An empty database of the server that all tests of this process share.
fn database() -> Option<String> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(PostgresServer::start).as_ref()?;
    Some(server.database(&format!("ledger{}", NUMBER.fetch_add(1, Ordering::SeqCst))))
}

async fn try_open(url: &str) -> Result<Arc<dyn Ledger>, OpenError> {
    LedgerPlace::Postgres(PostgresAddress::parse(url).expect("a URL")).open().await
}

async fn open(url: &str) -> Arc<dyn Ledger> {
    try_open(url).await.expect("opens")
}

/// Past the ledger, to the tables.
async fn tables(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("SET search_path = figway").await.expect("set");
    client
}

async fn two() -> Option<(Two, ())> {
    let url = database()?;
    // At once: one of them makes the tables.
    let (one, other) = tokio::join!(open(&url), open(&url));
    Some((Two { one, other }, ()))
}

conforms!(super::two);

#[tokio::test]
async fn all_gateways_share_one_secret_and_the_clock_of_the_database() {
    let Some(url) = database() else { return };
    let (one, other) = (open(&url).await, open(&url).await);
    assert_eq!(one.secret(), other.secret());
    assert_ne!(one.secret(), [0; 32]);
    assert!(one.opened_at().since(Timestamp::now()) < Duration::from_secs(60));
    let tomorrow = Timestamp::now().plus(Duration::from_secs(86_400));
    one.accept(NewPayment { now: tomorrow, ..new_payment(1) }).await.expect("accepted");
    assert_eq!(open(&url).await.opened_at(), tomorrow, "never before anything in it");
}

#[tokio::test]
async fn a_ledger_goes_on_by_itself_after_its_server_was_down() {
    let Some(server) = PostgresServer::start() else { return };
    let ledger = open(&server.database("shop")).await;
    ended(&ledger, 1, succeeded(1), None).await;
    server.stop();
    let down = ledger.accept(new_payment(2)).await;
    assert!(matches!(down, Err(LedgerError::Unavailable(_))), "{down:?}");
    server.start_again();
    let begun = Instant::now();
    while ledger.accept(new_payment(2)).await != Ok(Accepted::New) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come back");
        tokio::task::yield_now().await;
    }
    assert_eq!(stored(&ledger, 1).await.state, PaymentState::Succeeded);
}

#[tokio::test]
async fn the_database_itself_refuses_a_second_live_attempt_a_second_open_refund_and_unknown_words() {
    let Some(url) = database() else { return };
    drop(open(&url).await);
    let tables = tables(&url).await;
    let attempt = "INSERT INTO attempts (payment, number, provider, operation, state, order_reference, lookup, \
                   next_action, started) VALUES ('p', $1, 'alpha', 'charge', $2::text, 'o', 'o', '{}', 0)";
    for state in AttemptState::ALL.iter().filter(|state| **state != AttemptState::Planned) {
        tables.execute("DELETE FROM attempts", &[]).await.expect("deleted");
        tables.execute(attempt, &[&1_i64, &state.as_str()]).await.expect("the first one, in any state");
        assert_eq!(tables.execute(attempt, &[&2_i64, &"intent"]).await.is_ok(), state.is_released(), "{state:?}");
    }
    let refund = "INSERT INTO refunds (payment, number, amount, state, reference, refunded_before, started) \
                  VALUES ('p', $1, 1, $2::text, 'r', 0, 0)";
    for state in ["intent", "unknown", "manual", "succeeded", "declined", "not_processed"] {
        tables.execute("DELETE FROM refunds", &[]).await.expect("deleted");
        tables.execute(refund, &[&1_i64, &state]).await.expect("the first one, in any state");
        let settled = matches!(state, "succeeded" | "declined" | "not_processed");
        assert_eq!(tables.execute(refund, &[&2_i64, &"intent"]).await.is_ok(), settled, "{state}");
    }
    for insert in [attempt, refund] {
        let refused = tables.execute(insert, &[&3_i64, &"perhaps"]).await.expect_err("no state");
        assert_eq!(refused.code(), Some(&SqlState::CHECK_VIOLATION));
    }
}

#[tokio::test]
async fn a_nul_in_a_providers_words_keeps_no_outcome_out_of_the_ledger() {
    let Some(url) = database() else { return };
    let ledger = open(&url).await;
    ledger.accept(new_payment(1)).await.expect("accepted");
    let next_action = BTreeMap::from([("url".into(), "a\0b".into())]);
    let verdict = Verdict::Prepared { provider_ref: Some("pi\0\\u0000".into()), next_action };
    ledger.save(save(1, vec![outcome(1, verdict)])).await.expect("saved");
    let attempt = stored(&ledger, 1).await.attempts.remove(0);
    assert_eq!(attempt.provider_ref.as_deref(), Some("pi\u{fffd}\\u0000"));
    assert_eq!(ledger.journal(new_payment(1).id).await.expect("readable").len(), 3);
    let found = ledger.by_provider_ref("alpha".into(), "pi\0\\u0000".into()).await.expect("readable");
    assert_eq!(found.map(|payment| payment.order_id).as_deref(), Some("o-1"));
}

#[tokio::test]
async fn what_is_asked_for_often_is_found_by_an_index() {
    let Some(url) = database() else { return };
    drop(open(&url).await);
    let tables = tables(&url).await;
    // Small tables are read whole, whatever there is; bitmaps hide the order that an index gives.
    tables.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.expect("set");
    for (sql, index) in [
        (
            "SELECT id FROM payments WHERE coalesce(lease_until, due) <= 1 ORDER BY coalesce(lease_until, due)",
            "payments_to_wake",
        ),
        ("SELECT count(*) FROM payments WHERE state = 'pending'", "pending_payments"),
        ("SELECT count(*) FROM payments WHERE state = 'requires_action'", "waiting_payments"),
        ("SELECT count(*) FROM payments WHERE manual", "manual_payments"),
        ("SELECT max(updated) FROM payments WHERE coalesce(lease_until, due) IS NULL", "sleeping_payments"),
        (
            "SELECT id FROM payments WHERE updated < 1 AND at_rest AND coalesce(lease_until, due) IS NULL \
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
        ("DELETE FROM keys WHERE payment = '1'", "keys_by_payment"),
    ] {
        let plan = tables.query(&format!("EXPLAIN {sql}"), &[]).await.expect(sql);
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("Sort")), "{sql}: {plan:#?}");
    }
}

#[tokio::test]
async fn a_user_that_may_create_nothing_opens_a_ledger_that_exists() {
    let Some(url) = database() else { return };
    drop(open(&url).await);
    let (tables, clerk) = (tables(&url).await, format!("clerk_{}", &url[url.len() - 2..]));
    let grants = format!(
        "CREATE ROLE {clerk} LOGIN; GRANT USAGE ON SCHEMA figway TO {clerk}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA figway TO {clerk}"
    );
    tables.batch_execute(&grants).await.expect("granted");
    let ledger = open(&url.replace("figway@", &format!("{clerk}@"))).await;
    ended(&ledger, 1, succeeded(1), None).await;
}

#[tokio::test]
async fn what_is_no_ledger_of_this_version_is_left_alone() {
    let Some(url) = database() else { return };
    drop(open(&url).await);
    tables(&url).await.execute("UPDATE version SET number = 99", &[]).await.expect("updated");
    assert!(matches!(try_open(&url).await, Err(OpenError::Newer { version: 99 })));
    let missing = try_open(&format!("{url}_no")).await.expect_err("no such database").to_string();
    assert!(missing.contains("does not exist"), "{missing}");
    let nobody = try_open("postgres://u:secret@%2Fno%2Fsuch%2Ffolder/shop").await.expect_err("no server").to_string();
    assert!(!nobody.contains("secret"), "{nobody}");
}

#[tokio::test]
async fn tls_is_used_when_asked_for_and_only_with_a_server_that_is_known() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let with_tls = |folder: &Path| {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name").self_signed(&key);
        std::fs::write(folder.join("server.pem"), certificate.expect("a certificate").pem()).expect("written");
        std::fs::write(folder.join("server.key"), key.serialize_pem()).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join("server.key"), private).expect("set");
        let folder = folder.display();
        format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file={folder}/server.pem -c ssl_key_file={folder}/server.key"
        )
    };
    let Some(server) = PostgresServer::start_with(with_tls) else { return };
    let roots = server.folder().join("server.pem").display().to_string();
    let url = |host: &str, rest: &str| format!("postgres://figway@{host}:{port}/figway?{rest}");
    server.database("figway");
    let trusted = format!("sslmode=verify-full&sslrootcert={roots}");
    let ledger = open(&url("localhost", &trusted)).await;
    ended(&ledger, 1, succeeded(1), None).await;
    let open_tables = open(&url("localhost", "sslmode=disable")).await;
    assert_eq!(stored(&open_tables, 1).await.state, PaymentState::Succeeded);
    let (client, connection) = tokio_postgres::connect(&url("localhost", "sslmode=disable"), NoTls).await.expect("up");
    tokio::spawn(connection);
    let sessions = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                    WHERE ssl AND application_name = 'figway'";
    let encrypted: i64 = client.query_one(sessions, &[]).await.expect("readable").get(0);
    assert!(encrypted > 0);
    let wrong_name = try_open(&url("127.0.0.1", &trusted)).await.expect_err("another name").to_string();
    assert!(wrong_name.contains("certificate"), "{wrong_name}");
    let unknown = try_open(&url("localhost", "sslmode=require")).await.expect_err("unknown roots").to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
}
