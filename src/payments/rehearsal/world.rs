//! The providers' side: their books, and the harm that they do on demand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::payments::adapter::{Answer, WireRequest};
use crate::payments::id::PaymentId;
use crate::payments::ledger::Ledger;
use crate::payments::ledger::in_memory::InMemoryLedger;
use crate::payments::record::{AttemptState, Operation};
use crate::payments::settings::Provider;
use crate::payments::transport::{CallError, CallFuture, Transport};
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::payments) enum Fault {
    /// No connection.
    Refused,
    /// The request is lost on the way.
    LostBefore,
    /// It has its effect, and the answer is lost.
    LostAfter,
    /// The answer is lost, and the effect comes so much later.
    Late(Duration),
    /// This answer, and no effect.
    Says(Verdict),
    /// No answer until the timeout, no effect.
    Swallowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Prepared,
    Captured,
    Voided,
}

#[derive(Debug)]
struct Account {
    standing: Standing,
    refunded: u64,
    refunds: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Books {
    /// By provider and order reference.
    accounts: BTreeMap<(String, String), Account>,
    faults: HashMap<(String, Operation), VecDeque<Fault>>,
    always: HashMap<(String, Operation), Fault>,
    calls: Vec<(String, Operation)>,
}

/// See the module's text.
#[derive(Debug)]
pub(in crate::payments) struct World {
    books: Arc<Mutex<Books>>,
    ledger: Mutex<Arc<InMemoryLedger>>,
}

impl World {
    pub(super) fn new(ledger: Arc<InMemoryLedger>) -> Self {
        Self { books: Arc::default(), ledger: Mutex::new(ledger) }
    }

    /// From now on this is the ledger that tells whether a call is allowed.
    pub(super) fn watch(&self, ledger: Arc<InMemoryLedger>) {
        *self.ledger.lock().expect("free") = ledger;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no test panicked in here")
    }

    /// The next calls of this kind go wrong in these ways.
    pub(in crate::payments) fn next(&self, provider: &str, operation: Operation, faults: &[Fault]) {
        let mut books = self.books();
        books.faults.entry((provider.into(), operation)).or_default().extend(faults.iter().cloned());
    }

    /// All calls of this kind go wrong in this way from now on; `None`: they don't.
    pub(in crate::payments) fn always(&self, provider: &str, operation: Operation, fault: Option<Fault>) {
        let (key, mut books) = ((provider.to_owned(), operation), self.books());
        match fault {
            Some(fault) => drop(books.always.insert(key, fault)),
            None => drop(books.always.remove(&key)),
        }
    }

    /// Whatever the provider is asked goes wrong in this way from now on.
    pub(in crate::payments) fn set(&self, provider: &str, fault: Option<&Fault>) {
        for operation in Operation::ALL {
            self.always(provider, *operation, fault.cloned());
        }
    }

    /// Captures that were not taken back.
    pub(in crate::payments) fn captured(&self) -> usize {
        self.books().accounts.values().filter(|account| account.standing == Standing::Captured).count()
    }

    /// Prepared ones that were not taken back.
    pub(in crate::payments) fn prepared(&self) -> usize {
        self.books().accounts.values().filter(|account| account.standing == Standing::Prepared).count()
    }

    /// Minor units given back, at all providers.
    pub(in crate::payments) fn refunded(&self) -> u64 {
        self.books().accounts.values().map(|account| account.refunded).sum()
    }

    /// How often this was asked for.
    pub(in crate::payments) fn calls(&self, provider: &str, operation: Operation) -> usize {
        self.books().calls.iter().filter(|(name, asked)| name == provider && *asked == operation).count()
    }

    /// How often anything was asked for.
    pub(in crate::payments) fn all_calls(&self) -> usize {
        self.books().calls.len()
    }

    /// The provider takes the money of what it has, by itself.
    pub(in crate::payments) fn captures_by_itself(&self, provider: &str) {
        for ((name, _), account) in &mut self.books().accounts {
            if name == provider {
                account.standing = Standing::Captured;
            }
        }
    }

    /// What allows the call must be durable before it arrives.
    async fn is_allowed(&self, operation: Operation, order_reference: &str) -> bool {
        let (id, number) = order_reference.split_once('-').expect("a payment's name and a number");
        let id = PaymentId::parse(&format!("pay_{id}")).expect("a payment's name");
        let ledger = Arc::clone(&self.ledger.lock().expect("free"));
        let payment = ledger.payment(id).await.expect("readable").expect("durable");
        let number: u32 = number.parse().expect("a number");
        let attempt = payment.attempts.iter().find(|attempt| attempt.number == number).expect("durable");
        match operation {
            Operation::Charge | Operation::Prepare | Operation::Confirm => {
                attempt.state == AttemptState::Intent && attempt.operation == operation
            }
            Operation::Void | Operation::Cancel => attempt.voiding.is_some(),
            Operation::Refund => payment.refunds.last().is_some_and(|refund| refund.state == AttemptState::Intent),
            Operation::Lookup => true,
        }
    }
}

impl Transport for World {
    fn call<'a>(&'a self, provider: &'a Provider, request: WireRequest, deadline: Instant) -> CallFuture<'a> {
        Box::pin(async move {
            let body: Value = serde_json::from_slice(&request.body).expect("JSON");
            let operation: Operation = serde_json::from_value(body["operation"].clone()).expect("an operation");
            let reference = body["reference"].as_str().expect("text").to_owned();
            let name = provider.name.as_str().to_owned();
            let fault = {
                let (key, mut books) = ((name.clone(), operation), self.books());
                books.calls.push(key.clone());
                let next = books.faults.get_mut(&key).and_then(VecDeque::pop_front);
                next.or_else(|| books.always.get(&key).cloned())
            };
            if fault != Some(Fault::Refused) {
                assert!(self.is_allowed(operation, &reference).await, "{operation:?} came before it was durable");
            }
            let lost = || Err(CallError::InDoubt { doubt: Doubt::Lost, detail: String::new() });
            let account = (name, reference);
            match fault {
                Some(Fault::Refused) => Err(CallError::NotSent { proof: Proof::Connect, detail: "refused".into() }),
                Some(Fault::LostBefore) => lost(),
                Some(Fault::LostAfter) => {
                    self.books().take(operation, account, &body);
                    lost()
                }
                Some(Fault::Late(after)) => {
                    let books = Arc::clone(&self.books);
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        books.lock().expect("free").take(operation, account, &body);
                    });
                    lost()
                }
                Some(Fault::Says(verdict)) => Ok(answer(&verdict)),
                Some(Fault::Swallowed) => {
                    tokio::time::sleep_until(deadline.min(Instant::now() + provider.timeouts.response)).await;
                    Err(CallError::InDoubt { doubt: Doubt::Timeout, detail: String::new() })
                }
                None => {
                    tokio::time::sleep(Duration::from_millis(80)).await;
                    Ok(answer(&self.books().take(operation, account, &body)))
                }
            }
        })
    }
}

fn answer(verdict: &Verdict) -> Answer {
    let body = Bytes::from(serde_json::to_vec(verdict).expect("JSON"));
    Answer { status: http::StatusCode::OK, headers: http::HeaderMap::new(), body }
}

impl Books {
    fn take(&mut self, operation: Operation, account: (String, String), body: &Value) -> Verdict {
        let reference = format!("ref-{}", account.1);
        let begin = |standing| Account { standing, refunded: 0, refunds: HashMap::new() };
        let refused = |code: &str| Verdict::Declined { code: code.into(), provider_ref: None, soft: false };
        match (operation, self.accounts.get_mut(&account)) {
            (Operation::Charge, None) => {
                self.accounts.insert(account, begin(Standing::Captured));
                Verdict::Succeeded { provider_ref: reference, refunded: None }
            }
            (Operation::Prepare, None) => {
                self.accounts.insert(account, begin(Standing::Prepared));
                prepared(reference)
            }
            // Prepared by the customer's device.
            (Operation::Confirm, None) => {
                self.accounts.insert(account, begin(Standing::Captured));
                Verdict::Succeeded { provider_ref: reference, refunded: None }
            }
            (Operation::Charge | Operation::Prepare, Some(_)) => refused("repeated"),
            (Operation::Confirm, Some(account)) if account.standing == Standing::Prepared => {
                account.standing = Standing::Captured;
                Verdict::Succeeded { provider_ref: reference, refunded: None }
            }
            (Operation::Confirm, Some(_)) => refused("not open"),
            (Operation::Lookup | Operation::Void | Operation::Cancel | Operation::Refund, None) => Verdict::NotFound,
            (Operation::Lookup, Some(account)) => match account.standing {
                Standing::Prepared => prepared(reference),
                Standing::Captured => Verdict::Succeeded { provider_ref: reference, refunded: Some(account.refunded) },
                Standing::Voided => Verdict::Voided,
            },
            (Operation::Cancel, Some(account)) if account.standing == Standing::Captured => refused("captured"),
            (Operation::Void | Operation::Cancel, Some(account)) => {
                account.standing = Standing::Voided;
                Verdict::Voided
            }
            (Operation::Refund, Some(account)) => {
                let name = body["refund"].as_str().expect("a reference").to_owned();
                let amount = body["amount"].as_u64().expect("an amount");
                if account.refunds.insert(name.clone(), amount).is_none() {
                    account.refunded += amount;
                }
                Verdict::Succeeded { provider_ref: name, refunded: None }
            }
        }
    }
}

fn prepared(reference: String) -> Verdict {
    let next_action = BTreeMap::from([("secret".to_owned(), "s".to_owned())]);
    Verdict::Prepared { provider_ref: Some(reference), next_action }
}
