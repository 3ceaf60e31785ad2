//! The whole decision as tables: how it stands, what was heard, what follows.
//!
//! Each table has a column for every verdict, so that none can be forgotten; a test sees to the states.

mod attempts;
mod refunds;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::payments::id::PaymentId;
use crate::payments::ledger::{StoredAttempt, StoredRefund};
use crate::payments::money::{Currency, Money};
use crate::payments::record::{AttemptState, PaymentState, VoidReason};
use crate::payments::settings::OnUnknown;
use crate::payments::verdict::{Doubt, Proof};

/// When the attempt or refund ended. The times are those of [`Terms::sample`].
const ENDED: Timestamp = Timestamp(1_795_291_200_000);
/// The provider may still be at work on it.
const EARLY: u64 = 1;
/// The provider has to be done with it.
const QUIET: u64 = 6;
/// It was to be settled by now, and a prepared one confirmed.
const LATE: u64 = 3_600;

fn terms() -> Terms {
    Terms::sample("alpha")
}

fn payment(attempt: StoredAttempt) -> StoredPayment {
    StoredPayment {
        id: PaymentId::new(ENDED, [7; 10]),
        client: [0; 32],
        order_id: "o".into(),
        money: Money { amount: 100, currency: Currency::parse("EUR").expect("listed") },
        method: "card".into(),
        capture: true,
        given_up: false,
        state: PaymentState::of([attempt.state], false),
        lease: None,
        due: None,
        looks: 0,
        created: ENDED,
        updated: ENDED,
        attempts: vec![attempt],
        refunds: Vec::new(),
    }
}

fn attempt(operation: Operation, state: AttemptState) -> StoredAttempt {
    StoredAttempt {
        number: 1,
        provider: "alpha".into(),
        operation,
        state,
        order_reference: "ref-1".into(),
        lookup: "ref-1".into(),
        provider_ref: None,
        decline_code: None,
        reason: None,
        next_action: BTreeMap::new(),
        started: ENDED,
        ended: (state != AttemptState::Intent).then_some(ENDED),
        voiding: None,
        late_capture: None,
    }
}

/// Every verdict, in the order of the columns.
fn verdicts() -> [Verdict; 8] {
    [
        Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: Some(40) },
        Verdict::Prepared { provider_ref: Some("pi_1".into()), next_action: BTreeMap::new() },
        Verdict::Declined { code: "no_funds".into(), provider_ref: None, soft: false },
        Verdict::Declined { code: "no_funds".into(), provider_ref: None, soft: true },
        Verdict::NotProcessed { proof: Proof::Stated },
        Verdict::Voided,
        Verdict::NotFound,
        Verdict::Unknown { doubt: Doubt::StillOpen },
    ]
}

/// What is heard, one after the other, about one attempt or refund.
#[derive(Clone)]
enum Heard {
    Nothing,
    Found(Verdict),
    /// To being asked to take it back.
    Said(Verdict),
    /// The provider said that it is taken back; a look after that found this.
    SaidVoidedThenFound(Verdict),
    /// What the provider said to the void is unknown; a look after that found this.
    SaidNothingThenFound(Verdict),
}

fn next(payment: &StoredPayment, item: Item, terms: &Terms, after: u64, heard: Heard) -> String {
    let mut resolution = Resolution::new(item);
    let found = match heard {
        Heard::Nothing => None,
        Heard::Said(said) => {
            resolution.took_back(said);
            None
        }
        Heard::SaidVoidedThenFound(found) => {
            resolution.took_back(Verdict::Voided);
            Some(found)
        }
        Heard::SaidNothingThenFound(found) => {
            resolution.took_back(Verdict::Unknown { doubt: Doubt::Timeout });
            Some(found)
        }
        Heard::Found(found) => Some(found),
    };
    if let Some(found) = found {
        resolution.looked(found);
    }
    word(&resolution.next(payment, terms, ENDED.plus(Duration::from_secs(after))))
}

fn word(step: &Step) -> String {
    match step {
        Step::Look => "look".into(),
        Step::TakeBack(operation) => operation.as_str().into(),
        Step::Again(Wait::BackOff) => "later".into(),
        Step::Again(Wait::Until(_)) => "wait".into(),
        Step::Rest => "rest".into(),
        Step::Record(records) => {
            records.iter().filter(|record| !matches!(record, Record::Found { .. })).map(said_of).collect()
        }
    }
}

/// `=` before where it stands from now on, for good or for a person; `!` before an alarm.
fn said_of(record: &Record) -> String {
    match record {
        Record::Outcome { verdict, .. } | Record::RefundOutcome { verdict, .. } => format!("={}", verdict.class()),
        Record::Resolved { state, .. }
        | Record::RefundResolved { state, .. }
        | Record::LateCaptureEnded { state, .. } => match state {
            AttemptState::NotProcessed => "=nothing".into(),
            AttemptState::SoftDeclined => "=soft".into(),
            state => format!("={}", state.as_str()),
        },
        Record::VoidIntent { .. } => "begin void".into(),
        Record::LateCapture { .. } => "!captured".into(),
        Record::LateRefund { refund } => format!("!refund {refund}"),
        other => panic!("no step records {other:?}"),
    }
}

/// A line of a table: the situation, and what follows from each of these.
fn line(name: &str, follows: impl Iterator<Item = String>) -> String {
    follows.fold(format!("{name:<19}"), |line, cell| format!("{line} {cell:<10}")).trim_end().to_owned()
}

/// Compares line by line, so that a failure shows the one that is wrong.
fn check(table: &str, lines: &[String]) {
    let wanted: Vec<_> = table.lines().skip(2).collect();
    for (line, wanted) in lines.iter().zip(&wanted) {
        assert_eq!(line, wanted);
    }
    assert_eq!(lines.len(), wanted.len(), "{}", lines.join("\n"));
}
