//! What Prometheus is shown.

use super::*;

#[test]
fn a_finished_request_shows_in_the_text() {
    let metrics = Metrics::new();
    metrics.route("orders", "monolith").observe(204, 0.002);
    let text = metrics.render();
    assert!(text.contains(r#"figway_requests_total{backend="monolith",route="orders",status="2xx"} 1"#), "{text}");
    assert!(text.contains("# HELP figway_config_last_reload_success "));
}

#[test]
fn what_is_served_replaces_what_was() {
    let metrics = Metrics::new();
    metrics.serving(&"0123456789abcdef".repeat(4), &[("a.pem", 1.0), ("b.pem", 2.0)]);
    assert_eq!(metrics.config_hash.get(), 0x0123_4567_89ab);
    metrics.serving(&"f".repeat(64), &[("b.pem", 3.0)]);
    let text = metrics.render();
    assert!(text.contains(r#"figway_tls_certificate_expiry_timestamp_seconds{certificate="b.pem"} 3"#), "{text}");
    assert!(!text.contains("a.pem"), "{text}");
}

#[test]
fn a_status_out_of_range_lands_in_the_nearest_class() {
    let metrics = Metrics::new();
    metrics.route("r", "b").observe(999, 0.1);
    assert!(metrics.render().contains(r#"status="5xx"} 1"#));
}

#[test]
fn every_outcome_of_authentication_has_its_series_from_the_start() {
    let metrics = Metrics::new();
    metrics.auth.count(AuthOutcome::Missing);
    for (outcome, count) in [("verified", 0), ("anonymous", 0), ("missing", 1), ("invalid", 0), ("unavailable", 0)] {
        let line = format!("figway_auth_outcomes_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.render().contains(&line), "{line}");
    }
}
