//! The demo; written with its services.

use std::process::ExitCode;

use super::cli::DemoArgs;

pub(super) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let _ = args;
    todo!()
}
