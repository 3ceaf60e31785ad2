use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::payments::ledger::NewPayment;
use crate::payments::ledger::conformance::{NOW, intent, new_payment};
use crate::payments::verdict::{Doubt, Proof};

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        (select(vec!["ch_1", "ch_2"]), select(vec![None, Some(0), Some(40)]))
            .prop_map(|(named, refunded)| Verdict::Succeeded { provider_ref: named.into(), refunded }),
        any::<bool>().prop_map(|named| Verdict::Prepared {
            provider_ref: named.then(|| "pi_1".into()),
            next_action: BTreeMap::from([("url".into(), "https://bank.example/\u{e4}".into())]),
        }),
        any::<bool>().prop_map(|soft| Verdict::Declined { code: "do_not_honor".into(), provider_ref: None, soft }),
        Just(Verdict::NotProcessed { proof: Proof::Connect }),
        Just(Verdict::Voided),
        Just(Verdict::NotFound),
        Just(Verdict::Unknown { doubt: Doubt::Timeout }),
    ]
}

fn state() -> impl Strategy<Value = AttemptState> {
    select(AttemptState::ALL)
}

/// Any record, also of attempts that do not exist and in states that make no sense.
pub(in crate::payments::ledger) fn record() -> impl Strategy<Value = Record> {
    let attempt = || 1..4_u32;
    let charging = || select(vec![Operation::Charge, Operation::Prepare, Operation::Confirm]);
    prop_oneof![
        4 => (attempt(), charging()).prop_map(|(attempt, operation)| {
            Record::Intent(Intent { operation, ..intent(&new_payment(1).id, attempt) })
        }),
        4 => (attempt(), charging(), verdict())
            .prop_map(|(attempt, operation, verdict)| Record::Outcome { attempt, operation, verdict }),
        1 => (attempt(), verdict()).prop_map(|(attempt, verdict)| Record::Found { attempt, verdict }),
        1 => (attempt(), select(VoidReason::ALL)).prop_map(|(attempt, reason)| Record::VoidIntent { attempt, reason }),
        1 => (attempt(), verdict()).prop_map(|(attempt, verdict)| Record::VoidOutcome { attempt, verdict }),
        4 => (attempt(), state(), any::<bool>()).prop_map(|(attempt, state, named)| Record::Resolved {
            attempt,
            state,
            provider_ref: named.then(|| "ch_3".into()),
            code: named.then(|| "stolen_card".into()),
            by: "lookup".into(),
            reason: "found".into(),
        }),
        1 => attempt().prop_map(|attempt| Record::LateCapture { attempt, provider_ref: "ch_4".into() }),
        1 => (attempt(), state()).prop_map(|(attempt, state)| Record::LateCaptureEnded { attempt, state, by: "void".into(), reason: "r".into() }),
        3 => (attempt(), 0..60_u64).prop_map(|(refund, amount)| Record::RefundIntent(RefundIntent {
            refund,
            amount,
            provider_key: "rk".into(),
            reference: format!("r-{refund}"),
            refunded_before: 0,
        })),
        3 => (attempt(), verdict()).prop_map(|(refund, verdict)| Record::RefundOutcome { refund, verdict }),
        1 => (attempt(), state()).prop_map(|(refund, state)| Record::RefundResolved {
            refund,
            state,
            by: "alice".into(),
            reason: "settlement file".into(),
        }),
        1 => attempt().prop_map(|refund| Record::LateRefund { refund }),
    ]
}

fn opened() -> StoredPayment {
    new_payment(1).open().0
}

fn succeeded() -> StoredPayment {
    let mut payment = opened();
    let verdict = Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: None };
    payment.apply(&Record::Outcome { attempt: 1, operation: Operation::Charge, verdict }, NOW).expect("fits");
    payment
}

/// What holds of every payment.
fn check_rules(payment: &StoredPayment) -> Result<(), TestCaseError> {
    let live = payment.attempts.iter().filter(|attempt| !attempt.state.is_released());
    prop_assert!(live.count() <= 1, "two attempts may have charged");
    for (index, attempt) in payment.attempts.iter().enumerate() {
        prop_assert_eq!(attempt.number as usize, index + 1);
    }
    let open = |refund: &&StoredRefund| refund.state.is_open() || refund.state == AttemptState::Manual;
    prop_assert!(payment.refunds.iter().filter(open).count() <= 1, "two refunds may happen");
    prop_assert!(payment.refunded_at_most() <= payment.money.amount, "more given back than was captured");
    let state = PaymentState::of(payment.attempts.iter().map(|attempt| attempt.state), payment.given_up);
    prop_assert_eq!(payment.state, state);
    Ok(())
}

/// What one record may do to a payment and what not.
fn check_step(before: &StoredPayment, after: &StoredPayment) -> Result<(), TestCaseError> {
    for (was, is) in before.attempts.iter().zip(&after.attempts) {
        let settled = matches!(was.state, AttemptState::Succeeded | AttemptState::Declined);
        if settled || was.state.is_released() {
            prop_assert_eq!(was.state, is.state, "what is settled or released stays so");
        }
    }
    if after.attempts.len() > before.attempts.len() {
        prop_assert!(before.attempts.iter().all(|attempt| attempt.state.is_released()), "an attempt began too early");
        prop_assert!(!before.given_up);
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::types::property::config(400))]

    #[test]
    fn property_any_records_in_any_order_keep_the_release_rule(
        charged in any::<bool>(),
        records in prop::collection::vec(record(), 1..40),
    ) {
        let mut payment = if charged { succeeded() } else { opened() };
        for record in &records {
            let before = payment.clone();
            match payment.apply(record, Timestamp(NOW.0 + 1)) {
                Ok(()) => check_step(&before, &payment)?,
                Err(misfit) => prop_assert_eq!(&before, &payment, "refused and still changed: {}", misfit),
            }
            check_rules(&payment)?;
        }
    }
}

#[test]
fn a_record_that_is_refused_changes_nothing_of_an_attempt() {
    let mut payment = opened();
    let unknown = Verdict::Unknown { doubt: Doubt::Timeout };
    payment.apply(&Record::Outcome { attempt: 1, operation: Operation::Charge, verdict: unknown }, NOW).expect("fits");
    let before = payment.clone();
    let nonsense = Record::Resolved {
        attempt: 1,
        state: AttemptState::Unknown,
        provider_ref: None,
        code: None,
        by: "lookup".into(),
        reason: "nothing".into(),
    };
    payment.apply(&nonsense, NOW).expect_err("nothing resolves to unknown");
    assert_eq!(payment, before);
}

#[test]
fn what_is_captured_is_refunded_and_never_voided() {
    let mut payment = succeeded();
    let void = Record::VoidIntent { attempt: 1, reason: VoidReason::Unresolved };
    payment.apply(&void, NOW).expect_err("captured");
    assert_eq!(payment, succeeded());
}

#[test]
fn refunds_add_up_to_the_amount_and_no_further() {
    let mut payment = succeeded();
    let amount = payment.money.amount;
    let refund = |refund, amount| {
        let (provider_key, reference) = ("rk".into(), "r".into());
        Record::RefundIntent(RefundIntent { refund, amount, provider_key, reference, refunded_before: 0 })
    };
    let ended = |refund, verdict| Record::RefundOutcome { refund, verdict };
    let done = || Verdict::Succeeded { provider_ref: "re".into(), refunded: None };
    payment.apply(&refund(1, amount - 10), NOW).expect("less than all");
    payment.apply(&refund(2, 1), NOW).expect_err("one at a time");
    payment.apply(&ended(1, done()), NOW).expect("fits");
    payment.apply(&refund(2, 11), NOW).expect_err("more than is left");
    payment.apply(&refund(2, 10), NOW).expect("all that is left");
    payment.apply(&ended(2, Verdict::NotProcessed { proof: Proof::Stated }), NOW).expect("fits");
    assert_eq!(payment.refunded(), amount - 10);
    let mut late = payment.clone();
    late.apply(&Record::LateRefund { refund: 1 }, NOW).expect_err("it was in time");
    late.apply(&Record::LateRefund { refund: 2 }, NOW).expect("it happened after all");
    assert_eq!(late.refunded(), amount);
    payment.apply(&refund(3, 10), NOW).expect("what did not happen is left");
    payment.apply(&ended(3, done()), NOW).expect("fits");
    payment.apply(&refund(4, 1), NOW).expect_err("nothing is left");
    payment.apply(&Record::LateRefund { refund: 2 }, NOW).expect_err("nothing is left");
    assert_eq!(payment.refunded(), amount);
}

#[test]
fn what_is_given_up_begins_nothing_more() {
    let NewPayment { id, .. } = new_payment(1);
    let mut payment = opened();
    let verdict = Verdict::Prepared { provider_ref: None, next_action: BTreeMap::new() };
    payment.apply(&Record::Outcome { attempt: 1, operation: Operation::Charge, verdict }, NOW).expect("fits");
    assert_eq!(payment.state, PaymentState::RequiresAction);
    payment.apply(&Record::VoidIntent { attempt: 1, reason: VoidReason::Cancelled }, NOW).expect("fits");
    let confirm = Intent { operation: Operation::Confirm, ..intent(&id, 1) };
    payment.apply(&Record::Intent(confirm), NOW).expect_err("it is being given up");
    let voided = Record::Resolved {
        attempt: 1,
        state: AttemptState::Voided,
        provider_ref: None,
        code: None,
        by: "void".into(),
        reason: "cancelled".into(),
    };
    payment.apply(&voided, NOW).expect("fits");
    assert_eq!(payment.state, PaymentState::Cancelled);
    payment.apply(&Record::Intent(intent(&id, 2)), NOW).expect_err("it is given up");
}
