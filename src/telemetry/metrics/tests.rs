//! What Prometheus is shown.

use std::time::Duration;

use super::*;

#[test]
fn a_finished_request_shows_in_the_text() {
    let metrics = Arc::new(Metrics::new());
    metrics.core().route("orders", Some("monolith")).observe(204, Duration::from_millis(2));
    let text = metrics.render();
    assert!(text.contains(r#"figway_requests_total{backend="monolith",route="orders",status="2xx"} 1"#), "{text}");
    assert!(text.contains("# HELP figway_config_last_reload_success "));
}

/// Cores count apart; whoever asks sees one number.
#[test]
fn what_the_cores_counted_is_added_up() {
    let metrics = Arc::new(Metrics::new());
    let cores = [metrics.core(), metrics.core()];
    for (core, milliseconds) in cores.iter().zip([2, 40_000]) {
        core.own.in_flight.inc();
        core.flag("member-api", "new").evaluated();
        core.route("orders", Some("monolith")).observe(200, Duration::from_millis(milliseconds));
        let upstream = core.upstream("monolith");
        upstream.open.add(2);
        upstream.idle.inc();
        upstream.error(UpstreamError::Timeout);
    }
    cores[1].own.in_flight.dec();
    let text = metrics.render();
    for line in [
        "in_flight_requests 1",
        r#"flag_evaluations_total{flag="member-api",variant="new"} 2"#,
        r#"requests_total{backend="monolith",route="orders",status="2xx"} 2"#,
        r#"request_duration_seconds_bucket{backend="monolith",route="orders",le="0.001"} 0"#,
        r#"request_duration_seconds_bucket{backend="monolith",route="orders",le="0.0025"} 1"#,
        r#"request_duration_seconds_bucket{backend="monolith",route="orders",le="30"} 1"#,
        r#"request_duration_seconds_bucket{backend="monolith",route="orders",le="+Inf"} 2"#,
        r#"request_duration_seconds_sum{backend="monolith",route="orders"} 40.002"#,
        r#"request_duration_seconds_count{backend="monolith",route="orders"} 2"#,
        r#"upstream_connections_count{backend="monolith",state="open"} 4"#,
        r#"upstream_connections_count{backend="monolith",state="idle"} 2"#,
        r#"upstream_errors_total{backend="monolith",kind="timeout"} 2"#,
    ] {
        assert!(text.contains(&format!("\n{}_{line}\n", "figway")), "{line} in\n{text}");
    }
}

#[test]
fn every_metric_is_shown_under_one_name() {
    let metrics = Arc::new(Metrics::new());
    count_all(&metrics, "orders", "monolith", "member-api");
    let text = metrics.render();
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
}

#[test]
fn what_is_served_replaces_what_was() {
    let metrics = Arc::new(Metrics::new());
    let hash = "0123456789abcdef".repeat(4);
    metrics.serving(&Served { hash: &hash, certificates: vec![("a.pem", 1.0), ("b.pem", 2.0)], ..Served::default() });
    assert_eq!(metrics.config_hash.get(), 0x0123_4567_89ab);
    metrics.serving(&Served { hash: "ffffffffffffffff", certificates: vec![("b.pem", 3.0)], ..Served::default() });
    let text = metrics.render();
    assert!(text.contains(r#"figway_tls_certificate_expiry_timestamp_seconds{certificate="b.pem"} 3"#), "{text}");
    assert!(!text.contains("a.pem"), "{text}");
}

#[test]
fn a_status_out_of_range_lands_in_the_nearest_class() {
    let metrics = Arc::new(Metrics::new());
    metrics.core().route("r", Some("b")).observe(999, Duration::from_millis(100));
    assert!(metrics.render().contains(r#"status="5xx"} 1"#));
}

#[test]
fn every_outcome_of_authentication_has_its_series_from_the_start() {
    let metrics = Arc::new(Metrics::new());
    metrics.core().own.authenticated(AuthOutcome::Missing);
    for (outcome, count) in [("verified", 0), ("anonymous", 0), ("missing", 1), ("invalid", 0), ("unavailable", 0)] {
        let line = format!("figway_auth_outcomes_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.render().contains(&line), "{line}");
    }
}

/// Names as they stand in the text: of routes, backends and flags.
fn shown(metrics: &Metrics) -> Vec<&'static str> {
    let text = metrics.render();
    ["old-route", "old-backend", "old-flag", "orders", "monolith", "member-api"]
        .into_iter()
        .filter(|name| text.contains(&format!("\"{name}\"")))
        .collect()
}

fn count_all(metrics: &Arc<Metrics>, route: &str, backend: &str, flag: &str) {
    let core = metrics.core();
    core.route(route, None).observe(404, Duration::from_millis(100));
    core.route(route, Some(backend)).observe(200, Duration::from_millis(100));
    core.upstream(backend).error(UpstreamError::Closed);
    core.flag(flag, "new").evaluated();
    metrics.flag_asked_remotely(flag, "new");
}

fn serve_orders(metrics: &Metrics) {
    metrics.serving(&Served {
        routes: ["orders"].into(),
        backends: ["monolith"].into(),
        flags: [["member-api", "new"]].into(),
        ..Served::default()
    });
}

/// Memory grew with each reload that named something new.
#[test]
fn what_a_reload_takes_away_is_shown_no_longer() {
    let metrics = Arc::new(Metrics::new());
    count_all(&metrics, "orders", "monolith", "member-api");
    count_all(&metrics, "old-route", "old-backend", "old-flag");
    assert_eq!(shown(&metrics).len(), 6);
    serve_orders(&metrics);
    assert_eq!(shown(&metrics), ["orders", "monolith", "member-api"]);
    assert_eq!(metrics.flag_counts().len(), 1);
    count_all(&metrics, "orders", "monolith", "member-api");
    assert!(metrics.render().contains(r#"figway_requests_total{backend="monolith",route="orders",status="2xx"} 2"#));
}

#[test]
fn what_comes_back_is_counted_from_zero() {
    let metrics = Arc::new(Metrics::new());
    count_all(&metrics, "old-route", "old-backend", "old-flag");
    serve_orders(&metrics);
    count_all(&metrics, "old-route", "old-backend", "old-flag");
    assert_eq!(metrics.flag_counts()[0].requests, 1);
}

/// A core that was two reloads behind would count where nobody looks.
#[test]
fn series_that_a_request_still_counts_on_stay_until_it_is_over() {
    let metrics = Arc::new(Metrics::new());
    let core = metrics.core();
    let held = core.upstream("old-backend");
    serve_orders(&metrics);
    held.error(UpstreamError::Closed);
    let line = r#"figway_upstream_errors_total{backend="old-backend",kind="closed"} 1"#;
    assert!(metrics.render().contains(line));
    assert!(Arc::ptr_eq(&held, &core.upstream("old-backend")), "who comes back counts on the same");
    drop(held);
    assert_eq!(shown(&metrics), Vec::<&str>::new());
}
