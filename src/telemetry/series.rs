//! What a request is counted on. Each core has series of its own, which lie together in memory, and a scrape adds them up:
//! a number that all cores write would wander between their caches with every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that goes up, and for things that exist also down again, on the same core.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// One less.
    pub fn dec(&self) {
        self.sub(1);
    }

    /// So many more.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// So many less.
    pub fn sub(&self, number: u64) {
        self.0.fetch_sub(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

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
    pub(super) const ALL: [Self; 5] = [Self::Connect, Self::Timeout, Self::Closed, Self::Invalid, Self::Busy];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Invalid => "invalid",
            Self::Busy => "busy",
        }
    }
}

/// What came of looking for a caller's credentials; routes with `auth: none` do not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOutcome {
    /// A token that holds.
    Verified,
    /// No token, and none is required.
    Anonymous,
    /// No token where one is required.
    Missing,
    /// A token that does not hold.
    Invalid,
    /// The issuer's keys can't be had.
    Unavailable,
}

impl AuthOutcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Verified, Self::Anonymous, Self::Missing, Self::Invalid, Self::Unavailable];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Anonymous => "anonymous",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Labels of statuses by their first digit.
pub(super) const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the latency buckets, in seconds.
pub(super) const LATENCY_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// One core's requests of one route at one backend.
///
/// In this order, so that a request touches one line of memory, or a second one if it took longer than 2.5 ms: with
/// many routes, each line is one to wait for.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct RouteSeries {
    /// The sum of all latencies.
    pub(super) nanoseconds: Count,
    pub(super) by_class: [Count; STATUS_CLASSES.len()],
    /// The last is for what took longer than every bound.
    pub(super) by_latency: [Count; LATENCY_BUCKETS.len() + 1],
}

impl RouteSeries {
    /// Counts a finished request.
    pub fn observe(&self, status: u16, latency: Duration) {
        let class = usize::from(status / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        self.by_class[class].inc();
        let seconds = latency.as_secs_f64();
        self.by_latency[LATENCY_BUCKETS.partition_point(|bound| *bound < seconds)].inc();
        self.nanoseconds.add(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// All cores' together.
    pub(super) fn sum(cores: &[Arc<Self>]) -> Self {
        let total = Self::default();
        for core in cores {
            add_each(&total.by_class, &core.by_class);
            add_each(&total.by_latency, &core.by_latency);
            total.nanoseconds.add(core.nanoseconds.get());
        }
        total
    }
}

fn add_each(totals: &[Count], counts: &[Count]) {
    totals.iter().zip(counts).for_each(|(total, count)| total.add(count.get()));
}

/// One core's dealings with one backend.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct UpstreamSeries {
    pub(super) errors: [Count; UpstreamError::ALL.len()],
    /// Connections opened.
    pub connects: Count,
    /// Connections open now.
    pub open: Count,
    /// Connections idle in a pool now.
    pub idle: Count,
    /// Requests under way now.
    pub in_flight: Count,
    /// Second tries.
    pub retries: Count,
    /// Second tries that the budget or the replay cap refused.
    pub retries_refused: Count,
}

impl UpstreamSeries {
    /// Counts a failure by kind.
    pub fn error(&self, kind: UpstreamError) {
        self.errors[kind as usize].inc();
    }

    /// All cores' together.
    pub(super) fn sum(cores: &[Arc<Self>]) -> Self {
        let total = Self::default();
        for core in cores {
            add_each(&total.errors, &core.errors);
            total.connects.add(core.connects.get());
            total.open.add(core.open.get());
            total.idle.add(core.idle.get());
            total.in_flight.add(core.in_flight.get());
            total.retries.add(core.retries.get());
            total.retries_refused.add(core.retries_refused.get());
        }
        total
    }
}

/// One core's evaluations of one flag that said one variant.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct FlagSeries(pub(super) Count);

impl FlagSeries {
    /// Counts an evaluation.
    pub fn evaluated(&self) {
        self.0.inc();
    }
}

/// What one core counts whatever the request.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct CoreSeries {
    /// Requests under way now.
    pub in_flight: Count,
    pub(super) auth: [Count; AuthOutcome::ALL.len()],
}

impl CoreSeries {
    /// Counts what came of looking for credentials.
    pub fn authenticated(&self, outcome: AuthOutcome) {
        self.auth[outcome as usize].inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_counts_in_the_first_bucket_that_holds_it() {
        let series = RouteSeries::default();
        for (microseconds, bucket) in [(0, 0), (1_000, 0), (1_001, 1), (30_000_000, 13), (31_000_000, 14)] {
            let before = series.by_latency[bucket].get();
            series.observe(200, Duration::from_micros(microseconds));
            assert_eq!(series.by_latency[bucket].get(), before + 1, "{microseconds} us");
        }
    }

    #[test]
    fn what_every_request_counts_on_lies_on_one_line_with_the_first_buckets() {
        let latencies = std::mem::offset_of!(RouteSeries, by_latency);
        assert_eq!(latencies + 2 * size_of::<Count>(), 64);
        assert_eq!(align_of::<RouteSeries>(), 64);
    }
}
