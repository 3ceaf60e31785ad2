//! `kill -9` of the real process at every boundary of its ledger's writes, on SQLite and on PostgreSQL.
//!
//! A run is a client that pays (and takes its money back) through a gateway whose provider answers,
//! hangs up after charging, or hangs up before. Everything that can be seen from outside is a step:
//! what reaches the provider and leaves it, each write to the ledger before and after. Run n kills the
//! gateway at the n-th step of a kind and starts it again on the same files; the first run without a kill
//! has gone through all of them. The provider's books are the judge.

mod books;
mod gateway;
mod places;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres.rs"]
mod postgres;
mod shared;
mod stage;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use books::{Books, Charging, Entry};
use gateway::{Answer, Gateway};
use places::{Place, Tables};
use serde_json::Value;
use stage::{Stage, Step};

/// No run has as many steps of one kind.
const MOST: u32 = 200;
/// Within this time what is captured too late is taken back: the first look is after a minute.
const WATCHED: Duration = Duration::from_secs(100);
/// Within this time of a kill everything is settled.
const SETTLED: Duration = Duration::from_secs(60);

#[test]
fn on_sqlite_a_killed_charge_is_settled_and_charged_once() {
    at_every_step(&Place::Sqlite, Charging::Answers, false);
}

#[test]
fn on_sqlite_a_killed_resolution_is_gone_on_with() {
    at_every_step(&Place::Sqlite, Charging::HangsUpAfter, false);
}

#[test]
fn on_sqlite_a_killed_failover_charges_once() {
    at_every_step(&Place::Sqlite, Charging::HangsUpBefore, false);
}

#[test]
fn on_sqlite_a_killed_refund_is_given_once() {
    at_every_step(&Place::Sqlite, Charging::Answers, true);
}

#[test]
fn on_postgres_a_killed_payment_is_settled_whatever_it_was_at() {
    let Some(server) = postgres::PostgresServer::start() else { return };
    let place = Place::Postgres { server, databases: AtomicU32::new(0) };
    at_every_step(&place, Charging::Answers, true);
    at_every_step(&place, Charging::HangsUpAfter, false);
    at_every_step(&place, Charging::HangsUpBefore, false);
}

/// For each kind of step, run after run, each killed one such step later, until one comes to its end.
fn at_every_step(place: &Place, charging: Charging, refunds: bool) {
    thread::scope(|scope| {
        for kind in place.steps() {
            scope.spawn(move || {
                let comes_to_its_end = |number: &u32| !run(place, charging, refunds, *kind, *number);
                let runs = (1..MOST).find(comes_to_its_end).expect("no run has as many steps");
                assert!(runs > 1, "{charging:?}: nothing was killed at {kind:?}");
                println!("{charging:?}: killed at {kind:?} {} times", runs - 1);
            });
        }
    });
}

/// One run, killed at the step of this kind and number, from 1; whether it had as many.
fn run(place: &Place, charging: Charging, refunds: bool, kind: Step, number: u32) -> bool {
    let stage = Arc::new(Stage::new(kind, number));
    let tables = place.open(&stage);
    let alpha = Books::start(charging, &stage, &tables);
    let beta = Books::start(Charging::Answers, &stage, &tables);
    let mut gateway = Gateway::start(&tables, &alpha, &beta);
    stage.aim(gateway.pid());
    tables.watch(&stage);
    let told = insist(&mut gateway, &stage, &tables, |gateway, key| {
        gateway.post("/pay", &format!("charge-{key}"), gateway::CHARGE)
    });
    let id = told.body["id"].as_str().expect("every answer names the payment").to_owned();
    if refunds {
        assert_eq!(told.status, 201, "{told:?}");
        let path = format!("/pay/{id}/refund");
        insist(&mut gateway, &stage, &tables, |gateway, key| {
            gateway.post(&path, &format!("refund-{key}"), r#"{"amount":234}"#)
        });
    }
    let killed = stage.end();
    revive(&mut gateway, &stage, &tables);
    judge(&gateway, &id, [&alpha, &beta], refunds, &told);
    killed
}

/// Asks as clients do: again with the same key until the answer is final, and with a new one if it says so.
fn insist(
    gateway: &mut Gateway,
    stage: &Stage,
    tables: &Tables,
    ask: impl Fn(&Gateway, u32) -> Option<Answer>,
) -> Answer {
    let begun = Instant::now();
    let mut key = 1;
    loop {
        let answer = ask(gateway, key);
        revive(gateway, stage, tables);
        match answer {
            Some(answer) if matches!(answer.status, 200 | 201 | 402) => return answer,
            // Nothing was given back for this key, and nothing will be.
            Some(answer) if answer.body["detail"].as_str().is_some_and(|text| text.contains("with a new key")) => {
                key += 1
            }
            Some(_) | None => {}
        }
        assert!(begun.elapsed() < SETTLED, "not settled:\n{}", gateway.log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a gateway that was killed again.
fn revive(gateway: &mut Gateway, stage: &Stage, tables: &Tables) {
    if stage.has_just_killed() {
        gateway.start_again();
        tables.end_leases();
    }
}

/// What must hold, by the books of the providers and the journal of the ledger.
fn judge(gateway: &Gateway, id: &str, providers: [&Books; 2], refunds: bool, told: &Answer) {
    let entries = || -> Vec<Entry> { providers.iter().flat_map(|books| books.entries()).collect() };
    let captures = || -> Vec<Entry> { entries().into_iter().filter(Entry::stands).collect() };
    // On a machine so slow that a provider captures later than its `quiesce` says: that is found and taken back.
    let begun = Instant::now();
    while captures().len() > 1 && begun.elapsed() < WATCHED {
        thread::sleep(Duration::from_millis(100));
    }
    let journal = gateway.admin(&format!("/admin/v1/payments/{id}"));
    let log = || format!("{:#}\n{:#?}\n{}", journal.body, entries(), gateway.log());
    let captured = captures();
    if charged_twice(&entries()) {
        let records = journal.body["journal"].as_array().expect("a journal");
        let alarm = records.iter().any(|entry| entry["record"] == "late_capture");
        assert!(alarm, "charged twice for a while, and nobody was told: {}", log());
    }
    assert_eq!((told.status, told.body["status"].as_str()), (201, Some("succeeded")), "{}", log());
    assert_eq!(captured.len(), 1, "charged once and not more: {}", log());
    assert_eq!(captured[0].refunds, if refunds { vec![234] } else { vec![] }, "{}", log());
    let unannounced: Vec<Value> = providers.iter().flat_map(|books| books.unannounced()).collect();
    assert!(unannounced.is_empty(), "without an earlier intent: {unannounced:?}\n{}", log());
    assert_eq!(journal.body["status"], "succeeded", "{}", log());
}

/// Whether two charges stood beside each other at any moment, even if one was taken back since.
fn charged_twice(entries: &[Entry]) -> bool {
    entries.iter().enumerate().any(|(place, one)| entries[..place].iter().any(|other| one.stood_beside(other)))
}
