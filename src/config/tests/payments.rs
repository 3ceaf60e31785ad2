//! Payments: choice, webhooks, and weights that come from a flag.

use super::{Setup, errors};
use crate::clock::Timestamp;
use crate::payments::{Capacity, Scheme};
use crate::snapshot::AuthMode;

/// A payments section with these keys of its own and of its one provider, on line 7.
fn payments(own: &str, provider: &str) -> String {
    format!(
        "payments:
  path: /pay
  auth: none
  ledger: {{embedded: p.db}}
  {own}
  providers:
    - {{name: alpha, adapter: canonical, base_url: \"http://a:1\", weight: 1{provider}}}
"
    )
}

#[test]
fn maintenance_windows_have_a_cron_a_zone_and_an_end() {
    let setup = Setup::new(&payments("", ", maintenance: [{cron: \"0 2 * * SUN\", zone: Asia/Seoul, for: 2h}]"));
    let snapshot = setup.snapshot();
    let provider = &snapshot.payments.as_ref().expect("payments").providers[0];
    let sunday = Timestamp::parse("2026-11-21T18:59:59Z").expect("a moment");
    assert!(provider.maintenance[0].open_at(sunday).is_some());
    for (window, place, part) in [
        ("{cron: \"0 25 * * *\", zone: UTC, for: 2h}", "cron", "\"0 25 * * *\": character 3, hour: \"25\" is none of"),
        ("{cron: \"0 2 * *\", zone: UTC, for: 2h}", "cron", "it has 4 fields instead of five"),
        ("{cron: \"0 0 31 2 *\", zone: UTC, for: 2h}", "cron", "never comes"),
        ("{cron: \"0 2 * * *\", zone: Asia/Soul, for: 2h}", "zone", "\"Asia/Soul\" is no time zone"),
        ("{cron: \"0 2 * * *\", zone: UTC, for: 24h}", "for", "\"24h\" is so long that one window ends no sooner"),
        ("{cron: \"* * * * *\", zone: UTC, for: 1m}", "for", "would take no payment ever"),
        ("{cron: \"0 2 * * *\", zone: UTC, for: 1s}", "for", "\"1s\" is out of range"),
    ] {
        let text = payments("", &format!(", maintenance: [{window}]"));
        let key = if place == "for" { "for: " } else { &format!("{place}: ") };
        let column = text.lines().nth(6).expect("the provider").find(key).expect("the key") + key.len() + 1;
        errors(&text, &[(&format!("7:{column} payments.providers[0].maintenance[0].{place}"), part)]);
    }
}

#[test]
fn capacity_and_demotion_have_ranges() {
    let setup = Setup::new(&payments("demote: {}", ", capacity: {per_second: 50, in_flight: 20}"));
    let snapshot = setup.snapshot();
    let settings = snapshot.payments.as_ref().expect("payments");
    assert_eq!(settings.providers[0].capacity, Capacity { per_second: Some(50), in_flight: Some(20) });
    let demote = settings.demote.expect("demotion");
    assert_eq!((demote.window.as_secs(), demote.min_samples), (600, 100));
    assert!((demote.below - 0.9).abs() < 1e-9 && (demote.explore - 0.1).abs() < 1e-9);
    assert!(Setup::new(&payments("", "")).snapshot().payments.as_ref().expect("payments").demote.is_none());
    errors(
        &payments("demote: {explore: 0, below: 0, window: 7h}", ", capacity: {per_second: 0}"),
        &[
            ("5:21 payments.demote.explore", "\"0\" would never give the provider a chance again"),
            ("5:31 payments.demote.below", "\"0\" would never demote anybody"),
            ("5:42 payments.demote.window", "\"7h\" is out of range; write a value from 1m to 6h"),
            ("7:99 payments.providers[0].capacity.per_second", "\"0\" is out of range"),
        ],
    );
}

#[test]
fn a_webhook_has_a_scheme_secrets_and_a_route_without_tokens() {
    let setup = Setup::new(&payments("", ", webhook: {scheme: stripe, secrets: [{env: PORT}, {file: s/new}]}"))
        .file("config/s/new", "whsec_new\n");
    let snapshot = setup.snapshot();
    let webhook = snapshot.payments.as_ref().expect("payments").providers[0].webhook.clone().expect("a webhook");
    assert!(matches!(&webhook.scheme, Scheme::Stripe { header } if header.as_str() == "stripe-signature"));
    assert_eq!((webhook.secrets.len(), webhook.references.len()), (2, 4));
    let route = |path: &str, method: &str| match snapshot.table.lookup("", path, method) {
        crate::routing::Lookup::Found { route, .. } => &snapshot.routes[route],
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(route("/pay/webhooks/alpha", "POST").policy.terms.auth, AuthMode::None);
    assert_eq!(route("/pay/webhooks/alpha", "POST").name.as_str(), "payment-webhooks");
    assert_eq!(route("/pay/webhooks/alpha", "GET").name.as_str(), "payments");
    assert_eq!(route("/pay/webhooks", "POST").name.as_str(), "payments");
    let without = Setup::new(&payments("", "")).snapshot();
    assert!(without.routes.iter().all(|route| route.name.as_str() != "payment-webhooks"));
}

#[test]
fn a_webhooks_route_needs_no_token_where_payments_need_one() {
    let text = payments("", ", webhook: {scheme: toss, secrets: [{env: PORT}]}")
        .replace("auth: none", "auth: required")
        + "auth: {issuers: [{issuer: \"i\", audiences: [a], jwks: {url: \"https://keys.example\"}}]}\n";
    let snapshot = Setup::new(&text).snapshot();
    let auth: Vec<_> = snapshot
        .routes
        .iter()
        .filter(|route| route.path.starts_with("/pay"))
        .map(|route| route.policy.terms.auth)
        .collect();
    assert_eq!(auth, [AuthMode::Required, AuthMode::Required, AuthMode::None]);
}

#[test]
fn what_is_wrong_with_a_webhook_is_said_where_it_stands() {
    for (webhook, path, part) in [
        ("{scheme: paypal, secrets: [{env: PORT}]}", ".scheme", "\"paypal\" is not one of stripe, hmac, toss"),
        ("{scheme: stripe, secrets: []}", ".secrets", "write at least 1"),
        ("{scheme: stripe, secrets: [{env: NOT_THERE}]}", ".secrets[0].env", "\"NOT_THERE\" is not set"),
        ("{scheme: stripe, secrets: [{env: \"a b\"}]}", ".secrets[0].env", "\"a b\" is no environment variable's name"),
        ("{scheme: stripe, secrets: [{file: none}]}", ".secrets[0].file", "\"none\" can't be read"),
        ("{scheme: hmac, secrets: [{env: PORT}]}", "", "key \"header\" is missing"),
        ("{scheme: stripe, secrets: [{env: PORT}], event_id: id}", ".event_id", "\"id\" does not begin with a slash"),
        ("{scheme: stripe, secrets: [{env: PORT}], prefix: x}", ".prefix", "does not belong to this kind"),
    ] {
        let loaded = Setup::new(&payments("", &format!(", webhook: {webhook}"))).load();
        // The first one is about `auth: none`.
        let [_, one] = loaded.diagnostics.as_slice() else { panic!("{webhook}: {:#?}", loaded.diagnostics) };
        assert_eq!(one.path, format!("payments.providers[0].webhook{path}"), "{}", one.message);
        assert!(one.message.contains(part), "{}", one.message);
    }
}

const TWO: &str = "payments:
  path: /pay
  auth: none
  ledger: {embedded: p.db}
  weights: shares
  providers:
    - {name: alpha, adapter: canonical, base_url: \"http://a:1\"}
    - {name: beta, adapter: canonical, base_url: \"http://b:1\"}
flags: {dir: ../flags}
";

fn with_flag(flag: &str) -> Setup {
    Setup::new(TWO).file("flags/p.yaml", flag)
}

fn weights(flag: &str) -> Vec<u32> {
    let snapshot = with_flag(flag).snapshot();
    snapshot.payments.as_ref().expect("payments").providers.iter().map(|provider| provider.weight).collect()
}

#[test]
fn the_weights_of_a_flag_are_the_providers() {
    assert_eq!(weights("shares: {kind: split, variants: {beta: 30, alpha: 70}}\n"), [70, 30]);
    assert_eq!(weights("shares: {kind: split, variants: {alpha: 0, beta: 5}}\n"), [0, 5]);
    assert_eq!(weights("shares: {kind: split, variants: {beta: 30, alpha: 70}, killed: true}\n"), [0, 1]);
}

#[test]
fn a_flag_that_does_not_fit_the_providers_is_an_error_that_names_both_files() {
    let place = "5:12 payments.weights";
    for (flag, parts) in [
        ("shares: {kind: split, variants: {alpha: 1}}\n", &["no variant for the provider \"beta\""][..]),
        (
            "shares: {kind: split, variants: {alpha: 1, beta: 1, gamma: 1}}\n",
            &["the variant \"gamma\", which is no provider here; there are alpha, beta"],
        ),
        ("shares: {kind: split, variants: {a: 1}}\n", &["\"alpha\"", "\"beta\"", "the variant \"a\""]),
        ("shares: {kind: switch, state: on}\n", &["is a switch; weights need one of kind split"]),
        (
            "shares: {kind: split, variants: {alpha: 1, beta: 1}, rules: [{when: {claim.a: b}, serve: beta}]}\n",
            &["has rules, and payments follow none"],
        ),
        ("share: {kind: switch, state: on}\n", &["there is no flag \"shares\""]),
    ] {
        let expected: Vec<_> = parts.iter().map(|part| (place, *part)).collect();
        with_flag(flag).errors(&expected);
        let loaded = with_flag(flag).load();
        let both = |one: &crate::snapshot::Diagnostic| {
            one.file.ends_with("gateway.yaml") && (one.message.contains("p.yaml") || flag.starts_with("share:"))
        };
        assert!(loaded.diagnostics.iter().skip(1).all(both), "{:#?}", loaded.diagnostics);
    }
    // A flag that is wrong by itself is reported once, in its own file.
    with_flag("shares: {kind: split, variants: {alpha: 0, beta: 0}}\n").errors(&[("1:33 shares.variants", "")]);
}

#[test]
fn weights_stand_in_one_place() {
    let flag = "shares: {kind: split, variants: {alpha: 1, beta: 1}}\n";
    let text = TWO.replace("a:1\"}", "a:1\", weight: 3}");
    let setup = Setup::new(&text).file("flags/p.yaml", flag);
    let loaded = setup.load();
    let [_, warning] = loaded.diagnostics.as_slice() else { panic!("{:#?}", loaded.diagnostics) };
    assert_eq!((warning.line, warning.path.as_str()), (7, "payments.providers[0].weight"));
    assert!(
        warning.message.contains("\"3\" has no effect: the flag \"shares\" has the weights"),
        "{}",
        warning.message
    );
    errors(
        &TWO.replace("  weights: shares\n", "").replace("flags: {dir: ../flags}\n", ""),
        &[
            ("6:7 payments.providers[0]", "key \"weight\" is missing"),
            ("7:7 payments.providers[1]", "key \"weight\" is missing"),
        ],
    );
}
