//! Several gateways on one ledger in PostgreSQL, and that ledger away for a while.

use std::thread;

use crate::books::{Books, Charging};
use crate::gateway::{Answer, CHARGE, Gateway};
use crate::places::Tables;
use crate::postgres::PostgresServer;
use crate::stage::{Stage, Step};

/// A stage on which nobody is killed.
fn quiet() -> std::sync::Arc<Stage> {
    std::sync::Arc::new(Stage::new(Step::Asked, 0))
}

fn ledger(server: &PostgresServer) -> Tables {
    let direct = server.database("shared");
    Tables::Postgres { through_proxy: direct.clone(), direct }
}

#[test]
fn two_gateways_that_get_one_key_at_once_charge_once() {
    let Some(server) = PostgresServer::start() else { return };
    let tables = ledger(&server);
    let books = Books::start(Charging::Answers, &quiet(), &tables);
    let gateways = [0; 2].map(|_| Gateway::start(&tables, &books, &books));
    for round in 0..5 {
        let key = format!("k-{round}");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let ask = |number: usize| gateways[number % 2].post("/pay", &key, CHARGE);
            let asked: Vec<_> = (0..12).map(|number| scope.spawn(move || ask(number))).collect();
            asked.into_iter().filter_map(|asked| asked.join().expect("no panic")).collect()
        });
        assert_eq!(books.entries().len(), round + 1, "{answers:?}");
        assert!(answers.iter().any(|answer| answer.status == 201), "{answers:?}");
        assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
    }
    assert!(books.unannounced().is_empty());
}

#[test]
fn without_the_database_nothing_is_attempted_and_afterwards_everything_goes_on() {
    let Some(server) = PostgresServer::start() else { return };
    let tables = ledger(&server);
    let books = Books::start(Charging::Answers, &quiet(), &tables);
    let gateway = Gateway::start(&tables, &books, &books);
    let pay = |key: &str| gateway.post("/pay", key, CHARGE).expect("an answer").status;
    assert_eq!(pay("k-1"), 201);
    server.stop();
    assert_eq!((pay("k-1"), pay("k-2")), (503, 503));
    assert_eq!(books.entries().len(), 1);
    server.start_again();
    assert_eq!((pay("k-1"), pay("k-2")), (201, 201));
    assert_eq!(books.entries().len(), 2);
}
