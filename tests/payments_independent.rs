//! The real gateway with its shipped adapters, against providers that others wrote, through a proxy that spoils exchanges.
//!
//! Their lists are the judge: at most one capture of a payment that was not given back, and exactly one where the client
//! was told so. `make independent` installs `localstripe` (which ignores idempotency keys, so that a request sent twice is
//! a charge made twice), `stripe-stateful-mock` and the Stripe library; without them these tests say so and do nothing.

#[path = "support/faulty_proxy.rs"]
mod faulty_proxy;
#[path = "payments_independent/shop.rs"]
mod shop;
#[path = "payments_independent/simulators.rs"]
mod simulators;
#[expect(dead_code, unused_imports, reason = "the black-box tests' support: this binary needs a part of it")]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use faulty_proxy::FaultyProxy;
use shop::Shop;
use simulators::{Simulator, WEBHOOK_SECRET};

/// Customers of one run; each pays once.
const CUSTOMERS: usize = 24;
/// What the proxies do late comes after the gateway's response timeout and within its `quiesce`.
const PAUSE: Duration = Duration::from_millis(900);

/// Pays through two faulty proxies, waits until everything is settled, and compares the lists with what clients heard.
fn nobody_pays_twice(start: fn() -> Option<Simulator>, adapter: &str, seed: u64) {
    let (Some(alpha), Some(beta)) = (start(), start()) else { return };
    let proxies = [&alpha, &beta].map(|simulator| FaultyProxy::before(simulator.address(), seed, 30, PAUSE));
    let shop = Shop::open(adapter, [proxies[0].address, proxies[1].address]);
    let tokens = [alpha.token(), beta.token()];
    assert_eq!(tokens[0], tokens[1], "one token is good at both providers");
    let told = shop.serve(CUSTOMERS, &tokens[0]);
    for proxy in &proxies {
        proxy.heal();
    }
    let settled = shop.settle(told);

    let mut captured: BTreeMap<String, usize> = BTreeMap::new();
    for simulator in [&alpha, &beta] {
        for order in simulator.captured_orders() {
            *captured.entry(order).or_default() += 1;
        }
    }
    let mut succeeded = 0;
    for (order, status) in &settled {
        let count = captured.get(order).copied().unwrap_or(0);
        assert!(count <= 1, "{order} is charged {count} times; the client was told {status}");
        let expected = usize::from(status == "succeeded");
        assert_eq!(count, expected, "{order} is told as {status}");
        succeeded += expected;
    }
    assert_eq!(captured.len(), succeeded, "every capture belongs to a payment: {captured:?}");
    assert!(succeeded > CUSTOMERS / 2, "only {succeeded} of {CUSTOMERS} paid: {settled:?}");
}

#[test]
fn nobody_pays_twice_at_a_provider_that_ignores_idempotency_keys() {
    for seed in 1..=2 {
        nobody_pays_twice(Simulator::localstripe, "stripe-like.yaml", seed);
    }
}

#[test]
fn nobody_pays_twice_at_a_provider_of_charges() {
    for seed in 1..=2 {
        nobody_pays_twice(Simulator::stripe_stateful_mock, "stripe-like-charges.yaml", seed);
    }
}

#[test]
fn webhooks_that_localstripe_signs_are_hints_and_with_another_secret_are_refused() {
    let (Some(alpha), Some(beta)) = (Simulator::localstripe(), Simulator::localstripe()) else { return };
    let shop = Shop::open("stripe-like.yaml", [alpha.address(), beta.address()]);
    alpha.tell(shop.gateway.address, "/pay/webhooks/alpha", WEBHOOK_SECRET);
    beta.tell(shop.gateway.address, "/pay/webhooks/beta", "whsec_of_a_stranger");
    let told = shop.serve(8, &alpha.token());
    let settled = shop.settle(told);
    assert!(settled.iter().all(|(_, status)| status == "succeeded"), "{settled:?}");
    for (provider, outcome) in [(&alpha, "hint"), (&beta, "rejected")] {
        let name = if outcome == "hint" { "alpha" } else { "beta" };
        let series = format!(r#"figway_payment_webhooks_total{{outcome="{outcome}",provider="{name}"}}"#);
        let expected = provider.captured_orders().len();
        assert!(expected > 0, "both providers had payments");
        support::eventually(&series, || {
            let metrics = shop.gateway.admin_get("/metrics").text();
            metrics.lines().any(|line| line == format!("{series} {expected}"))
        });
    }
}

#[test]
fn a_webhook_signed_by_stripes_own_library_is_accepted_and_a_changed_one_is_not() {
    let now = support::unix_now();
    let payload = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_unknown"}}}"#;
    let Some(signature) = simulators::stripe_signature(now, payload) else { return };
    let nobody = support::refusing_port();
    let shop = Shop::open("stripe-like.yaml", [nobody, nobody]);
    let deliver = |payload: &str, signature: &str| {
        let length = payload.len();
        let answer = shop.gateway.exchange(format!(
            "POST /pay/webhooks/alpha HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n\
             Stripe-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{payload}"
        ));
        answer.status
    };
    assert_eq!(deliver(payload, &signature), 200);
    assert!(matches!(deliver(&payload.replace("succeeded", "failed"), &signature), 400..=403));
}
