use super::*;
use crate::payments::capacity::Capacity;
use crate::payments::verdict::Doubt;

fn succeeded() -> Verdict {
    Verdict::Succeeded { provider_ref: "ch_1".into(), refunded: None }
}

fn declined() -> Verdict {
    Verdict::Declined { code: "card_declined".into(), provider_ref: None, soft: false }
}

const TIMED_OUT: Verdict = Verdict::Unknown { doubt: Doubt::Timeout };
const FULL: Verdict = Verdict::NotProcessed { proof: Proof::Full };

fn charge(health: &Arc<Health>, provider: &Provider, verdict: &Verdict, retry_after: Option<Duration>) {
    let mut permit = health.admit(provider, Need::Usual).expect("admitted");
    permit.begin();
    permit.end(verdict, retry_after);
}

fn state(health: &Arc<Health>) -> BreakerState {
    health.states()[0].1
}

#[tokio::test(start_paused = true)]
async fn declines_and_full_providers_open_no_breaker_and_doubts_do() {
    let (health, alpha) = (Arc::new(Health::default()), Provider::sample("alpha", 1));
    for _ in 0..50 {
        charge(&health, &alpha, &declined(), None);
        charge(&health, &alpha, &FULL, None);
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert_eq!(state(&health), BreakerState::Closed);
    let mut charges = 0;
    while state(&health) == BreakerState::Closed {
        charge(&health, &alpha, &TIMED_OUT, None);
        charges += 1;
    }
    assert!(charges <= 20, "{charges}");
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_is_left_alone_for_as_long_as_it_asks() {
    let (health, alpha) = (Arc::new(Health::default()), Provider::sample("alpha", 1));
    charge(&health, &alpha, &FULL, Some(Duration::from_secs(7)));
    let refused = health.admit(&alpha, Need::LastResort).expect_err("full");
    assert_eq!(refused, Refused::Full(Duration::from_secs(7)));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert!(health.admit(&alpha, Need::Usual).is_ok());
}

#[tokio::test(start_paused = true)]
async fn follow_ups_use_capacity_and_are_never_held_back() {
    let health = Arc::new(Health::default());
    let capacity = Capacity { per_second: Some(2), in_flight: None };
    let alpha = Provider { capacity, ..Provider::sample("alpha", 1) };
    for _ in 0..5 {
        let mut permit = health.attend(&alpha, Operation::Lookup);
        permit.begin();
        permit.end(&succeeded(), None);
    }
    assert!(matches!(health.admit(&alpha, Need::Usual), Err(Refused::Full(_))));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(health.admit(&alpha, Need::Usual).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_unused_leaves_no_trace() {
    let health = Arc::new(Health::default());
    let capacity = Capacity { per_second: Some(1), in_flight: Some(1) };
    let alpha = Provider { capacity, ..Provider::sample("alpha", 1) };
    for _ in 0..5 {
        drop(health.admit(&alpha, Need::Usual).expect("room"));
    }
    // One that was cut off did happen: the second is used up, the place is free.
    let mut permit = health.admit(&alpha, Need::Usual).expect("room");
    permit.begin();
    drop(permit);
    assert!(health.admit(&alpha, Need::Usual).is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(health.admit(&alpha, Need::Usual).is_ok());
}

/// Opens the breaker and waits until it probes.
async fn half_open(health: &Arc<Health>, provider: &Provider) {
    for _ in 0..5 {
        charge(health, provider, &TIMED_OUT, None);
    }
    assert_eq!(state(health), BreakerState::Open);
    tokio::time::advance(BreakerRules::default().open_first).await;
    assert_eq!(state(health), BreakerState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn half_open_probes_with_a_small_share_of_real_payments_and_closes() {
    let (health, alpha) = (Arc::new(Health::default()), Provider::sample("alpha", 1));
    half_open(&health, &alpha).await;
    let (mut asked, mut let_through) = (0, 0);
    while state(&health) != BreakerState::Closed {
        asked += 1;
        if let Ok(mut permit) = health.admit(&alpha, Need::Usual) {
            let_through += 1;
            permit.begin();
            permit.end(&succeeded(), None);
        }
    }
    assert_eq!((asked, let_through), (21, 3));
}

#[tokio::test(start_paused = true)]
async fn where_the_customer_prepares_confirmations_are_the_probes() {
    let (health, toss) = (Arc::new(Health::default()), Provider::sample("toss", 1));
    half_open(&health, &toss).await;
    let prepares = (0..10).filter(|_| match health.admit(&toss, Need::Usual) {
        Ok(permit) => {
            permit.end_without_call();
            true
        }
        Err(_) => false,
    });
    assert_eq!(prepares.count(), 1, "the share stays small without calls");
    for _ in 0..3 {
        let mut permit = health.attend(&toss, Operation::Confirm);
        permit.begin();
        permit.end(&succeeded(), None);
    }
    assert_eq!(state(&health), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_uses_up_no_probe() {
    let health = Arc::new(Health::default());
    let capacity = Capacity { per_second: Some(5), in_flight: None };
    let alpha = Provider { capacity, ..Provider::sample("alpha", 1) };
    half_open(&health, &alpha).await;
    for _ in 0..5 {
        drop(health.attend(&alpha, Operation::Lookup).begun());
    }
    assert!(matches!(health.admit(&alpha, Need::Usual), Err(Refused::Full(_))));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(health.admit(&alpha, Need::Usual).is_ok(), "the first one asked is the probe");
}

impl Permit {
    fn begun(mut self) -> Self {
        self.begin();
        self
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_succeeds_clearly_less_often_is_demoted_until_the_window_has_passed() {
    let health = Arc::new(Health::default());
    let mut settings = Settings::sample(vec![Provider::sample("alpha", 1), Provider::sample("beta", 1)]);
    let [alpha, beta] = [0, 1].map(|place| Arc::clone(&settings.providers[place]));
    for number in 0..200 {
        charge(&health, &alpha, &if number % 2 == 0 { succeeded() } else { declined() }, None);
        charge(&health, &beta, &succeeded(), None);
        // Neither doubts nor prepares nor looks settle anything.
        let prepared = Verdict::Prepared { provider_ref: None, next_action: [].into() };
        charge(&health, &beta, &prepared, None);
        health.attend(&beta, Operation::Lookup).end(&declined(), None);
    }
    assert_eq!(health.factors(&settings), [1.0, 1.0], "off unless configured");
    let window = Duration::from_secs(600);
    settings.demote = Some(Demotion { window, min_samples: 50, below: 0.9, explore: 0.2 });
    assert_eq!(health.factors(&settings), [0.2, 1.0]);
    assert_eq!(health.demotions(), [("alpha".into(), 0.2)]);
    assert_eq!(health.demotions(), []);
    let standings = health.standings(&settings);
    assert_eq!(standings[0].tally, Tally { succeeded: 100, settled: 200 });
    assert!((standings[0].factor - 0.2).abs() < f64::EPSILON);
    tokio::time::advance(window + Duration::from_secs(10)).await;
    assert_eq!(health.factors(&settings), [1.0, 1.0]);
    assert_eq!(health.demotions(), [("alpha".into(), 1.0)]);
}
