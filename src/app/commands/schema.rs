//! `figway schema`: JSON Schema of what the user writes, from the table that the validator reads.

use std::process::ExitCode;

use crate::app::cli::{SchemaArgs, SchemaOf};
use crate::app::output::print;
use crate::config;

pub(crate) fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = match args.of {
        SchemaOf::Config => config::schema::config(),
        SchemaOf::Flags => config::schema::flags(),
        SchemaOf::Provider => config::schema::provider(),
    };
    print(&format!("{schema:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}
