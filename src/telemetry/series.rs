//! Series whose labels were looked up before: what the data plane touches on every request.

use prometheus::{Histogram, IntCounter, IntGauge};

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

/// Ready-made series of what comes of callers' credentials.
#[derive(Debug, Clone)]
pub struct AuthSeries(pub(super) [IntCounter; 5]);

impl AuthSeries {
    /// Counts one outcome.
    pub fn count(&self, outcome: AuthOutcome) {
        self.0[outcome as usize].inc();
    }
}

/// Labels of statuses by their first digit.
pub(super) const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Ready-made series of one route at one backend.
#[derive(Debug)]
pub struct RouteSeries {
    pub(super) by_class: [IntCounter; 5],
    pub(super) duration: Histogram,
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
#[derive(Debug)]
pub struct UpstreamSeries {
    pub(super) errors: [IntCounter; 5],
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
#[derive(Debug)]
pub struct FlagSeries(pub(super) IntCounter);

impl FlagSeries {
    /// Counts an evaluation.
    pub fn evaluated(&self) {
        self.0.inc();
    }
}
