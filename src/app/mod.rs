//! App: the command line and the wiring; the only place that knows everything.

mod admin_client;
mod cli;
mod commands;
mod demo;
mod descriptors;
mod explainer;
mod key_fetch;
mod logging;
mod output;
mod payments;
mod serve;

use std::process::ExitCode;

use admin_client::CallError;
use cli::{Cli, Command, Output};

/// Runs the command line of this process: 0 done, 1 a problem was found or refused, 2 wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|usage| usage.exit());
    run(cli.command).unwrap_or_else(|error| {
        // A program reads why from the document, a person from the sentence.
        if let (Output::Json, Some(CallError::Refused { document, .. })) = (cli.output, error.downcast_ref()) {
            let _ = output::print(&output::json(document));
        }
        eprintln!("figway: {}", output::printable(&output::with_causes(&error)));
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => commands::check::run(&args),
        Command::Health(args) => commands::health::run(&args),
        Command::Token(args) => commands::token::run(&args),
        Command::Schema(args) => commands::schema::run(&args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Flags(command) => commands::flags::run(command),
        Command::Migrations(args) => commands::migrations::run(&args),
        Command::Payments(command) => commands::payments::run(command),
    }
}
