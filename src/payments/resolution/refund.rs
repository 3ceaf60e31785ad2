//! A refund whose outcome is unknown: what the provider says it gave back in all decides.
//!
//! Nothing takes a refund back, so one that counts as not processed and is carried out all the same is
//! counted as soon as a look shows it, with an alarm: then no more is given back than was captured. Who asked
//! again with another key meanwhile got it twice; that is why `quiesce` has to be long enough.

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
        AttemptState::NotProcessed => return watch(looked, payment, refund, terms, now),
        _ => return Step::Rest,
    }
    let ended = ended(refund);
    let again = |wait| {
        if now < ended.plus(terms.resolve_for) {
            return Step::Again(wait);
        }
        resolved(number, AttemptState::Manual, "it could not be settled within its time")
    };
    if terms.is_known && !may_look(terms) {
        return resolved(number, AttemptState::Manual, "its outcome is unknown and the provider is not to be asked");
    }
    if looked.is_none() && terms.looks {
        return Step::Look;
    }
    let Some(given_back) = looked.and_then(|found| given_back(found, payment)) else { return again(Wait::BackOff) };
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

/// What a look says was given back in all, in minor units.
fn given_back(found: &Verdict, payment: &StoredPayment) -> Option<u64> {
    match found {
        Verdict::Succeeded { refunded, .. } => *refunded,
        // Nothing is charged any more: all of it was given back.
        Verdict::Voided => Some(payment.money.amount),
        _ => None,
    }
}

/// Looks whether more was given back than is known of.
fn watch(
    looked: Option<&Verdict>,
    payment: &StoredPayment,
    refund: &StoredRefund,
    terms: &Terms,
    now: Timestamp,
) -> Step {
    match looked {
        _ if !terms.is_known || !is_watched(payment, refund, terms, now) => Step::Rest,
        None => Step::Look,
        Some(Verdict::Unknown { .. }) => Step::Again(Wait::BackOff),
        Some(found) => match given_back(found, payment).and_then(|given_back| late(payment, given_back)) {
            Some(refund) => Step::Record(vec![Record::LateRefund { refund }]),
            None => Step::Rest,
        },
    }
}

/// The refund that must have come late, if so much was given back: the largest that explains it.
fn late(payment: &StoredPayment, given_back: u64) -> Option<u32> {
    let unexplained = given_back.min(payment.money.amount).saturating_sub(payment.refunded_at_most());
    let undone = payment.refunds.iter().filter(|refund| refund.state == AttemptState::NotProcessed);
    undone.filter(|refund| refund.amount <= unexplained).max_by_key(|refund| refund.amount).map(|refund| refund.number)
}

/// One look sees all refunds, so the latest is watched for the others.
fn is_watched(payment: &StoredPayment, refund: &StoredRefund, terms: &Terms, now: Timestamp) -> bool {
    let latest = payment.refunds.iter().rfind(|refund| refund.state == AttemptState::NotProcessed);
    let is_latest = latest.is_some_and(|latest| latest.number == refund.number);
    is_latest && (may_look(terms) || !terms.is_known) && super::is_watched(ended(refund), now)
}

fn may_look(terms: &Terms) -> bool {
    terms.looks && terms.on_unknown == OnUnknown::Resolve
}

/// When its latest outcome was saved: from here on its times count.
fn ended(refund: &StoredRefund) -> Timestamp {
    refund.ended.unwrap_or(refund.started)
}

pub(super) fn due(payment: &StoredPayment, number: u32, terms: &Terms, now: Timestamp) -> Option<Wait> {
    let refund = find(payment, number)?;
    match refund.state {
        AttemptState::Intent | AttemptState::Unknown => Some(Wait::BackOff),
        AttemptState::NotProcessed if is_watched(payment, refund, terms, now) => super::next_watch(ended(refund), now),
        _ => None,
    }
}

fn find(payment: &StoredPayment, number: u32) -> Option<&StoredRefund> {
    payment.refunds.iter().find(|refund| refund.number == number)
}

fn resolved(refund: u32, state: AttemptState, why: &str) -> Step {
    Step::Record(vec![Record::RefundResolved { refund, state, by: "lookup".into(), reason: why.into() }])
}
