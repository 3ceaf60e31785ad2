//! `figway migrations`: every migration as work that should end one day.

use std::process::ExitCode;

use serde_json::Value;

use crate::app::admin_client::{AdminClient, block_on};
use crate::app::cli::MigrationsArgs;
use crate::app::output::{Table, cell, print_as};

pub(crate) fn run(args: &MigrationsArgs) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(&args.gateway)?;
    let answer = block_on(async { Ok(client.get_having("/admin/v1/migrations", "migrations").await?) })?;
    print_as(args.gateway.output.output, &answer.document, table)?;
    Ok(ExitCode::SUCCESS)
}

fn table(document: &Value) -> String {
    let mut table = Table::new(&["MIGRATION", "STAGE", "PERCENT", "KILLED", "OWNER", "EXPIRES", "AGE", "NOTES"]);
    for migration in document["migrations"].as_array().into_iter().flatten() {
        let killed = if migration["killed"] == true { "killed" } else { "" };
        let age = migration["age_seconds"].as_u64().map(|seconds| format!("{} d", seconds / 86_400));
        let notes = migration["notes"].as_array().into_iter().flatten().map(cell).collect::<Vec<_>>();
        table.row(vec![
            cell(&migration["key"]),
            cell(&migration["stage"]),
            cell(&migration["percent"]),
            killed.to_owned(),
            cell(&migration["owner"]),
            cell(&migration["expires"]),
            age.unwrap_or_default(),
            notes.join("; "),
        ]);
    }
    table.render("There are no migrations.")
}
