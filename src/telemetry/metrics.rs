//! Every metric of the gateway, defined once, in one table. Labels come from configuration only.
//!
//! The data plane asks for its series once per core, route and snapshot ([`CoreMetrics::route`] and friends) and then
//! only touches its own numbers; looking a label up on every request would cost more than routing it.
//! Series of routes, backends and flags that a reload took away are let go ([`Metrics::serving`]).
//! Those of payment providers stay: breakers and open payments outlive their provider's configuration.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::held::Held;
use super::series::{
    AuthOutcome, CoreSeries, Count, FlagSeries, LATENCY_BUCKETS, RouteSeries, STATUS_CLASSES, UpstreamError,
    UpstreamSeries,
};
use super::summed::Summed;

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

/// What one snapshot serves, as far as series are named after it.
#[derive(Debug, Default)]
pub struct Served<'a> {
    /// Hash of the files.
    pub hash: &'a str,
    /// Each certificate with the end of its validity, in seconds since the epoch.
    pub certificates: Vec<(&'a str, f64)>,
    /// Names of the routes.
    pub routes: HashSet<&'a str>,
    /// Names of the backends.
    pub backends: HashSet<&'a str>,
    /// Each flag with each of its variants.
    pub flags: HashSet<[&'a str; 2]>,
}

/// Stands for the backend of answers that the gateway made itself.
const GATEWAY: &str = "-";

/// Makes the struct of all metrics from a table: field, kind, name, labels, help (which documents the field, too).
macro_rules! metrics {
    ($($visibility:vis $field:ident: $kind:ident = $name:literal [$($label:literal)*] $help:literal;)*) => {
        /// All metrics.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            cores: Mutex<Vec<Arc<CoreSeries>>>,
            routes: Held<2, RouteSeries>,
            upstreams: Held<1, UpstreamSeries>,
            flags: Held<2, FlagSeries>,
            remote_flags: Held<2, FlagSeries>,
            $(#[doc = $help] $visibility $field: $kind,)*
        }

        impl Metrics {
            /// All metrics, at zero.
            #[must_use]
            pub fn new() -> Self {
                let registry = Registry::new();
                Self {
                    $($field: Kind::register(&registry, $name, $help, &[$($label),*]),)*
                    registry,
                    cores: Mutex::default(),
                    routes: Held::default(),
                    upstreams: Held::default(),
                    flags: Held::default(),
                    remote_flags: Held::default(),
                }
            }
        }
    };
}

metrics! {
    requests: Summed = "figway_requests_total" ["route" "backend" "status"]
        "Requests answered, by route, backend and status class.";
    duration: Summed = "figway_request_duration_seconds" ["route" "backend"]
        "Time from the request's head to the answer's end.";
    upstream_errors: Summed = "figway_upstream_errors_total" ["backend" "kind"]
        "Failed tries at a backend, by kind.";
    upstream_connects: Summed = "figway_upstream_connects_total" ["backend"]
        "Connections opened to a backend.";
    upstream_connections: Summed = "figway_upstream_connections_count" ["backend" "state"]
        "Connections to a backend, by state.";
    upstream_in_flight: Summed = "figway_upstream_in_flight_requests" ["backend"]
        "Requests under way at a backend.";
    upstream_retries: Summed = "figway_upstream_retries_total" ["backend" "outcome"]
        "Second tries at a backend, by whether they were allowed.";
    flag_evaluations: Summed = "figway_flag_evaluations_total" ["flag" "variant"]
        "Flag evaluations for requests, by what the flag said.";
    flag_remote_evaluations: Summed = "figway_flag_remote_evaluations_total" ["flag" "variant"]
        "Flag evaluations for clients that asked for the flag itself (OFREP), by what it said.";
    certificate_expiry: GaugeVec = "figway_tls_certificate_expiry_timestamp_seconds" ["certificate"]
        "When a certificate that clients are shown expires; the earliest of its chain.";
    config_hash: IntGauge = "figway_config_hash_number" []
        "The first 48 bits of the hash of all files that are served: equal where the files are equal.";
    in_flight: Summed = "figway_in_flight_requests" []
        "Requests under way.";
    pub connections: IntGauge = "figway_client_connections_count" []
        "Client connections open.";
    pub connections_accepted: IntCounter = "figway_client_connections_total" []
        "Client connections accepted.";
    pub accept_pauses: IntCounter = "figway_accept_pauses_total" []
        "Times that accepting paused for want of descriptors or connections.";
    pub rejected: IntCounterVec = "figway_rejected_requests_total" ["code"]
        "Requests answered by the gateway itself, by error code.";
    auth: Summed = "figway_auth_outcomes_total" ["outcome"]
        "Outcomes of authentication.";
    pub access_log_dropped: IntCounter = "figway_access_log_dropped_lines_total" []
        "Access-log lines dropped because the writer was behind.";
    // Outcomes: published, unchanged, refused.
    pub reloads: IntCounterVec = "figway_config_reloads_total" ["outcome"]
        "Reloads, by outcome.";
    pub last_reload_success: IntGauge = "figway_config_last_reload_success" []
        "1 if the files on disk are what is served.";
    pub last_reload_success_timestamp: Gauge = "figway_config_last_reload_success_timestamp_seconds" []
        "When the files on disk were last served.";
    pub revision: IntGauge = "figway_config_revision_number" []
        "Revision of the snapshot now serving.";
    // Outcomes: ok, failed.
    pub key_fetches: IntCounterVec = "figway_auth_key_fetches_total" ["outcome"]
        "Fetches of signing keys, by outcome.";
    pub payments: IntCounterVec = "figway_payments_total" ["provider" "outcome"]
        "Payment requests answered, by provider (- if none has the payment) and the payment's status.";
    pub payment_attempts: IntCounterVec = "figway_payment_attempts_total" ["provider" "outcome"]
        "Charges, prepares and confirmations sent to a payment provider, by what they came to.";
    pub payment_looks: IntCounterVec = "figway_payment_looks_total" ["provider" "outcome"]
        "Looks at a payment provider for what became of a payment, by what was found.";
    pub payment_voids: IntCounterVec = "figway_payment_voids_total" ["provider" "outcome"]
        "Requests to a payment provider to take something back, by what it said.";
    pub payment_refunds: IntCounterVec = "figway_payment_refunds_total" ["provider" "outcome"]
        "Requests to a payment provider to give money back, by what it said.";
    pub payment_overhead: Histogram = "figway_payment_overhead_duration_seconds" []
        "Time that a payment took in the gateway itself, without waiting for providers.";
    pub payment_ledger_failures: IntCounter = "figway_payment_ledger_failures_total" []
        "Times that the payment ledger could not be opened, read or written.";
    pub payments_pending: IntGauge = "figway_payments_pending_count" []
        "Payments whose outcome is not known.";
    pub payments_manual: IntGauge = "figway_payments_manual_count" []
        "Payments with something that a person has to settle.";
    pub payments_requires_action: IntGauge = "figway_payments_requires_action_count" []
        "Payments that wait for the customer or for their confirmation.";
    pub payment_attempt_duration: HistogramVec = "figway_payment_attempt_duration_seconds" ["provider"]
        "Time of calls to a payment provider.";
    pub payment_breaker: GaugeVec = "figway_payment_breaker_open_ratio" ["provider"]
        "0 closed, 0.5 half-open, 1 open.";
    pub payment_late_captures: IntCounterVec = "figway_payment_late_captures_total" ["provider"]
        "Attempts that were captured after they had been released: alarms.";
    pub payment_passed_over: IntCounterVec = "figway_payment_passed_over_total" ["provider" "reason"]
        "Times that a provider was not asked for a payment, by reason: maintenance, full or breaker.";
    pub payment_weight_factor: GaugeVec = "figway_payment_weight_factor_ratio" ["provider"]
        "What a provider's weight is multiplied by: below 1 while it is demoted.";
    pub payment_webhooks: IntCounterVec = "figway_payment_webhooks_total" ["provider" "outcome"]
        "Webhooks of a provider, by outcome: hint, duplicate, unknown_payment, rejected or failed.";
    pub payment_alarms: IntCounterVec = "figway_payment_alarms_total" ["provider"]
        "Provider answers about another amount, currency or order than was asked for, or a refund that counted as not made.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// What one more core counts on.
    #[must_use]
    pub fn core(self: &Arc<Self>) -> CoreMetrics {
        let mut cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::new(CoreSeries::default());
        cores.push(Arc::clone(&own));
        CoreMetrics { own, all: Arc::clone(self), number: cores.len() - 1 }
    }

    /// Counts an answer to a client that asked for the flag itself.
    pub fn flag_asked_remotely(&self, flag: &str, variant: &str) {
        self.remote_flags.get([flag, variant], 0).evaluated();
    }

    /// How often each variant of each flag was said, in the order of flags and variants.
    #[must_use]
    pub fn flag_counts(&self) -> Vec<FlagCount> {
        let evaluations = |series: &[Arc<FlagSeries>]| sum(series, |flag| &flag.0);
        let mut counts: BTreeMap<[String; 2], [u64; 2]> = BTreeMap::new();
        for (labels, count) in self.flags.read(evaluations) {
            counts.entry(labels).or_default()[0] = count;
        }
        for (labels, count) in self.remote_flags.read(evaluations) {
            counts.entry(labels).or_default()[1] = count;
        }
        counts
            .into_iter()
            .map(|([flag, variant], [requests, remote])| FlagCount { flag, variant, requests, remote })
            .collect()
    }

    /// What is served from now on. Series of what is not served any more are let go as soon as no request counts on
    /// them; what comes back under an old name is counted from zero.
    pub fn serving(&self, served: &Served<'_>) {
        let digits = served.hash.get(..12).unwrap_or_default();
        self.config_hash.set(i64::from_str_radix(digits, 16).unwrap_or_default());
        self.certificate_expiry.reset();
        for (certificate, expiry) in &served.certificates {
            self.certificate_expiry.with_label_values(&[*certificate]).set(*expiry);
        }
        let has_backend = |backend: &str| backend == GATEWAY || served.backends.contains(backend);
        self.routes.serve(|[route, backend]| served.routes.contains(route) && has_backend(backend));
        self.upstreams.serve(|[backend]| served.backends.contains(backend));
        self.flags.serve(|labels| served.flags.contains(&labels));
        self.remote_flags.serve(|labels| served.flags.contains(&labels));
        self.let_go();
    }

    fn let_go(&self) {
        self.routes.let_go();
        self.upstreams.let_go();
        self.flags.let_go();
        self.remote_flags.let_go();
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.let_go();
        let mut families = self.registry.gather();
        families.extend(self.summed().into_iter().filter(|family| !family.get_metric().is_empty()));
        families.sort_by(|one, other| one.name().cmp(other.name()));
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    /// What the cores hold, added up.
    fn summed(&self) -> Vec<MetricFamily> {
        let cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcomes =
            AuthOutcome::ALL.map(|outcome| ([outcome.label()], sum(&cores, |core| &core.auth[outcome as usize])));
        let mut families =
            vec![self.in_flight.gauges([([], sum(&cores, |core| &core.in_flight))]), self.auth.counters(outcomes)];
        self.sum_routes(&mut families);
        self.sum_upstreams(&mut families);
        let evaluations = |series: &[Arc<FlagSeries>]| sum(series, |flag| &flag.0);
        for (family, held) in
            [(&self.flag_evaluations, &self.flags), (&self.flag_remote_evaluations, &self.remote_flags)]
        {
            let flags = held.read(evaluations);
            families.push(family.counters(flags.iter().map(|(labels, count)| (borrowed(labels), *count))));
        }
        families
    }

    fn sum_routes(&self, families: &mut Vec<MetricFamily>) {
        let routes = self.routes.read(RouteSeries::sum);
        families.push(self.requests.counters(routes.iter().flat_map(|(labels, series)| {
            let [route, backend] = borrowed(labels);
            let classes = STATUS_CLASSES.into_iter().zip(&series.by_class);
            classes.map(move |(class, count)| ([route, backend, class], count.get()))
        })));
        families.push(self.duration.latencies(routes.iter().map(|(labels, series)| (borrowed(labels), series))));
    }

    fn sum_upstreams(&self, families: &mut Vec<MetricFamily>) {
        let upstreams = self.upstreams.read(UpstreamSeries::sum);
        let each = || upstreams.iter().map(|([backend], series)| (backend.as_str(), series));
        families.extend([
            self.upstream_errors.counters(each().flat_map(|(backend, series)| {
                UpstreamError::ALL.map(|kind| ([backend, kind.label()], series.errors[kind as usize].get()))
            })),
            self.upstream_connects.counters(each().map(|(backend, series)| ([backend], series.connects.get()))),
            self.upstream_connections.gauges(each().flat_map(|(backend, series)| {
                [([backend, "idle"], series.idle.get()), ([backend, "open"], series.open.get())]
            })),
            self.upstream_in_flight.gauges(each().map(|(backend, series)| ([backend], series.in_flight.get()))),
            self.upstream_retries.counters(each().flat_map(|(backend, series)| {
                [([backend, "refused"], series.retries_refused.get()), ([backend, "tried"], series.retries.get())]
            })),
        ]);
    }
}

/// What one core counts on.
#[derive(Debug)]
pub struct CoreMetrics {
    /// Counted whatever the request.
    pub own: Arc<CoreSeries>,
    all: Arc<Metrics>,
    number: usize,
}

impl CoreMetrics {
    /// Series of a route at a backend; without one, for answers that the gateway made.
    #[must_use]
    pub fn route(&self, route: &str, backend: Option<&str>) -> Arc<RouteSeries> {
        self.all.routes.get([route, backend.unwrap_or(GATEWAY)], self.number)
    }

    /// Series of a backend.
    #[must_use]
    pub fn upstream(&self, backend: &str) -> Arc<UpstreamSeries> {
        self.all.upstreams.get([backend], self.number)
    }

    /// Series of one variant of a flag.
    #[must_use]
    pub fn flag(&self, flag: &str, variant: &str) -> Arc<FlagSeries> {
        self.all.flags.get([flag, variant], self.number)
    }
}

/// One number of all cores.
fn sum<V>(cores: &[Arc<V>], number: impl Fn(&V) -> &Count) -> u64 {
    cores.iter().map(|core| number(core).get()).sum()
}

fn borrowed<const N: usize>(labels: &[String; N]) -> [&str; N] {
    labels.each_ref().map(String::as_str)
}

/// A kind of metric, made in the same way as the others.
trait Kind {
    fn register(registry: &Registry, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self;
}

macro_rules! kinds {
    ($($kind:ident: |$name:ident, $help:ident, $labels:pat_param| $make:expr;)*) => {
        $(impl Kind for $kind {
            fn register(registry: &Registry, $name: &'static str, $help: &'static str, $labels: &'static [&'static str]) -> Self {
                let metric: Self = $make.expect("the table's names and labels are valid");
                registry.register(Box::new(metric.clone())).expect("the table's names are unique");
                metric
            }
        })*
    };
}

kinds! {
    IntCounter: |name, help, _| Self::new(name, help);
    IntGauge: |name, help, _| Self::new(name, help);
    Gauge: |name, help, _| Self::new(name, help);
    Histogram: |name, help, _| Self::with_opts(latency(name, help));
    IntCounterVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    IntGaugeVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    GaugeVec: |name, help, labels| Self::new(Opts::new(name, help), labels);
    HistogramVec: |name, help, labels| Self::new(latency(name, help), labels);
}

impl Kind for Summed {
    fn register(_: &Registry, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, help, labels }
    }
}

fn latency(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec())
}

#[cfg(test)]
mod tests;
