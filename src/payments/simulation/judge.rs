//! The six invariants, with the simulator's books as the judge.
//!
//! Some are held at every answer that a client hears, the others when everything works again. The
//! ledger is read here only to know what the gateway believes; whether that is true, the books say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::shopper::Heard;
use super::world::World;
use crate::clock::Timestamp;
use crate::payments::ledger::{Filter, JournalEntry, Ledger as _, StoredPayment};
use crate::payments::record::{AttemptState, Operation, PaymentState, Record};
use crate::simulator::{Charge, Effect, Entry, Fault, Received, Wish};

/// Payments that are read at once.
const PAGE: u32 = 1_000;
/// Longer than any provider's promise.
const LATE: std::time::Duration = super::schedule::QUIESCE;

/// Whether a request takes effect when nobody may expect it any more.
pub(super) fn is_late(received: &Received) -> bool {
    matches!(received.fault, Some(Fault::LateCapture(pause)) if pause > LATE)
}

/// What begins every order reference of a payment.
fn prefix(payment: &StoredPayment) -> String {
    beginning(&payment.id.order_reference(1))
}

/// What an order reference has in common with those of the payment's other attempts.
fn beginning(reference: &str) -> String {
    reference.trim_end_matches(|last: char| last != '-').to_owned()
}

/// The order reference of a payment's latest attempt, as the customer's device is told or its provider's page knows it.
pub(super) fn reference_of(document: &Value) -> String {
    let (id, attempts) = (document["id"].as_str().unwrap_or_default(), document["attempts"].as_u64().unwrap_or(1));
    format!("{}-{attempts}", id.trim_start_matches("pay_"))
}

/// Clients that ask the same at once may be told to wait, but never two different ends.
pub(super) fn same_answer(world: &World, order: &str, one: &Heard, other: &Heard) {
    let known = |heard: &Heard| matches!(heard.status, 201 | 402);
    if known(one) && known(other) && one.document != other.document {
        world.accuse(format!("{order}: two clients with one key hear {} and {}", one.document, other.document));
    }
}

/// Invariant 3: nobody hears "failed" while the books say captured.
pub(super) async fn hold_against_books(world: &World, order: &str, heard: &Heard) {
    let failed =
        matches!(heard.status, 402 | 503) || matches!(heard.text("status"), "declined" | "cancelled" | "not_processed");
    // A gateway that can't read its ledger says "ask again", which is no word about the payment.
    if !failed || heard.status == 503 && world.is_ledger_down() {
        return;
    }
    // Nobody can know better while a provider breaks its promises; it is found out and given back.
    if world.providers.each().any(|provider| provider.received().iter().any(is_late)) {
        return;
    }
    let payments = payments(world, Some(order)).await;
    let captures = captures(world);
    let captured = payments.iter().filter(|payment| captures.contains_key(&prefix(payment))).count();
    // A refund that fails leaves a capture, as it should.
    let about_the_capture = payments.iter().all(|payment| payment.state != PaymentState::Succeeded);
    if captured > 0 && about_the_capture {
        world.accuse(format!("{order} is told {} {} while it is captured", heard.status, heard.text("status")));
    }
}

/// What providers know, by what the references of a payment begin with.
#[derive(Default)]
struct Evidence {
    /// In the order in which they happened.
    effects: BTreeMap<String, Vec<(Entry, Charge)>>,
    /// With the provider's name.
    received: BTreeMap<String, Vec<(String, Received)>>,
    /// Whether any request came past all promises.
    is_late: bool,
}

impl Evidence {
    fn gather(world: &World) -> Self {
        let mut found = Self::default();
        for provider in world.providers.each() {
            let books = provider.books();
            for entry in books.entries() {
                let charge = books.charges()[entry.charge].clone();
                found.effects.entry(beginning(&charge.reference)).or_default().push((entry.clone(), charge));
            }
            for received in provider.received() {
                found.is_late |= is_late(received);
                let Some(reference) = &received.reference else { continue };
                let known = found.received.entry(beginning(reference)).or_default();
                known.push((provider.name().to_owned(), received.clone()));
            }
        }
        found.effects.values_mut().for_each(|effects| effects.sort_by_key(|(entry, _)| entry.at));
        found
    }

    fn effects(&self, payment: &StoredPayment) -> &[(Entry, Charge)] {
        self.effects.get(&prefix(payment)).map_or(&[], Vec::as_slice)
    }
}

/// Everything that is wrong at the end of a run.
pub(super) async fn judge(world: &World) -> Vec<String> {
    let mut wrong = disagreements(world).await;
    let evidence = Evidence::gather(world);
    for payment in payments(world, None).await {
        let journal = world.ledger.journal(payment.id.clone()).await.expect("readable");
        wrong.extend(captured_twice_at_once(&evidence, &payment, &journal));
        wrong.extend(effects_without_intent(&evidence, &payment, &journal));
        wrong.extend(asked_elsewhere(&evidence, &payment));
        wrong.extend(released_and_taken_back(&payment, &journal));
    }
    wrong
}

/// Where ledger and books do not agree: invariants 1 and 4, and the amounts.
pub(super) async fn disagreements(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let mut captures = captures(world);
    for payment in payments(world, None).await {
        let captured = captures.remove(&prefix(&payment)).unwrap_or_default();
        let id = &payment.id;
        if captured.len() > 1 {
            let places: Vec<_> = captured.iter().map(|(name, charge)| format!("{} at {name}", charge.id)).collect();
            found.push(format!("{id} is charged {} times: {}", captured.len(), places.join(", ")));
        }
        let expected = payment.state == PaymentState::Succeeded && payment.refunded() < payment.money.amount;
        match captured.first() {
            None if expected => found.push(format!("{id} is told as succeeded, and no provider has its money")),
            Some((name, charge)) if !expected => {
                found.push(format!("{id} is {}, and {name} has its money as {}", payment.state.as_str(), charge.id));
            }
            Some((name, charge)) => {
                let owner = payment.deciding_attempt().expect("a succeeded payment has a succeeded attempt");
                if *name != owner.provider.as_str() || charge.reference != owner.order_reference {
                    found.push(format!(
                        "{id} succeeded as {}, and {name} has {}",
                        owner.order_reference, charge.reference
                    ));
                }
                if (charge.amount, charge.refunded()) != (payment.money.amount, payment.refunded()) {
                    found.push(format!("{id}: the books have {} less {}", charge.amount, charge.refunded()));
                }
            }
            None => {}
        }
    }
    found.extend(captures.keys().map(|prefix| format!("{prefix} is charged, and the ledger knows nothing of it")));
    found
}

/// Kinds of records in the ledger, with what they decided: `resolved voided`, `late_capture`.
pub(super) async fn records(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for payment in payments(world, None).await {
        for entry in world.ledger.journal(payment.id).await.expect("this handle is never dead") {
            let record = serde_json::to_value(&entry.record).expect("JSON");
            let word = |member: &Value| member.as_str().unwrap_or_default().to_owned();
            let decided = [&record["state"], &record["verdict"]["class"], &record["operation"]].map(word).join(" ");
            found.insert(format!("{} {}", word(&record["record"]), decided.trim()));
        }
    }
    found
}

async fn payments(world: &World, order: Option<&str>) -> Vec<StoredPayment> {
    let mut filter = Filter { order_id: order.map(str::to_owned), limit: Some(PAGE), ..Filter::default() };
    let mut found = Vec::new();
    loop {
        let page = world.ledger.list(filter.clone()).await.expect("this handle is never dead");
        let is_last = page.len() < PAGE as usize;
        filter.before = page.last().map(|payment| payment.id.clone());
        found.extend(page);
        if is_last {
            return found;
        }
    }
}

/// Captures that were not given back, at whatever provider, by what their references begin with.
fn captures(world: &World) -> BTreeMap<String, Vec<(String, Charge)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for provider in world.providers.each() {
        for charge in provider.books().unreversed("") {
            found.entry(beginning(&charge.reference)).or_default().push((provider.name().to_owned(), charge.clone()));
        }
    }
    found
}

/// Invariant 1 at every moment, unless a request came past all promises.
fn captured_twice_at_once(evidence: &Evidence, payment: &StoredPayment, journal: &[JournalEntry]) -> Vec<String> {
    let excused = evidence.is_late && journal.iter().any(|entry| matches!(entry.record, Record::LateCapture { .. }));
    let mut standing: BTreeMap<String, u64> = BTreeMap::new();
    for (entry, charge) in evidence.effects(payment) {
        match entry.effect {
            Effect::Captured => {
                standing.insert(charge.id.clone(), entry.amount);
            }
            Effect::Reversed => {
                standing.remove(&charge.id);
            }
            Effect::Refunded => {
                if let Some(left) = standing.get_mut(&charge.id) {
                    *left -= entry.amount;
                }
                standing.retain(|_, left| *left > 0);
            }
            Effect::Prepared | Effect::Declined | Effect::Voided => {}
        }
        if standing.len() > 1 && !excused {
            return vec![format!("{} is charged twice at once: {:?}", payment.id, standing.keys())];
        }
    }
    Vec::new()
}

/// Invariant 2.
fn effects_without_intent(evidence: &Evidence, payment: &StoredPayment, journal: &[JournalEntry]) -> Vec<String> {
    let by = |at: Timestamp, fits: &dyn Fn(&Record) -> bool| {
        journal.iter().any(|entry| entry.at <= at && fits(&entry.record))
    };
    let mut wrong = Vec::new();
    for (entry, charge) in evidence.effects(payment) {
        let attempt = payment.attempts.iter().find(|attempt| attempt.order_reference == charge.reference);
        let number = attempt.map(|attempt| attempt.number);
        let begun = |record: &Record| match record {
            Record::Intent(intent) => intent.order_reference == charge.reference,
            _ => false,
        };
        let taken_back = |record: &Record| match record {
            Record::VoidIntent { attempt, .. } | Record::LateCapture { attempt, .. } => Some(*attempt) == number,
            _ => false,
        };
        let given_back = |record: &Record| matches!(record, Record::RefundIntent(_)) || taken_back(record);
        let intended = match entry.effect {
            // A Toss-like provider hears of it first from the customer's device.
            Effect::Prepared | Effect::Captured | Effect::Declined => by(entry.at, &begun),
            Effect::Voided | Effect::Reversed => by(entry.at, &taken_back),
            Effect::Refunded => by(entry.at, &given_back),
        };
        if !intended {
            wrong.push(format!("{:?} of {} has no intent before it", entry.effect, charge.reference));
        }
    }
    wrong
}

/// Invariant 5.
fn asked_elsewhere(evidence: &Evidence, payment: &StoredPayment) -> Vec<String> {
    let mut wrong = Vec::new();
    for (provider, received) in evidence.received.get(&prefix(payment)).into_iter().flatten() {
        let owner =
            payment.attempts.iter().find(|attempt| Some(&attempt.order_reference) == received.reference.as_ref());
        let is_owner = owner.is_some_and(|owner| owner.provider.as_str() == provider);
        if !is_owner && received.wish != Wish::Other {
            let (wish, reference) = (received.wish, received.reference.as_deref().unwrap_or_default());
            wrong.push(format!("{provider} is asked to {wish:?} {reference}, which is not its own"));
        }
    }
    wrong
}

/// Invariant 6.
fn released_and_taken_back(payment: &StoredPayment, journal: &[JournalEntry]) -> Vec<String> {
    let mut released = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in journal {
        let (attempt, state) = match &entry.record {
            Record::Outcome { attempt, verdict, operation: _ } => (*attempt, AttemptState::of(verdict)),
            Record::Resolved { attempt, state, .. } => (*attempt, *state),
            Record::Intent(intent) if intent.operation == Operation::Confirm => (intent.attempt, AttemptState::Intent),
            _ => continue,
        };
        if released.contains_key(&attempt) && !state.is_released() {
            wrong.push(format!("attempt {attempt} of {} was released and is {} again", payment.id, state.as_str()));
        }
        if state.is_released() {
            released.insert(attempt, entry.at);
        }
    }
    wrong
}
