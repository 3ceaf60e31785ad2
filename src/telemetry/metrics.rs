//! Every metric of the gateway, defined once. Labels come from configuration only.
//!
//! The data plane asks for its series once per route and snapshot ([`Metrics::route`] and friends)
//! and then only touches atomics; looking a label up on every request would cost more than routing it.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// A number of things that exist now.
pub type CountGauge = IntGauge;

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What went wrong with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamError {
    /// No connection: refused, unreachable, name not found, TLS failed.
    Connect,
    /// No connection or no answer in time.
    Timeout,
    /// Closed or reset before or within the answer.
    Closed,
    /// The answer is not acceptable HTTP.
    Invalid,
    /// At its limit of concurrent requests.
    Busy,
}

impl UpstreamError {
    const ALL: [Self; 5] = [Self::Connect, Self::Timeout, Self::Closed, Self::Invalid, Self::Busy];

    const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Invalid => "invalid",
            Self::Busy => "busy",
        }
    }
}

/// Ready-made series of one route at one backend.
#[derive(Debug, Clone)]
pub struct RouteSeries {
    by_class: [IntCounter; 5],
    duration: Histogram,
}

impl RouteSeries {
    /// Counts a finished request.
    pub fn observe(&self, status: u16, seconds: f64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].inc();
        self.duration.observe(seconds);
    }
}

/// Ready-made series of one backend.
#[derive(Debug, Clone)]
pub struct UpstreamSeries {
    errors: [IntCounter; 5],
    /// Connections opened.
    pub connects: IntCounter,
    /// Connections open now.
    pub open: IntGauge,
    /// Connections idle in a pool now.
    pub idle: IntGauge,
    /// Requests under way now.
    pub in_flight: IntGauge,
    /// Second tries.
    pub retries: IntCounter,
    /// Second tries that the budget or the replay cap refused.
    pub retries_refused: IntCounter,
}

impl UpstreamSeries {
    /// Counts a failure by kind.
    pub fn error(&self, kind: UpstreamError) {
        self.errors[kind as usize].inc();
    }
}

/// Ready-made series of one variant of one flag.
#[derive(Debug, Clone)]
pub struct FlagSeries(IntCounter);

impl FlagSeries {
    /// Counts an evaluation.
    pub fn evaluated(&self) {
        self.0.inc();
    }
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    upstream_errors: IntCounterVec,
    upstream_connects: IntCounterVec,
    upstream_connections: IntGaugeVec,
    upstream_in_flight: IntGaugeVec,
    upstream_retries: IntCounterVec,
    flag_evaluations: IntCounterVec,
    /// Requests under way now.
    pub in_flight: IntGauge,
    /// Client connections open now.
    pub connections: IntGauge,
    /// Client connections accepted.
    pub connections_accepted: IntCounter,
    /// Times that accepting paused, for want of descriptors or because of `server.max_connections`.
    pub accept_pauses: IntCounter,
    /// Requests refused before they had a route, by the gateway's error code.
    pub rejected: IntCounterVec,
    /// Outcomes of authentication: `verified`, `anonymous`, `missing`, `invalid`, `unavailable`.
    pub auth_outcomes: IntCounterVec,
    /// Access-log lines that were dropped because the writer was behind.
    pub access_log_dropped: IntCounter,
    /// Reloads by outcome: `published`, `unchanged`, `refused`.
    pub reloads: IntCounterVec,
    /// 1 if config and flags on disk are what is served.
    pub last_reload_success: IntGauge,
    /// When that was last so, in seconds since the epoch.
    pub last_reload_success_timestamp: Gauge,
    /// Revision now serving.
    pub revision: IntGauge,
    /// Fetches of signing keys by outcome: `ok`, `failed`.
    pub key_fetches: IntCounterVec,
    /// Payment requests answered, by the provider that settled or holds the payment (`-`: none) and the payment's status.
    pub payments: IntCounterVec,
    /// Calls to providers, by provider and the class of what they came to.
    pub payment_attempts: IntCounterVec,
    /// Time that a payment took other than waiting for providers.
    pub payment_overhead: Histogram,
    /// Times that the ledger could not be opened, read or written.
    pub payment_ledger_failures: IntCounter,
    /// Payments whose outcome is not known at the moment.
    pub payments_pending: IntGauge,
    /// Time of provider calls, by provider.
    pub payment_attempt_duration: HistogramVec,
    /// 0 closed, 0.5 half-open, 1 open, by provider.
    pub payment_breaker: GaugeVec,
    /// Answers of providers that contradict the order (wrong amount or currency, late capture).
    pub payment_alarms: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let make = Maker(Registry::new());
        Self {
            requests: make.counters(
                "figway_requests_total",
                "Requests answered, by route, backend and status class.",
                &["route", "backend", "status"],
            ),
            duration: make.histograms(
                "figway_request_duration_seconds",
                "Time from the request's head to the answer's end.",
                &["route", "backend"],
            ),
            upstream_errors: make.counters(
                "figway_upstream_errors_total",
                "Failed tries at a backend, by kind.",
                &["backend", "kind"],
            ),
            upstream_connects: make.counters(
                "figway_upstream_connects_total",
                "Connections opened to a backend.",
                &["backend"],
            ),
            upstream_connections: make.gauges(
                "figway_upstream_connections_count",
                "Connections to a backend, by state.",
                &["backend", "state"],
            ),
            upstream_in_flight: make.gauges(
                "figway_upstream_in_flight_requests",
                "Requests under way at a backend.",
                &["backend"],
            ),
            upstream_retries: make.counters(
                "figway_upstream_retries_total",
                "Second tries at a backend, by whether they were allowed.",
                &["backend", "outcome"],
            ),
            flag_evaluations: make.counters(
                "figway_flag_evaluations_total",
                "Flag evaluations, by what the flag said.",
                &["flag", "variant"],
            ),
            in_flight: make.gauge("figway_in_flight_requests", "Requests under way."),
            connections: make.gauge("figway_client_connections_count", "Client connections open."),
            connections_accepted: make.counter("figway_client_connections_total", "Client connections accepted."),
            accept_pauses: make.counter(
                "figway_accept_pauses_total",
                "Times that accepting paused for want of descriptors or connections.",
            ),
            rejected: make.counters(
                "figway_rejected_requests_total",
                "Requests answered by the gateway itself, by error code.",
                &["code"],
            ),
            auth_outcomes: make.counters("figway_auth_outcomes_total", "Outcomes of authentication.", &["outcome"]),
            access_log_dropped: make.counter(
                "figway_access_log_dropped_lines_total",
                "Access-log lines dropped because the writer was behind.",
            ),
            reloads: make.counters("figway_config_reloads_total", "Reloads, by outcome.", &["outcome"]),
            last_reload_success: make
                .gauge("figway_config_last_reload_success", "1 if the files on disk are what is served."),
            last_reload_success_timestamp: make.real_gauge(
                "figway_config_last_reload_success_timestamp_seconds",
                "When the files on disk were last served.",
            ),
            revision: make.gauge("figway_config_revision_number", "Revision of the snapshot now serving."),
            key_fetches: make.counters(
                "figway_auth_key_fetches_total",
                "Fetches of signing keys, by outcome.",
                &["outcome"],
            ),
            payments: make.counters(
                "figway_payments_total",
                "Payment requests answered, by provider (- if none has the payment) and the payment's status.",
                &["provider", "outcome"],
            ),
            payment_attempts: make.counters(
                "figway_payment_attempts_total",
                "Calls to a payment provider, by what they came to.",
                &["provider", "outcome"],
            ),
            payment_overhead: make.histogram(
                "figway_payment_overhead_duration_seconds",
                "Time that a payment took in the gateway itself, without waiting for providers.",
            ),
            payment_ledger_failures: make.counter(
                "figway_payment_ledger_failures_total",
                "Times that the payment ledger could not be opened, read or written.",
            ),
            payments_pending: make.gauge("figway_payments_pending_count", "Payments whose outcome is not known."),
            payment_attempt_duration: make.histograms(
                "figway_payment_attempt_duration_seconds",
                "Time of calls to a payment provider.",
                &["provider"],
            ),
            payment_breaker: make.real_gauges(
                "figway_payment_breaker_open_ratio",
                "0 closed, 0.5 half-open, 1 open.",
                &["provider"],
            ),
            payment_alarms: make.counters(
                "figway_payment_alarms_total",
                "Provider answers that contradict the order.",
                &["provider"],
            ),
            registry: make.0,
        }
    }

    /// Series of a route at a backend (`-` for answers that the gateway made).
    #[must_use]
    pub fn route(&self, route: &str, backend: &str) -> RouteSeries {
        let class = |class| self.requests.with_label_values(&[route, backend, class]);
        RouteSeries {
            by_class: [class("1xx"), class("2xx"), class("3xx"), class("4xx"), class("5xx")],
            duration: self.duration.with_label_values(&[route, backend]),
        }
    }

    /// Series of a backend.
    #[must_use]
    pub fn upstream(&self, backend: &str) -> UpstreamSeries {
        UpstreamSeries {
            errors: UpstreamError::ALL.map(|kind| self.upstream_errors.with_label_values(&[backend, kind.label()])),
            connects: self.upstream_connects.with_label_values(&[backend]),
            open: self.upstream_connections.with_label_values(&[backend, "open"]),
            idle: self.upstream_connections.with_label_values(&[backend, "idle"]),
            in_flight: self.upstream_in_flight.with_label_values(&[backend]),
            retries: self.upstream_retries.with_label_values(&[backend, "tried"]),
            retries_refused: self.upstream_retries.with_label_values(&[backend, "refused"]),
        }
    }

    /// Series of one variant of a flag.
    #[must_use]
    pub fn flag(&self, flag: &str, variant: &str) -> FlagSeries {
        FlagSeries(self.flag_evaluations.with_label_values(&[flag, variant]))
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Makes and registers metrics; a clash of names is a defect of the table above.
struct Maker(Registry);

impl Maker {
    fn register<M: prometheus::core::Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("the table's names and labels are valid");
        self.0.register(Box::new(metric.clone())).expect("the table's names are unique");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    fn real_gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(Gauge::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn real_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.register(Histogram::with_opts(options))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
        self.register(HistogramVec::new(options, labels))
    }
}

#[cfg(test)]
mod tests {
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
    fn a_status_out_of_range_lands_in_the_nearest_class() {
        let metrics = Metrics::new();
        metrics.route("r", "b").observe(999, 0.1);
        assert!(metrics.render().contains(r#"status="5xx"} 1"#));
    }
}
