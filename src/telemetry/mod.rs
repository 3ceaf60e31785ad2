//! What the gateway tells about itself: metrics, the access log, and request ids. Anyone may use it.

mod access_log;
mod flag_activity;
mod held;
mod ids;
mod metrics;
mod series;

pub use access_log::{AccessLine, AccessLogWriter, Destination, LineBuffer};
pub use flag_activity::{Activity, FlagActivity};
pub use ids::{IdSource, RequestId, is_traceparent};
pub use metrics::{CountGauge, FlagCount, Metrics, Served};
pub use series::{AuthOutcome, AuthSeries, FlagSeries, RouteSeries, UpstreamError, UpstreamSeries};
