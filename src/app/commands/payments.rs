//! `figway payments`: what the ledger of a running gateway knows.

use std::process::ExitCode;

use serde_json::Value;

use crate::app::admin_client::{AdminClient, block_on, encode};
use crate::app::cli::{GatewayArgs, PaymentsCommand};
use crate::app::output::{Table, cell, outline, print_as};

pub(crate) fn run(command: PaymentsCommand) -> anyhow::Result<ExitCode> {
    match command {
        PaymentsCommand::List { status, limit, gateway } => {
            let status = status.map_or_else(String::new, |status| format!("&status={}", encode(&status)));
            show(&gateway, &format!("/admin/v1/payments?limit={limit}{status}"), table)
        }
        PaymentsCommand::Show { id, gateway } => {
            show(&gateway, &format!("/admin/v1/payments/{}", encode(&id)), outline)
        }
    }
}

fn show(gateway: &GatewayArgs, path: &str, shown: impl FnOnce(&Value) -> String) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(gateway)?;
    let answer = block_on(async { Ok(client.get(path).await?) })?;
    print_as(gateway.output.output, &answer.document, shown)?;
    Ok(ExitCode::SUCCESS)
}

fn table(document: &Value) -> String {
    let mut table =
        Table::new(&["PAYMENT", "ORDER", "STATUS", "AMOUNT", "CURRENCY", "PROVIDER", "ATTEMPTS", "CREATED"]);
    for payment in document["payments"].as_array().into_iter().flatten() {
        let attempts = match &payment["attempts"] {
            Value::Array(attempts) => attempts.len().to_string(),
            other => cell(other),
        };
        table.row(vec![
            cell(&payment["id"]),
            cell(&payment["order_id"]),
            cell(&payment["status"]),
            cell(&payment["amount"]),
            cell(&payment["currency"]),
            cell(&payment["provider"]),
            attempts,
            cell(&payment["created_at"]),
        ]);
    }
    table.render("There are no payments.")
}
