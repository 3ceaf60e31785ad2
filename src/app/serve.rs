//! Wiring of the gateway; written with the data plane.

use std::process::ExitCode;

use super::cli::ServeArgs;

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let _ = args;
    todo!()
}
