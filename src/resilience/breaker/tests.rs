use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(BreakerRules::default())
}

fn call(breaker: &mut Breaker, now: Duration, took: Duration, ended: Ended) {
    let ticket = begin(breaker, now).expect("admitted");
    breaker.end(now + took, ticket, ended);
}

/// Admits a call and begins it at once.
fn begin(breaker: &mut Breaker, now: Duration) -> Result<Ticket, Refused> {
    breaker.admit(now, Need::Usual).inspect(|ticket| breaker.begin(now, *ticket))
}

/// Opens a breaker; the moment at which it did.
fn open(breaker: &mut Breaker, mut now: Duration) -> Duration {
    while breaker.state(now) != BreakerState::Open {
        call(breaker, now, MS, Ended::Failed);
        now += MS;
    }
    now
}

/// Sends one call each `every` from `from` until it is refused; none ever ends. How many, and when.
fn black_hole(breaker: &mut Breaker, from: Duration, every: Duration) -> (u32, Duration) {
    let (mut now, mut lost) = (from, 0);
    while begin(breaker, now).is_ok() {
        lost += 1;
        now += every;
        assert!(lost < 10_000, "never opens");
    }
    (lost, now - from)
}

#[test]
fn a_few_failures_among_many_successes_do_not_open_it() {
    let mut breaker = breaker();
    for index in 0..1000 {
        let ended = if index % 4 == 0 { Ended::Failed } else { Ended::Good };
        call(&mut breaker, MS * 25 * index, MS * 20, ended);
    }
    assert_eq!(breaker.state(SECOND * 25), BreakerState::Closed);
}

#[test]
fn half_of_at_least_five_failing_opens_it() {
    let mut breaker = breaker();
    for index in 0..4 {
        call(&mut breaker, MS * index, MS, Ended::Failed);
        assert_eq!(breaker.state(MS * index + MS), BreakerState::Closed, "too few to judge");
    }
    call(&mut breaker, MS * 9, MS, Ended::Failed);
    assert_eq!(breaker.state(MS * 10), BreakerState::Open);
}

#[test]
fn a_partner_that_swallows_calls_is_cut_off_long_before_its_timeout() {
    // 40 payments a second of which this partner gets 70 %, 30 %, or all.
    for (every, most) in [(MS * 36, 56), (MS * 83, 24), (MS * 25, 80)] {
        let mut breaker = breaker();
        for index in 0..200 {
            call(&mut breaker, every * index, MS * 120, Ended::Good);
        }
        let (lost, took) = black_hole(&mut breaker, every * 200, every);
        assert!(took < SECOND * 2 && lost <= most, "{lost} lost in {took:?}");
    }
}

#[test]
fn a_partner_that_never_answered_is_cut_off_within_two_seconds_as_well() {
    let (lost, took) = black_hole(&mut breaker(), Duration::ZERO, MS * 36);
    assert!(took < SECOND * 2 && lost <= 56, "{lost} lost in {took:?}");
}

#[test]
fn a_partner_that_is_always_slow_is_not_taken_for_dead() {
    let mut breaker = breaker();
    // One after the other, so that its usual latency is known before calls overlap.
    for index in 0..10 {
        call(&mut breaker, SECOND * 3 * index, MS * 2500, Ended::Good);
    }
    let start = SECOND * 60;
    let tickets: Vec<_> = (0..40).map(|index| begin(&mut breaker, start + MS * 50 * index)).collect();
    assert!(tickets.iter().all(Result::is_ok));
    assert!(breaker.overdue_after() > MS * 2500);
}

#[test]
fn answers_that_come_much_too_late_count_as_failures() {
    let mut breaker = breaker();
    for index in 0..20 {
        call(&mut breaker, MS * 100 * index, MS * 50, Ended::Good);
    }
    // All at once, so that nothing can be learnt from the first ones in time.
    let start = SECOND * 10;
    let tickets: Vec<_> = (0..10).map(|_| begin(&mut breaker, start).expect("closed")).collect();
    for ticket in tickets {
        breaker.end(start + SECOND * 2, ticket, Ended::Good);
    }
    assert_eq!(breaker.state(start + SECOND * 2), BreakerState::Open);
}

#[test]
fn what_the_caller_does_before_a_call_is_not_held_against_the_partner() {
    let mut breaker = breaker();
    let tickets: Vec<_> = (0..20).map(|_| breaker.admit(Duration::ZERO, Need::Usual).expect("closed")).collect();
    assert_eq!(breaker.state(SECOND * 9), BreakerState::Closed);
    for ticket in tickets {
        breaker.begin(SECOND * 9, ticket);
        breaker.end(SECOND * 9 + MS * 50, ticket, Ended::Good);
    }
    assert_eq!(breaker.state(SECOND * 10), BreakerState::Closed);
    assert_eq!(breaker.overdue_after(), SECOND);
}

#[test]
fn a_full_partner_is_not_a_broken_one() {
    let mut breaker = breaker();
    for index in 0..100 {
        call(&mut breaker, MS * index, MS, Ended::Neutral);
    }
    assert_eq!(breaker.state(SECOND), BreakerState::Closed);
}

#[test]
fn open_breaker_refuses_and_says_when_to_ask_again() {
    let mut breaker = breaker();
    let opened = open(&mut breaker, Duration::ZERO);
    let refused = breaker.admit(opened + SECOND, Need::LastResort).expect_err("open");
    assert!(refused.retry_after > SECOND * 3 && refused.retry_after <= SECOND * 4, "{refused:?}");
}

#[test]
fn half_open_breaker_admits_one_probe_at_a_time() {
    let mut breaker = breaker();
    let opened = open(&mut breaker, Duration::ZERO);
    let now = opened + SECOND * 5;
    assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    let probe = breaker.admit(now, Need::Usual).expect("the first probe");
    for _ in 0..50 {
        assert!(breaker.admit(now, Need::LastResort).is_err());
    }
    breaker.end(now + MS, probe, Ended::Good);
    assert!(breaker.admit(now + MS, Need::LastResort).is_ok());
}

#[test]
fn probes_are_a_small_share_of_calls() {
    let rules = BreakerRules { probes_to_close: u32::MAX, ..BreakerRules::default() };
    let mut breaker = Breaker::new(rules);
    let start = open(&mut breaker, Duration::ZERO) + SECOND * 5;
    let mut admitted = 0;
    for index in 0..1000 {
        let now = start + MS * 25 * index;
        if let Ok(ticket) = breaker.admit(now, Need::Usual) {
            admitted += 1;
            breaker.end(now + MS * 20, ticket, Ended::Good);
        }
    }
    assert!((90..=110).contains(&admitted), "{admitted}");
}

#[test]
fn rare_calls_probe_all_the_same() {
    let mut breaker = breaker();
    let start = open(&mut breaker, Duration::ZERO) + SECOND * 5;
    for index in 0..3 {
        call(&mut breaker, start + SECOND * 6 * index, MS * 20, Ended::Good);
    }
    assert_eq!(breaker.state(start + SECOND * 20), BreakerState::Closed);
}

#[test]
fn each_failed_probe_doubles_the_open_time_up_to_a_minute() {
    let mut breaker = breaker();
    let mut now = open(&mut breaker, Duration::ZERO);
    for expected in [5, 10, 20, 40, 60, 60] {
        let refused = breaker.admit(now, Need::Usual).expect_err("open");
        assert!(refused.retry_after.abs_diff(SECOND * expected) < MS * 10, "{refused:?}, not {expected} s");
        now += SECOND * expected;
        call(&mut breaker, now, MS, Ended::Failed);
        now += MS;
    }
}

#[test]
fn a_probe_that_is_swallowed_opens_it_before_the_timeout() {
    let mut breaker = breaker();
    let start = open(&mut breaker, Duration::ZERO) + SECOND * 5;
    begin(&mut breaker, start).expect("a probe");
    assert_eq!(breaker.state(start + MS * 1600), BreakerState::Open);
}

#[test]
fn what_began_before_it_opened_does_not_judge_the_probes() {
    let mut breaker = breaker();
    let early = breaker.admit(Duration::ZERO, Need::Usual).expect("closed");
    let start = open(&mut breaker, MS) + SECOND * 5;
    assert_eq!(breaker.state(start), BreakerState::HalfOpen);
    breaker.end(start + MS, early, Ended::Failed);
    assert_eq!(breaker.state(start + MS), BreakerState::HalfOpen);
}

#[test]
fn a_withdrawn_probe_leaves_its_place_to_the_next_call() {
    let mut breaker = breaker();
    let start = open(&mut breaker, Duration::ZERO) + SECOND * 5;
    let probe = breaker.admit(start, Need::Usual).expect("a probe");
    breaker.withdraw(probe);
    assert!(breaker.admit(start, Need::Usual).is_ok());
}

#[test]
fn old_outcomes_are_forgotten() {
    let mut breaker = breaker();
    for index in 0..4 {
        call(&mut breaker, MS * index, MS, Ended::Failed);
    }
    call(&mut breaker, SECOND * 90, MS, Ended::Failed);
    assert_eq!(breaker.state(SECOND * 91), BreakerState::Closed);
}

mod property {
    use proptest::prelude::*;

    use super::*;
    use crate::types::property::config;

    proptest! {
        #![proptest_config(config(128))]

        #[test]
        fn in_any_history_open_refuses_and_half_open_has_one_probe(
            steps in proptest::collection::vec((0_u64..3000, 0_u8..6, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut breaker = breaker();
            let (mut now, mut out) = (Duration::ZERO, Vec::new());
            for (wait, kind, pick) in steps {
                now += MS * u32::try_from(wait).expect("small");
                let before = breaker.state(now);
                if kind < 3 {
                    let need = if kind == 0 { Need::LastResort } else { Need::Usual };
                    let probes = out.iter().filter(|(_, phase)| *phase == BreakerState::HalfOpen).count();
                    if let Ok(ticket) = breaker.admit(now, need) {
                        prop_assert_ne!(before, BreakerState::Open);
                        prop_assert!(before == BreakerState::Closed || probes == 0);
                        if pick.index(3) > 0 {
                            breaker.begin(now, ticket);
                        }
                        out.push((ticket, before));
                    }
                } else if !out.is_empty() {
                    let (ticket, _) = out.swap_remove(pick.index(out.len()));
                    breaker.end(now, ticket, [Ended::Good, Ended::Failed, Ended::Neutral][usize::from(kind - 3)]);
                }
                if breaker.state(now) != BreakerState::HalfOpen {
                    for (_, phase) in &mut out {
                        *phase = BreakerState::Closed;
                    }
                }
            }
        }

        #[test]
        fn any_usual_latency_below_a_quarter_second_is_cut_off_in_time(latency in 1_u32..250, every in 20_u32..90) {
            let mut breaker = breaker();
            for index in 0..100 {
                call(&mut breaker, MS * every * index, MS * latency, Ended::Good);
            }
            let (_, took) = black_hole(&mut breaker, MS * every * 101, MS * every);
            prop_assert!(took < SECOND * 2, "{:?}", took);
        }
    }
}
