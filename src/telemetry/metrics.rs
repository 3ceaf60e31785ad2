//! Every metric of the gateway, defined once. Labels come from configuration only.
//!
//! The data plane asks for its series once per route and snapshot ([`Metrics::route`] and friends)
//! and then only touches atomics; looking a label up on every request would cost more than routing it.

use std::collections::BTreeMap;

use prometheus::core::Collector as _;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::series::{AuthOutcome, AuthSeries, FlagSeries, RouteSeries, UpstreamError, UpstreamSeries};

/// A number of things that exist now.
pub type CountGauge = IntGauge;

/// How often one variant of one flag was said since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagCount {
    /// Key of the flag.
    pub flag: String,
    /// The variant.
    pub variant: String,
    /// To requests on their way through the gateway.
    pub requests: u64,
    /// To clients that asked for the flag itself.
    pub remote: u64,
}

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

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
    flag_remote_evaluations: IntCounterVec,
    certificate_expiry: GaugeVec,
    config_hash: IntGauge,
    /// Requests under way now.
    pub in_flight: IntGauge,
    /// Client connections open now.
    pub connections: IntGauge,
    /// Client connections accepted.
    pub connections_accepted: IntCounter,
    /// Times that accepting paused, for want of descriptors or because of `server.max_connections`.
    pub accept_pauses: IntCounter,
    /// Requests that the gateway answered itself, by its error code.
    pub rejected: IntCounterVec,
    /// What came of callers' credentials.
    pub auth: AuthSeries,
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
    /// Charges, prepares and confirmations at providers, by provider and the class of what they came to.
    pub payment_attempts: IntCounterVec,
    /// Looks at what became of an attempt or refund, by provider and finding.
    pub payment_looks: IntCounterVec,
    /// Requests to take an attempt back, by provider and what was said.
    pub payment_voids: IntCounterVec,
    /// Requests to give money back, by provider and what was said.
    pub payment_refunds: IntCounterVec,
    /// Time that a payment took other than waiting for providers.
    pub payment_overhead: Histogram,
    /// Times that the ledger could not be opened, read or written.
    pub payment_ledger_failures: IntCounter,
    /// Payments whose outcome is not known at the moment.
    pub payments_pending: IntGauge,
    /// Payments with something that a person has to settle.
    pub payments_manual: IntGauge,
    /// Payments that wait for the customer or for their confirmation.
    pub payments_requires_action: IntGauge,
    /// Time of provider calls, by provider.
    pub payment_attempt_duration: HistogramVec,
    /// 0 closed, 0.5 half-open, 1 open, by provider.
    pub payment_breaker: GaugeVec,
    /// Answers of providers about another amount, currency or order than was asked for.
    pub payment_alarms: IntCounterVec,
    /// Attempts that were captured after their release.
    pub payment_late_captures: IntCounterVec,
    /// Times that a provider was not asked although it takes such payments, by provider and reason.
    pub payment_passed_over: IntCounterVec,
    /// What a provider's weight is multiplied by.
    pub payment_weight_factor: GaugeVec,
    /// Deliveries of webhooks, by provider and what became of them.
    pub payment_webhooks: IntCounterVec,
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
                "Flag evaluations for requests, by what the flag said.",
                &["flag", "variant"],
            ),
            flag_remote_evaluations: make.counters(
                "figway_flag_remote_evaluations_total",
                "Flag evaluations for clients that asked for the flag itself (OFREP), by what it said.",
                &["flag", "variant"],
            ),
            certificate_expiry: make.real_gauges(
                "figway_tls_certificate_expiry_timestamp_seconds",
                "When a certificate that clients are shown expires; the earliest of its chain.",
                &["certificate"],
            ),
            config_hash: make.gauge(
                "figway_config_hash_number",
                "The first 48 bits of the hash of all files that are served: equal where the files are equal.",
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
            auth: {
                let outcomes = make.counters("figway_auth_outcomes_total", "Outcomes of authentication.", &["outcome"]);
                AuthSeries(AuthOutcome::ALL.map(|outcome| outcomes.with_label_values(&[outcome.label()])))
            },
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
                "Charges, prepares and confirmations sent to a payment provider, by what they came to.",
                &["provider", "outcome"],
            ),
            payment_looks: make.counters(
                "figway_payment_looks_total",
                "Looks at a payment provider for what became of a payment, by what was found.",
                &["provider", "outcome"],
            ),
            payment_voids: make.counters(
                "figway_payment_voids_total",
                "Requests to a payment provider to take something back, by what it said.",
                &["provider", "outcome"],
            ),
            payment_refunds: make.counters(
                "figway_payment_refunds_total",
                "Requests to a payment provider to give money back, by what it said.",
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
            payments_manual: make
                .gauge("figway_payments_manual_count", "Payments with something that a person has to settle."),
            payments_requires_action: make.gauge(
                "figway_payments_requires_action_count",
                "Payments that wait for the customer or for their confirmation.",
            ),
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
            payment_late_captures: make.counters(
                "figway_payment_late_captures_total",
                "Attempts that were captured after they had been released: alarms.",
                &["provider"],
            ),
            payment_passed_over: make.counters(
                "figway_payment_passed_over_total",
                "Times that a provider was not asked for a payment, by reason: maintenance, full or breaker.",
                &["provider", "reason"],
            ),
            payment_weight_factor: make.real_gauges(
                "figway_payment_weight_factor_ratio",
                "What a provider's weight is multiplied by: below 1 while it is demoted.",
                &["provider"],
            ),
            payment_webhooks: make.counters(
                "figway_payment_webhooks_total",
                "Webhooks of a provider, by outcome: hint, duplicate, unknown_payment, rejected or failed.",
                &["provider", "outcome"],
            ),
            payment_alarms: make.counters(
                "figway_payment_alarms_total",
                "Provider answers about another amount, currency or order than was asked for.",
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

    /// Counts an answer to a client that asked for the flag itself.
    pub fn flag_asked_remotely(&self, flag: &str, variant: &str) {
        self.flag_remote_evaluations.with_label_values(&[flag, variant]).inc();
    }

    /// How often each variant of each flag was said, in the order of flags and variants.
    #[must_use]
    pub fn flag_counts(&self) -> Vec<FlagCount> {
        let mut counts: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for (flag, variant, count) in by_flag(&self.flag_evaluations) {
            counts.entry((flag, variant)).or_default().0 = count;
        }
        for (flag, variant, count) in by_flag(&self.flag_remote_evaluations) {
            counts.entry((flag, variant)).or_default().1 = count;
        }
        let count = |((flag, variant), (requests, remote))| FlagCount { flag, variant, requests, remote };
        counts.into_iter().map(count).collect()
    }

    /// What is served now: the hash of its files, and when each certificate expires, in seconds since the epoch. Those
    /// that are not served any more are forgotten.
    pub fn serving(&self, hash: &str, certificates: &[(&str, f64)]) {
        let digits = hash.get(..12).unwrap_or_default();
        self.config_hash.set(i64::from_str_radix(digits, 16).unwrap_or_default());
        self.certificate_expiry.reset();
        for (certificate, expiry) in certificates {
            self.certificate_expiry.with_label_values(&[*certificate]).set(*expiry);
        }
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Flag, variant and count of each series.
fn by_flag(counters: &IntCounterVec) -> Vec<(String, String, u64)> {
    let mut found = Vec::new();
    for family in counters.collect() {
        for metric in family.get_metric() {
            let label = |name: &str| metric.get_label().iter().find(|pair| pair.name() == name);
            let (Some(flag), Some(variant)) = (label("flag"), label("variant")) else { continue };
            let count = metric.get_counter().get_value();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of whole things")]
            found.push((flag.value().to_owned(), variant.value().to_owned(), count as u64));
        }
    }
    found
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
mod tests;
