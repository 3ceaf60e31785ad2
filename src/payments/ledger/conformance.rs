//! What every ledger must do; each implementation's tests run all of it (`conforms!`).
//!
//! Each test gets two processes on one empty ledger, so that nothing here relies on one process.

use std::sync::Arc;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::apply::tests::record;
use super::*;
use crate::payments::money::Currency;
use crate::payments::record::{AttemptState, Operation, RefundIntent};
use crate::payments::verdict::{Doubt, Proof, Verdict};

mod due;
mod rules;
mod views;

pub(super) use due::*;
pub(super) use rules::*;
pub(super) use views::*;

/// When everything in these tests happens, unless it happens later.
pub(super) const NOW: Timestamp = Timestamp(1_795_291_200_000);
const MINUTE: i64 = 60_000;

/// Two processes on one ledger.
pub(in crate::payments::ledger) struct Two {
    pub(in crate::payments::ledger) one: Arc<dyn Ledger>,
    pub(in crate::payments::ledger) other: Arc<dyn Ledger>,
}

/// Runs every test of this module on the ledger that `$open` opens, an async function of no
/// arguments, named from a module below, that returns [`Two`] and whatever has to live as long;
/// `None` if such a ledger is not to be had.
macro_rules! conforms {
    ($open:path) => {
        $crate::payments::ledger::conformance::conforms! { $open:
            a_key_names_one_payment,
            a_key_of_a_later_operation_names_one_use,
            one_of_many_with_one_key_is_accepted,
            one_of_many_gets_the_lease,
            only_the_holder_saves,
            a_lease_that_ran_out_is_its_holders_until_somebody_comes,
            many_writes_at_once_are_all_durable_and_a_bad_one_hurts_only_itself,
            what_is_stored_is_what_the_records_say,
            what_a_holder_left_undone_becomes_due,
            the_longest_overdue_is_looked_at_first,
            what_is_claimed_is_not_handed_out_again,
            a_hint_hurries_only_what_waits,
            a_hint_outlasts_the_work_that_it_meets,
            a_payment_is_found_by_its_providers_name_for_it,
            an_event_is_noted_once,
            an_event_hurries_its_payment_once,
            open_payments_are_counted,
            lists_are_filtered_and_come_in_pages,
            only_what_is_old_and_at_rest_is_forgotten,
        }
    };
    ($open:path: $($test:ident,)*) => {
        mod conformance {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some((two, _alive)) = $open().await else { return };
                    $crate::payments::ledger::conformance::$test(two).await;
                }
            )*
        }
    };
}
pub(in crate::payments::ledger) use conforms;

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp(NOW.0 + minutes * MINUTE)
}

pub(super) fn lease(holder: i64, minutes: i64) -> Lease {
    Lease { holder: Holder(holder), until: at(minutes) }
}

pub(super) fn intent(id: &PaymentId, attempt: u32) -> Intent {
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

/// A payment of 1 EUR at `alpha`, held for ten minutes by the holder of its number.
pub(super) fn new_payment(number: u8) -> NewPayment {
    let id = PaymentId::new(NOW, [number; 10]);
    NewPayment {
        client: [1; 32],
        key: key(number),
        order_id: format!("o-{number}"),
        money: Money { amount: 100, currency: Currency::parse("EUR").expect("listed") },
        method: "card".into(),
        capture: true,
        intent: intent(&id, 1),
        now: NOW,
        lease: lease(number.into(), 10),
        id,
    }
}

pub(super) fn key(number: u8) -> KeyUse {
    KeyUse { key: [number; 32], fingerprint: [3; 32], operation: Operation::Charge, refund: None }
}

pub(super) fn outcome(attempt: u32, verdict: Verdict) -> Record {
    Record::Outcome { attempt, operation: Operation::Charge, verdict }
}

/// Charged, under a name of the payment's own.
pub(super) fn succeeded(number: u8) -> Verdict {
    Verdict::Succeeded { provider_ref: format!("ch_{number}"), refunded: None }
}

pub(super) fn not_processed() -> Verdict {
    Verdict::NotProcessed { proof: Proof::Connect }
}

pub(super) fn unknown() -> Verdict {
    Verdict::Unknown { doubt: Doubt::Timeout }
}

/// A save of the payment of this number by its first holder, who is done then.
pub(super) fn save(number: u8, records: Vec<Record>) -> Save {
    Save {
        id: new_payment(number).id,
        holder: Holder(number.into()),
        records,
        key: None,
        now: NOW,
        lease_until: None,
        due: None,
        due_before: None,
        looks: 0,
    }
}

pub(super) async fn stored(ledger: &Arc<dyn Ledger>, number: u8) -> StoredPayment {
    ledger.payment(new_payment(number).id).await.expect("readable").expect("stored")
}

/// A payment of this number that came to this, with nobody at work on it.
pub(super) async fn ended(ledger: &Arc<dyn Ledger>, number: u8, verdict: Verdict, due: Option<Timestamp>) {
    assert_eq!(ledger.accept(new_payment(number)).await, Ok(Accepted::New));
    ledger.save(Save { due, ..save(number, vec![outcome(1, verdict)]) }).await.expect("saved");
}

/// Records from a fixed seed, most of which make no sense.
fn records(runner: &mut TestRunner) -> Record {
    record().new_tree(runner).expect("the strategy refuses nothing").current()
}
