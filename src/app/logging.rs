//! The gateway's own log: one line a happening on standard error; the access log is another thing.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging; `FIGWAY_LOG` chooses levels, e.g. `warn` or `figway::reload=debug`, and `levels` holds unless it is set.
pub(super) fn start(levels: &str) {
    let filter = EnvFilter::try_from_env("FIGWAY_LOG").unwrap_or_else(|_| EnvFilter::new(levels));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}
