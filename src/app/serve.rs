//! Placeholder of the wiring, replaced when the branches meet.

use std::process::ExitCode;

use super::cli::ServeArgs;

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let _ = args;
    todo!()
}
