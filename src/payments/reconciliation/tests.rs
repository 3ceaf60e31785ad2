use proptest::prelude::*;

use super::*;

fn entry(number: u32, state: AttemptState) -> LedgerEntry {
    LedgerEntry {
        kind: EntryKind::Charge,
        payment: format!("pay_{number}"),
        order_id: "o".into(),
        provider: "alpha".into(),
        reference: format!("R{number}-1"),
        provider_ref: Some(format!("ch_{number}")),
        amount: 100,
        currency: "EUR".into(),
        state,
        started_at: "2026-11-21T20:00:00.000Z".into(),
        ended_at: None,
    }
}

fn line(number: u32) -> SettledLine {
    SettledLine {
        line: number,
        kind: EntryKind::Charge,
        reference: Some(format!("R{number}-1")),
        provider_ref: Some(format!("ch_{number}")),
        amount: 100,
        currency: Some("EUR".into()),
        settled: true,
    }
}

fn settlement(lines: &[SettledLine]) -> Settlement {
    let mut settlement = Settlement::default();
    lines.iter().for_each(|line| settlement.add(line));
    settlement
}

/// Every difference of both sides, by kind and line.
fn differences(entries: &[LedgerEntry], lines: &[SettledLine]) -> Vec<(DifferenceKind, Option<u32>)> {
    let mut settlement = settlement(lines);
    let mut found = settlement.duplicates();
    found.extend(entries.iter().flat_map(|entry| settlement.compare(entry)));
    let unseen = lines.iter().filter(|line| line.settled && !settlement.has_seen(line));
    found.extend(unseen.map(SettledLine::missing));
    found.iter().map(|one| (one.difference, one.line)).collect()
}

const DONE: AttemptState = AttemptState::Succeeded;

#[test]
fn equal_books_have_no_difference_by_either_name() {
    let entries = [entry(1, DONE), entry(2, AttemptState::Declined), entry(3, AttemptState::Voided)];
    assert_eq!(differences(&entries, &[line(1)]), []);
    assert_eq!(differences(&entries, &[SettledLine { reference: None, currency: None, ..line(1) }]), []);
    assert_eq!(differences(&entries, &[SettledLine { provider_ref: None, ..line(1) }]), []);
}

#[test]
fn each_kind_of_difference_is_told_with_its_line() {
    use DifferenceKind as D;
    let other = |change: fn(&mut SettledLine)| {
        let mut line = line(1);
        change(&mut line);
        vec![line]
    };
    for (entries, lines, expected) in [
        (vec![entry(1, DONE)], vec![], vec![(D::MissingInFile, None)]),
        (vec![], vec![line(1)], vec![(D::MissingInLedger, Some(1))]),
        (vec![entry(1, DONE)], other(|line| line.amount = 99), vec![(D::Amount, Some(1))]),
        (vec![entry(1, DONE)], other(|line| line.currency = Some("USD".into())), vec![(D::Currency, Some(1))]),
        (vec![entry(1, DONE)], other(|line| line.settled = false), vec![(D::State, Some(1))]),
        (vec![entry(1, AttemptState::Unknown)], vec![line(1)], vec![(D::State, Some(1))]),
        (vec![entry(1, AttemptState::NotProcessed)], vec![line(1)], vec![(D::State, Some(1))]),
        (vec![entry(1, DONE)], other(|line| line.provider_ref = Some("ch_x".into())), vec![(D::ProviderRef, Some(1))]),
        (vec![entry(1, DONE)], vec![line(1), SettledLine { line: 2, ..line(1) }], vec![(D::Duplicate, Some(2))]),
        (
            vec![entry(1, DONE), LedgerEntry { reference: "R9-1".into(), ..entry(1, DONE) }],
            vec![line(1)],
            vec![(D::Duplicate, Some(1))],
        ),
        // A refund of the same name is another thing.
        (
            vec![LedgerEntry { kind: EntryKind::Refund, ..entry(1, DONE) }],
            vec![line(1)],
            vec![(D::MissingInFile, None), (D::MissingInLedger, Some(1))],
        ),
        // Two mistakes in one line are two differences.
        (
            vec![entry(1, DONE)],
            other(|line| (line.amount, line.currency) = (1, Some("KRW".into()))),
            vec![(D::Amount, Some(1)), (D::Currency, Some(1))],
        ),
    ] {
        assert_eq!(differences(&entries, &lines), expected, "{entries:?} {lines:?}");
    }
}

#[test]
fn a_failed_try_beside_the_one_that_succeeded_is_no_duplicate() {
    let failed = SettledLine { settled: false, ..line(1) };
    let done = SettledLine { line: 2, ..line(1) };
    assert_eq!(differences(&[entry(1, DONE)], &[failed.clone(), done.clone()]), []);
    assert_eq!(differences(&[entry(1, DONE)], &[done, failed.clone()]), []);
    assert_eq!(differences(&[entry(1, AttemptState::Declined)], std::slice::from_ref(&failed)), []);
    assert_eq!(differences(&[], &[failed]), []);
}

proptest! {
    #![proptest_config(crate::types::property::config(100))]

    #[test]
    fn property_whatever_is_taken_from_one_side_is_missed_and_nothing_else(
        count in 1..60_u32, from_ledger in any::<u64>(), from_file in any::<u64>(),
    ) {
        let keeps = |taken: u64, number: &u32| taken & (1 << (number % 64)) == 0;
        let entries: Vec<_> = (0..count).filter(|number| keeps(from_ledger, number)).map(|n| entry(n, DONE)).collect();
        let lines: Vec<_> = (0..count).filter(|number| keeps(from_file, number)).map(line).collect();
        let found = differences(&entries, &lines);
        for number in 0..count {
            let sides = (keeps(from_ledger, &number), keeps(from_file, &number));
            let missed = found.iter().filter(|(kind, at)| match kind {
                DifferenceKind::MissingInLedger => *at == Some(number),
                _ => false,
            });
            prop_assert_eq!(missed.count(), usize::from(sides == (false, true)));
        }
        let in_file = found.iter().filter(|(kind, _)| *kind == DifferenceKind::MissingInFile).count();
        let expected = (0..count).filter(|n| keeps(from_ledger, n) && !keeps(from_file, n)).count();
        prop_assert_eq!(in_file, expected);
        let others = found.iter().filter(|(kind, _)| {
            !matches!(kind, DifferenceKind::MissingInFile | DifferenceKind::MissingInLedger)
        });
        prop_assert_eq!(others.count(), 0);
    }
}
