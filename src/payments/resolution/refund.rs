//! A refund whose outcome is unknown: what the provider says it gave back in all decides.

use super::{Step, Wait};
use crate::clock::Timestamp;
use crate::payments::ledger::{StoredPayment, StoredRefund};
use crate::payments::record::{AttemptState, Record};
use crate::payments::settings::OnUnknown;
use crate::payments::terms::Terms;
use crate::payments::verdict::{Doubt, Verdict};

pub(super) fn next(
    looked: Option<&Verdict>,
    payment: &StoredPayment,
    number: u32,
    terms: &Terms,
    now: Timestamp,
) -> Step {
    let Some(refund) = find(payment, number) else { return Step::Rest };
    match refund.state {
        AttemptState::Intent => {
            let verdict = Verdict::Unknown { doubt: Doubt::Interrupted };
            return Step::Record(vec![Record::RefundOutcome { refund: number, verdict }]);
        }
        AttemptState::Unknown => {}
        _ => return Step::Rest,
    }
    let ended = refund.ended.unwrap_or(refund.started);
    let again = |wait| {
        if now < ended.plus(terms.resolve_for) {
            return Step::Again(wait);
        }
        resolved(number, AttemptState::Manual, "it could not be settled within its time")
    };
    if terms.is_known && !(terms.looks && terms.on_unknown == OnUnknown::Resolve) {
        return resolved(number, AttemptState::Manual, "its outcome is unknown and the provider is not to be asked");
    }
    let given_back = match looked {
        None if terms.looks => return Step::Look,
        Some(Verdict::Succeeded { refunded: Some(given_back), .. }) => *given_back,
        // Nothing is charged any more: all of it was given back.
        Some(Verdict::Voided) => payment.money.amount,
        _ => return again(Wait::BackOff),
    };
    let quiet_from = ended.plus(terms.quiesce);
    if given_back >= refund.refunded_before.saturating_add(refund.amount) {
        resolved(number, AttemptState::Succeeded, "the provider says that it gave the money back")
    } else if given_back != refund.refunded_before {
        again(Wait::BackOff)
    } else if now < quiet_from {
        again(Wait::Until(quiet_from))
    } else {
        resolved(number, AttemptState::NotProcessed, "the provider says that it gave nothing back")
    }
}

pub(super) fn due(payment: &StoredPayment, number: u32) -> Option<Wait> {
    let open = matches!(find(payment, number)?.state, AttemptState::Intent | AttemptState::Unknown);
    open.then_some(Wait::BackOff)
}

fn find(payment: &StoredPayment, number: u32) -> Option<&StoredRefund> {
    payment.refunds.iter().find(|refund| refund.number == number)
}

fn resolved(refund: u32, state: AttemptState, why: &str) -> Step {
    Step::Record(vec![Record::RefundResolved { refund, state, by: "lookup".into(), reason: why.into() }])
}
