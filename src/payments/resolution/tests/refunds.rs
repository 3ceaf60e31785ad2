//! Refunds of 40 of 100: what a look says was given back in all decides.

use super::*;

fn refund(state: AttemptState) -> StoredRefund {
    StoredRefund {
        number: 1,
        amount: 40,
        state,
        reference: "r-1".into(),
        refunded_before: 0,
        provider_ref: None,
        reason: None,
        started: ENDED,
        ended: (state != AttemptState::Intent).then_some(ENDED),
    }
}

fn with(refund: StoredRefund) -> StoredPayment {
    let charged =
        StoredAttempt { provider_ref: Some("ch_1".into()), ..attempt(Operation::Charge, AttemptState::Succeeded) };
    StoredPayment { refunds: vec![refund], ..payment(charged) }
}

fn situations() -> Vec<(&'static str, StoredPayment, u64)> {
    use AttemptState as A;
    let watched = (WATCH[WATCH.len() - 1] + WATCH_MARGIN).as_secs();
    vec![
        ("intent", with(refund(A::Intent)), QUIET),
        ("unknown, early", with(refund(A::Unknown)), EARLY),
        ("unknown, quiet", with(refund(A::Unknown)), QUIET),
        ("unknown, too long", with(refund(A::Unknown)), LATE),
        ("succeeded", with(refund(A::Succeeded)), QUIET),
        ("declined", with(refund(A::Declined)), QUIET),
        ("manual", with(refund(A::Manual)), QUIET),
        ("not processed", with(refund(A::NotProcessed)), QUIET),
        ("undone long ago", with(refund(A::NotProcessed)), watched + 1),
    ]
}

fn lines(heard: &[Heard]) -> Vec<String> {
    let line = |(name, payment, after): (&str, StoredPayment, u64)| {
        line(name, heard.iter().map(|heard| next(&payment, Item::Refund(1), &terms(), after, heard.clone())))
    };
    situations().into_iter().map(line).collect()
}

fn given_back(refunded: Option<u64>) -> Heard {
    Heard::Found(Verdict::Succeeded { provider_ref: "ch_1".into(), refunded })
}

#[test]
fn how_much_was_given_back_in_all_decides() {
    let [none, part, all, more] = [0, 39, 40, 100].map(|amount| given_back(Some(amount)));
    check(GIVEN_BACK, &lines(&[Heard::Nothing, none, part, all, more, given_back(None)]));
}

#[test]
fn what_is_voided_was_given_back_as_a_whole_and_nothing_else_says_anything() {
    let [_, rest @ ..] = verdicts().map(Heard::Found);
    check(OTHERWISE, &lines(&rest));
}

#[test]
fn what_was_given_back_before_does_not_count() {
    let done = StoredRefund { amount: 30, ..refund(AttemptState::Succeeded) };
    let second = StoredRefund { number: 2, refunded_before: 30, ..refund(AttemptState::Unknown) };
    let payment = StoredPayment { refunds: vec![done, second], ..with(refund(AttemptState::Unknown)) };
    for (amount, follows) in [(30, "=nothing"), (69, "later"), (70, "=succeeded")] {
        assert_eq!(next(&payment, Item::Refund(2), &terms(), QUIET, given_back(Some(amount))), follows, "{amount}");
    }
}

#[test]
fn a_provider_that_is_not_to_be_asked_leaves_it_to_a_person() {
    let blind = Terms { looks: false, on_unknown: OnUnknown::Hold, ..terms() };
    let gone = Terms { is_known: false, ..blind.clone() };
    let hold = Terms { on_unknown: OnUnknown::Hold, ..terms() };
    for (terms, open, undone) in [(hold, "=manual", "rest"), (blind, "=manual", "rest"), (gone, "later", "rest")] {
        let follows = |state| next(&with(refund(state)), Item::Refund(1), &terms, QUIET, Heard::Nothing);
        assert_eq!(follows(AttemptState::Unknown), open);
        assert_eq!(follows(AttemptState::NotProcessed), undone);
    }
}

#[test]
fn of_several_that_count_as_undone_the_largest_that_explains_it_was_made_after_all() {
    let undone = |number, amount| StoredRefund { number, amount, ..refund(AttemptState::NotProcessed) };
    let refunds = vec![undone(1, 60), undone(2, 20), undone(3, 10)];
    let payment = StoredPayment { refunds, ..with(refund(AttemptState::Unknown)) };
    let found = |number, amount| next(&payment, Item::Refund(number), &terms(), QUIET, given_back(Some(amount)));
    assert_eq!(
        [9, 10, 30, 60, 100].map(|amount| found(3, amount)),
        ["rest", "!refund 3", "!refund 2", "!refund 1", "!refund 1"]
    );
    assert_eq!(found(1, 60), "rest", "one look sees all, and the latest is the one that is watched");
    assert_eq!(due(Item::Refund(1), &payment, &terms(), ENDED), None);
    assert_eq!(due(Item::Refund(3), &payment, &terms(), ENDED), Some(Wait::Until(ENDED.plus(WATCH[0]))));
}

/// A look found so much given back.
const GIVEN_BACK: &str = "
                    unheard    none       39         40         100        unsaid
intent              =unknown   =unknown   =unknown   =unknown   =unknown   =unknown
unknown, early      look       wait       later      =succeeded =succeeded later
unknown, quiet      look       =nothing   later      =succeeded =succeeded later
unknown, too long   look       =nothing   =manual    =succeeded =succeeded =manual
succeeded           rest       rest       rest       rest       rest       rest
declined            rest       rest       rest       rest       rest       rest
manual              rest       rest       rest       rest       rest       rest
not processed       look       rest       rest       !refund 1  !refund 1  rest
undone long ago     rest       rest       rest       rest       rest       rest";

/// A look found it so.
const OTHERWISE: &str = "
                    prepared   declined   soft       nothing    voided     not found  unknown
intent              =unknown   =unknown   =unknown   =unknown   =unknown   =unknown   =unknown
unknown, early      later      later      later      later      =succeeded later      later
unknown, quiet      later      later      later      later      =succeeded later      later
unknown, too long   =manual    =manual    =manual    =manual    =succeeded =manual    =manual
succeeded           rest       rest       rest       rest       rest       rest       rest
declined            rest       rest       rest       rest       rest       rest       rest
manual              rest       rest       rest       rest       rest       rest       rest
not processed       rest       rest       rest       rest       !refund 1  rest       later
undone long ago     rest       rest       rest       rest       rest       rest       rest";
