use super::*;
use crate::payments::Doubt;

/// What the metrics say after the observer was told something.
fn counted(tell: impl FnOnce(&Counted)) -> String {
    let metrics = Arc::new(Metrics::new());
    tell(&Counted(Arc::clone(&metrics)));
    metrics.render()
}

fn says(rendered: &str, line: &str) -> bool {
    rendered.lines().any(|known| known == line)
}

#[test]
fn calls_are_counted_by_what_they_are_for() {
    let (alpha, unknown) = (ProviderName::from("alpha"), Verdict::Unknown { doubt: Doubt::Timeout });
    for (operation, series) in [
        (Operation::Charge, "figway_payment_attempts_total"),
        (Operation::Prepare, "figway_payment_attempts_total"),
        (Operation::Confirm, "figway_payment_attempts_total"),
        (Operation::Lookup, "figway_payment_looks_total"),
        (Operation::Void, "figway_payment_voids_total"),
        (Operation::Cancel, "figway_payment_voids_total"),
        (Operation::Refund, "figway_payment_refunds_total"),
    ] {
        let rendered = counted(|counted| counted.called(&alpha, operation, &unknown, Duration::from_secs(1)));
        let line = format!("{series}{{outcome=\"unknown\",provider=\"alpha\"}} 1");
        assert!(says(&rendered, &line), "{operation:?}\n{rendered}");
        assert!(
            says(&rendered, "figway_payment_breaker_open_ratio{provider=\"alpha\"} 0"),
            "known from the first call"
        );
    }
}

#[test]
fn alarms_and_what_is_open_can_be_alerted_on() {
    let alpha = ProviderName::from("alpha");
    let rendered = counted(|counted| {
        counted.late_capture(&alpha);
        counted.alarm(&alpha);
        counted.ledger_failed();
        counted.tally(&Tally { pending: 3, manual: 2, requires_action: 1 });
    });
    for line in [
        "figway_payment_late_captures_total{provider=\"alpha\"} 1",
        "figway_payment_alarms_total{provider=\"alpha\"} 1",
        "figway_payment_ledger_failures_total 1",
        "figway_payments_pending_count 3",
        "figway_payments_manual_count 2",
        "figway_payments_requires_action_count 1",
    ] {
        assert!(says(&rendered, line), "{line}\n{rendered}");
    }
}
