//! Payments beside everything else: what their trouble does to the rest, and what is counted.

use crate::support::{FakeBackend, TestGateway, eventually};

fn gateway(backend: &FakeBackend, ledger: &str) -> TestGateway {
    let refusing = crate::support::refusing_port();
    let payments = format!(
        "  path: /pay\n  auth: none\n  ledger: {{embedded: {ledger}}}\n  providers:\n    \
         - {{name: alpha, adapter: canonical, base_url: \"http://{refusing}\", weight: 1}}"
    );
    TestGateway::builder().section("payments", payments).backend("backend", backend).open_route("backend").start()
}

fn pay(gateway: &TestGateway, key: &str) -> crate::support::Response {
    let body = r#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_1"}"#;
    gateway.exchange(format!(
        "POST /pay HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nIdempotency-Key: {key}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn ledger_that_cannot_be_opened_stops_payments_and_nothing_else() {
    let backend = FakeBackend::echoing();
    let gateway = gateway(&backend, "no/such/folder/payments.db");
    let refused = pay(&gateway, "k-1");
    assert_eq!((refused.status, refused.get("x-figway-error")), (503, Some("payments-unavailable")));
    assert!(refused.get("retry-after").is_some() && refused.text().contains("ledger"), "{}", refused.text());
    assert_eq!(gateway.get("/x", "").status, 200);
    let told = gateway.admin_get("/admin/v1/payments");
    assert_eq!(told.status, 503);
    assert!(told.text().contains("no/such/folder/payments.db"), "{}", told.text());
    let page = gateway.admin_get("/").text();
    assert!(page.contains("Refused:") && !page.contains("Taken at"), "{page}");
    assert_eq!(gateway.metric("figway_payment_ledger_failures_total"), 1.0);
    assert!(gateway.log().contains("PAYMENTS ARE REFUSED"));
}

#[test]
fn a_ledger_that_opens_late_takes_payments_from_then_on() {
    let backend = FakeBackend::echoing();
    let gateway = gateway(&backend, "volume/payments.db");
    assert_eq!(gateway.admin_get("/admin/v1/payments").status, 503);
    std::fs::create_dir(gateway.path("volume")).expect("mounted");
    eventually("the ledger is open", || gateway.admin_get("/admin/v1/payments").status == 200);
    let refused = pay(&gateway, "k-1");
    assert!(refused.text().contains("no payment provider is available"), "{}", refused.text());
    assert!(gateway.log().contains("payments are taken from now on"));
}

#[test]
fn a_webhook_may_be_larger_than_a_request_of_the_client_api() {
    let (backend, refusing) = (FakeBackend::echoing(), crate::support::refusing_port());
    let payments = format!(
        "  path: /pay\n  auth: none\n  ledger: {{embedded: payments.db}}\n  providers:\n    \
         - {{name: alpha, adapter: canonical, base_url: \"http://{refusing}\", weight: 1,\n       \
         webhook: {{scheme: hmac, header: x-signature, secrets: [{{file: secret}}]}}}}"
    );
    let gateway = TestGateway::builder()
        .file("secret", "s3cret-of-the-webhook")
        .section("payments", payments)
        .backend("backend", &backend)
        .open_route("backend")
        .start();
    let post = |path: &str, length: usize| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nX-Signature: 00\r\nContent-Length: {length}\r\n\r\n");
        gateway.exchange(head + &" ".repeat(length)).status
    };
    assert_eq!(post("/pay/webhooks/alpha", 100_000), 401, "judged by its signature, not by its size");
    assert_eq!(post("/pay/webhooks/alpha", 300_000), 413);
    assert_eq!(post("/pay", 100_000), 413);
}

#[test]
fn what_providers_do_is_counted_and_can_be_listed() {
    let backend = FakeBackend::echoing();
    let gateway = gateway(&backend, "payments.db");
    for number in 0..3 {
        assert_eq!(pay(&gateway, &format!("k-{number}")).status, 503, "the only provider refuses connections");
    }
    for (metric, expected) in [
        (r#"figway_payment_attempts_total{outcome="not_processed",provider="alpha"}"#, "3"),
        (r#"figway_payments_total{outcome="not_processed",provider="-"}"#, "3"),
        (r#"figway_payment_attempt_duration_seconds_count{provider="alpha"}"#, "3"),
        ("figway_payment_overhead_duration_seconds_count", "3"),
        (r#"figway_payment_breaker_open_ratio{provider="alpha"}"#, "0"),
    ] {
        let text = gateway.admin_get("/metrics").text();
        assert!(text.lines().any(|line| line == format!("{metric} {expected}")), "{metric} in {text}");
    }
    let listed = gateway.admin_get("/admin/v1/payments?status=not_processed");
    assert_eq!((listed.status, listed.text().matches("\"order_id\"").count()), (200, 3), "{}", listed.text());
    assert_eq!(gateway.admin_get("/admin/v1/payments?status=succeeded").text().matches("order_id").count(), 0);
    let nonsense = gateway.admin_get("/admin/v1/payments?status=lost");
    assert_eq!((nonsense.status, nonsense.get("x-figway-error")), (400, Some("invalid-request")));
}

#[test]
fn a_card_number_in_the_path_is_not_logged() {
    let backend = FakeBackend::echoing();
    let gateway = gateway(&backend, "payments.db");
    for (target, status) in [
        ("/pay/4242424242424242", 404),
        ("/pay/4242-4242-4242-4242/refund", 404),
        ("/pay/%34242424242424242", 404),
        ("/pay/4242424242424242%2Frefund", 400),
        ("/pay%2F4242424242424242", 400),
    ] {
        let answer = gateway.get(target, "");
        assert_eq!(answer.status, status, "{target}");
        assert!(!answer.text().contains("4242424242"), "{}", answer.text());
    }
    assert_eq!(gateway.get("/payroll/5105105105105100", "").status, 200);
    eventually("the log is written", || gateway.log().contains("/payroll/5105105105105100"));
    let log = gateway.log();
    assert!(log.contains("\"/pay/****************\""), "{log}");
    assert!(!log.contains("4242424242") && !log.contains("4242-4242"), "{log}");
}
