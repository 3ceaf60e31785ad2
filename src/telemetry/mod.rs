//! What the gateway tells about itself: metrics, the access log, and request ids. Anyone may use it.

mod access_log;
mod ids;
mod metrics;

pub use access_log::{AccessLine, AccessLogWriter, Destination, LineBuffer};
pub use ids::{IdSource, RequestId, is_traceparent};
pub use metrics::{CountGauge, FlagSeries, Metrics, RouteSeries, UpstreamError, UpstreamSeries};
