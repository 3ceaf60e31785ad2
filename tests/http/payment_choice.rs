//! Payments through the whole process: weights that a flag has, webhooks without tokens, books compared.

use std::process::{Command, Output};

use aws_lc_rs::hmac;
use serde_json::Value;

use crate::support::{FakeBackend, Response, TestGateway, TokenMint, eventually};

const BODY: &str = r#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_1"}"#;

/// Two providers that refuse connections, behind tokens; alpha sends webhooks.
fn gateway(mint: &TokenMint, backend: &FakeBackend) -> TestGateway {
    let refusing = crate::support::refusing_port();
    let payments = format!(
        "  path: /pay\n  ledger: {{embedded: payments.db}}\n  weights: shares\n  providers:\n    \
         - {{name: alpha, adapter: canonical, base_url: \"http://{refusing}\",\n       \
         webhook: {{scheme: hmac, header: x-signature, secrets: [{{file: old}}, {{file: new}}]}}}}\n    \
         - {{name: beta, adapter: canonical, base_url: \"http://{refusing}\"}}"
    );
    TestGateway::builder()
        .auth(mint)
        .section("payments", payments)
        .file("flags/shares.yaml", "shares:\n  kind: split\n  variants: {alpha: 70, beta: 30}     # by contract\n")
        .file("old", "s3cret-of-last-year\n")
        .file("new", "s3cret-of-this-year\n")
        .backend("backend", backend)
        .open_route("backend")
        .start()
}

fn figway(gateway: &TestGateway, arguments: &[&str]) -> Output {
    let admin = format!("http://{}", gateway.admin);
    let mut command = Command::new(env!("CARGO_BIN_EXE_figway"));
    command.args(arguments).args(["--admin", &admin]).output().expect("the command runs")
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn weights(gateway: &TestGateway) -> Vec<u64> {
    let document: Value =
        serde_json::from_str(&gateway.admin_get("/admin/v1/payments/providers").text()).expect("JSON");
    let providers = document["providers"].as_array().expect("a list").iter();
    providers.map(|one| one["weight"].as_u64().expect("a weight")).collect()
}

fn webhook(gateway: &TestGateway, provider: &str, secret: &str, body: &str) -> Response {
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    gateway.exchange(format!(
        "POST /pay/webhooks/{provider} HTTP/1.1\r\nHost: a\r\nX-Signature: {hex}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn pay(gateway: &TestGateway, token: &str, key: &str) -> Response {
    gateway.exchange(format!(
        "POST /pay HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    ))
}

#[test]
fn weights_change_at_once_from_the_shell_and_from_the_file_and_are_undone() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let gateway = gateway(&mint, &backend);
    assert_eq!(weights(&gateway), [70, 30]);
    let changed = done(&figway(&gateway, &["payments", "weights", "alpha=0", "--reason", "alpha is slow"]));
    assert!(changed.contains("shares"), "{changed}");
    assert_eq!(weights(&gateway), [0, 30]);
    let file = std::fs::read_to_string(gateway.path("flags/shares.yaml")).expect("a file");
    assert!(file.contains("# by contract"), "{file}");
    let shown = done(&figway(&gateway, &["payments", "weights"]));
    assert!(shown.lines().any(|line| line.starts_with("beta") && line.contains("100.0%")), "{shown}");
    done(&figway(&gateway, &["flags", "undo", "shares", "--yes"]));
    assert_eq!(weights(&gateway), [70, 30]);
    gateway.replace("flags/shares.yaml", "shares: {kind: split, variants: {alpha: 1, beta: 2}}\n");
    eventually("the editor's weights hold", || weights(&gateway) == [1, 2]);
    done(&figway(&gateway, &["flags", "kill", "shares"]));
    assert_eq!(weights(&gateway), [1, 0]);
}

#[test]
fn weights_that_fit_no_provider_are_refused_and_change_nothing() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let gateway = gateway(&mint, &backend);
    for (arguments, code) in [
        (&["payments", "weights", "gamma=1", "--reason", "r"][..], 1),
        (&["payments", "weights", "alpha=0", "beta=0", "--reason", "r"], 1),
        (&["payments", "weights", "alpha=1"], 2),
        (&["flags", "set", "shares", "variants={\"alpha\":1,\"gamma\":1}", "--reason", "r", "--yes"], 1),
    ] {
        assert_eq!(figway(&gateway, arguments).status.code(), Some(code), "{arguments:?}");
    }
    assert_eq!(weights(&gateway), [70, 30]);
}

#[test]
fn a_webhook_needs_its_signature_and_no_token() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let gateway = gateway(&mint, &backend);
    let body = r#"{"id":"e-1","order_reference":"nobody's"}"#;
    assert_eq!(webhook(&gateway, "alpha", "s3cret-of-this-year", body).status, 200);
    assert_eq!(webhook(&gateway, "alpha", "s3cret-of-last-year", body).status, 200);
    let forged = webhook(&gateway, "alpha", "guess", body);
    assert_eq!((forged.status, forged.get("x-figway-error")), (401, Some("webhook-rejected")));
    assert_eq!(webhook(&gateway, "beta", "s3cret-of-this-year", body).status, 404);
    assert_eq!(webhook(&gateway, "alpha", "s3cret-of-this-year", &" ".repeat(300_000)).status, 413);
    let text = gateway.admin_get("/metrics").text();
    for (outcome, count) in [("unknown_payment", 1), ("duplicate", 1), ("rejected", 1)] {
        let line = format!("figway_payment_webhooks_total{{outcome=\"{outcome}\",provider=\"alpha\"}} {count}");
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!gateway.log().contains("s3cret"));
    // The rest of the API still wants one.
    assert_eq!(pay(&gateway, "none", "k-1").status, 401);
}

#[test]
fn the_books_are_exported_and_compared() {
    let (mint, backend) = (TokenMint::new(), FakeBackend::echoing());
    let gateway = gateway(&mint, &backend);
    let token = mint.token("u-1");
    let refused = pay(&gateway, &token, "k-1");
    assert_eq!(refused.status, 503, "{}", refused.text());
    let csv = done(&figway(&gateway, &["payments", "export", "--provider", "alpha"]));
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("kind,payment,order_id,provider,reference"), "{csv}");
    assert!(lines[1].contains(",o-1,alpha,") && lines[1].contains(",1234,EUR,not_processed,"), "{csv}");
    let tomorrow = done(&figway(&gateway, &["payments", "export", "--provider", "alpha", "--from", "2999-01-01"]));
    assert_eq!(tomorrow.lines().count(), 1);

    // A provider that says it has the money of a payment that the ledger says it never took.
    let reference = lines[1].split(',').nth(4).expect("a reference");
    let file = gateway.path("settled.csv");
    std::fs::write(&file, format!("ref,gross,currency\n{reference},12.34,EUR\n")).expect("written");
    let file = file.display().to_string();
    let arguments = ["payments", "export", "--provider", "alpha", "--against", &file, "--output", "json"];
    let format = ["--columns", "reference=ref,amount=gross", "--amounts", "major"];
    let output = figway(&gateway, &[&arguments[..], &format].concat());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["differences"][0]["difference"], "state", "{found}");
    assert_eq!(found["differences"][0]["ledger"], "not_processed");
    std::fs::write(gateway.path("settled.csv"), "ref,gross,currency\n").expect("written");
    done(&figway(&gateway, &[&arguments[..], &format].concat()));
}
