use std::collections::VecDeque;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::clock::{Cron, Zone};
use crate::payments::capacity::Capacity;
use crate::payments::maintenance::Maintenance;
use crate::payments::record::Operation;
use crate::payments::rehearsal::Talk;
use crate::payments::verdict::{Doubt, Verdict};
use crate::resilience::BreakerState;

const NOW: Timestamp = Timestamp(1_795_291_200_000);

fn euro() -> Currency {
    Currency::parse("EUR").expect("listed")
}

fn payment(number: u32) -> PaymentId {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    PaymentId::new(Timestamp(0), random)
}

fn wanted(payment: &PaymentId) -> Wanted<'_> {
    Wanted { payment, currency: euro(), method: "card", capture: true, tried: &[] }
}

fn first(settings: &Settings, factors: &[f64], number: u32) -> String {
    let payment = payment(number);
    rank(settings, factors, &wanted(&payment), NOW).candidates[0].name.as_str().to_owned()
}

fn reasons(passed_over: &[PassedOver]) -> Vec<(&str, Why)> {
    passed_over.iter().map(|one| (one.provider.as_str(), one.why)).collect()
}

#[test]
fn payments_are_shared_by_weight_and_factor() {
    let settings = Settings::sample(vec![Provider::sample("alpha", 70), Provider::sample("beta", 30)]);
    for (factors, expected) in [(&[][..], 3500), (&[0.1, 1.0], 946)] {
        let alpha = (0..5000).filter(|number| first(&settings, factors, *number) == "alpha").count();
        assert!(alpha.abs_diff(expected) <= 150, "{alpha} of 5000, expected about {expected}");
    }
}

#[test]
fn each_provider_that_is_left_out_has_its_reason() {
    let beginning = Cron::parse("0 0 * * *").expect("cron");
    let daily = Maintenance::new(beginning, Zone::named("UTC").expect("a zone"), Duration::from_secs(86_400));
    let settings = Settings::sample(vec![
        Provider { currencies: vec![Currency::parse("KRW").expect("listed")], ..Provider::sample("won", 1) },
        Provider { methods: vec!["transfer".into()], ..Provider::sample("transfers", 1) },
        Provider::sample("drained", 0),
        Provider { maintenance: vec![daily], ..Provider::sample("away", 1) },
        Provider::sample("tried", 1),
        Provider::sample("takes", 1),
    ]);
    let payment = payment(1);
    let tried = ["tried".into()];
    let ranking = rank(&settings, &[], &Wanted { tried: &tried, ..wanted(&payment) }, NOW);
    let midnight = Timestamp::parse("2026-11-22T00:00:00Z").expect("a moment");
    assert_eq!(
        reasons(&ranking.passed_over),
        [
            ("won", Why::Currency),
            ("transfers", Why::Method),
            ("drained", Why::Drained),
            ("away", Why::Maintenance(midnight)),
            ("tried", Why::Tried),
        ]
    );
    assert_eq!(ranking.candidates.len(), 1);
    let one_step = Talk::everything().without(&[Operation::Prepare]);
    let settings = Settings::sample(vec![Provider { adapter: Arc::new(one_step), ..Provider::sample("one-step", 1) }]);
    let two_steps = rank(&settings, &[], &Wanted { capture: false, ..wanted(&payment) }, NOW);
    assert!(two_steps.candidates.is_empty());
    assert_eq!(reasons(&two_steps.passed_over), [("one-step", Why::Steps)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_gives_way_to_the_next_and_all_full_says_when() {
    let capacity = Capacity { per_second: Some(1), in_flight: None };
    let small = |name| Provider { capacity, ..Provider::sample(name, 1) };
    let other = Provider { methods: vec!["transfer".into()], ..Provider::sample("gamma", 1) };
    let settings = Settings::sample(vec![small("alpha"), other, small("beta")]);
    let health = Arc::new(Health::default());
    let payment = payment(1);
    let mut names = Vec::new();
    let mut chosen = Vec::new();
    for _ in 0..2 {
        let one = choose(&health, &settings, &wanted(&payment), NOW).expect("room");
        names.push(one.provider.name.as_str().to_owned());
        chosen.push(one);
    }
    names.sort();
    assert_eq!(names, ["alpha", "beta"]);
    assert!(matches!(reasons(&chosen[1].passed_over)[..], [.., (_, Why::Full(_))]), "{:?}", chosen[1].passed_over);
    tokio::time::advance(Duration::from_millis(400)).await;
    let nobody = choose(&health, &settings, &wanted(&payment), NOW).expect_err("both are full");
    assert_eq!(nobody.retry_after, Duration::from_millis(600));
    assert!(nobody.takes_it());
    let mut told: Vec<_> = nobody.to_string().split(", ").map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["alpha is at its limit", "beta is at its limit"], "gamma takes no cards");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_ever_takes_is_told_from_what_nobody_takes_now() {
    let other = Provider { methods: vec!["transfer".into()], ..Provider::sample("alpha", 1) };
    let health = Arc::new(Health::default());
    let payment = payment(1);
    let nobody = choose(&health, &Settings::sample(vec![other]), &wanted(&payment), NOW).expect_err("no method");
    assert!(!nobody.takes_it());
    let drained = Settings::sample(vec![Provider::sample("alpha", 0)]);
    assert!(choose(&health, &drained, &wanted(&payment), NOW).expect_err("drained").takes_it());
}

/// Payments at 40 a second for a while; `alpha` swallows them from the tenth second on, `beta` answers.
/// When alpha's breaker opened after that, and how many payments it had swallowed.
async fn black_hole(settings: &Settings) -> (Duration, usize) {
    let health = Arc::new(Health::default());
    let begun = Instant::now();
    let fails_at = begun + Duration::from_secs(10);
    let (mut answered, mut swallowed) = (VecDeque::new(), VecDeque::new());
    let mut lost = 0;
    for number in 0.. {
        let now = begun + Duration::from_millis(25) * number;
        tokio::time::advance(now - Instant::now()).await;
        while answered.front().is_some_and(|(at, _)| *at <= now) {
            let (_, permit): (_, Permit) = answered.pop_front().expect("there is one");
            permit.end(&Verdict::Succeeded { provider_ref: "ch".into(), refunded: None }, None);
        }
        while swallowed.front().is_some_and(|(at, _)| *at <= now) {
            let (_, permit): (_, Permit) = swallowed.pop_front().expect("there is one");
            permit.end(&Verdict::Unknown { doubt: Doubt::Timeout }, None);
        }
        if health.states().iter().any(|(name, state)| name.as_str() == "alpha" && *state == BreakerState::Open) {
            return (now - fails_at, lost);
        }
        let payment = payment(number);
        let Ok(mut chosen) = choose(&health, settings, &wanted(&payment), NOW) else { continue };
        chosen.permit.begin();
        if chosen.provider.name.as_str() == "alpha" && now >= fails_at {
            lost += 1;
            swallowed.push_back((now + chosen.provider.timeouts.response, chosen.permit));
        } else {
            answered.push_back((now + Duration::from_millis(120), chosen.permit));
        }
    }
    unreachable!("payments never end")
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_at_40_a_second_is_noticed_within_2_seconds_and_80_payments() {
    for providers in [
        vec![Provider::sample("alpha", 70), Provider::sample("beta", 30)],
        vec![Provider::sample("alpha", 10), Provider::sample("beta", 90)],
        vec![Provider::sample("alpha", 1)],
    ] {
        let share = providers[0].weight;
        let (after, lost) = black_hole(&Settings::sample(providers)).await;
        // With a tenth of the payments, ten of them take longer than that.
        let limit = if share == 10 { Duration::from_secs(5) } else { Duration::from_secs(2) };
        assert!(after <= limit, "weight {share}: {after:?}");
        assert!(lost <= 80, "weight {share}: {lost} payments");
    }
}

proptest! {
    #![proptest_config(crate::types::property::config(150))]

    #[test]
    fn property_a_change_of_one_weight_moves_only_payments_from_or_to_that_provider(
        weights in prop::collection::vec(1..100_u32, 2..6),
        place in any::<prop::sample::Index>(), other in 0..100_u32, number in any::<u32>(),
    ) {
        let place = place.index(weights.len());
        let providers = |weights: &[u32]| {
            let provider = |(place, weight): (usize, &u32)| Provider::sample(&format!("p{place}"), *weight);
            Settings::sample(weights.iter().enumerate().map(provider).collect())
        };
        let mut changed = weights.clone();
        changed[place] = other;
        let (before, after) = (first(&providers(&weights), &[], number), first(&providers(&changed), &[], number));
        if before != after {
            let name = format!("p{place}");
            prop_assert!(if other > weights[place] { after == name } else { before == name }, "{before} → {after}");
        }
    }

    #[test]
    fn property_a_provider_that_leaves_hands_each_of_its_payments_to_the_next_in_rank(
        weights in prop::collection::vec(1..100_u32, 2..6), gone in any::<prop::sample::Index>(), number in any::<u32>(),
    ) {
        let provider = |(place, weight): (usize, &u32)| Provider::sample(&format!("p{place}"), *weight);
        let all = Settings::sample(weights.iter().enumerate().map(provider).collect());
        let gone = format!("p{}", gone.index(weights.len()));
        let left: Vec<_> = weights.iter().enumerate().map(provider).filter(|one| one.name.as_str() != gone).collect();
        let payment = payment(number);
        let mut expected = rank(&all, &[], &wanted(&payment), NOW).candidates;
        expected.retain(|one| one.name.as_str() != gone);
        let left = Settings::sample(left);
        let ranking = rank(&left, &[], &wanted(&payment), NOW).candidates;
        let names = |ranked: &[&Arc<Provider>]| ranked.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&ranking), names(&expected));
    }
}
