//! What the gateway tells about itself: metrics, the access log, and request ids. Anyone may use it.

mod access_log;
mod flag_activity;
mod held;
mod ids;
mod metrics;
mod series;
mod summed;

pub use access_log::{AccessLine, AccessLogWriter, Destination, LineBuffer};
pub use flag_activity::{Activity, FlagActivity};
pub use ids::{IdSource, RequestId, is_traceparent};
pub use metrics::{CoreMetrics, FlagCount, Metrics, Served};
pub use series::{AuthOutcome, CoreSeries, Count, FlagSeries, RouteSeries, UpstreamError, UpstreamSeries};
