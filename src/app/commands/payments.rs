//! `figway payments`: what the ledger of a running gateway knows, and what people decide about it.

use std::process::ExitCode;

use clap::ValueEnum as _;
use http::Method;
use serde_json::{Value, json};

use super::{payment_export, payment_trial, payment_weights};
use crate::app::admin_client::{AdminClient, block_on, encode};
use crate::app::cli::{GatewayArgs, PaymentListArgs, PaymentResolveArgs, PaymentsCommand};
use crate::app::output::{Table, cell, outline, print_as};
use crate::clock::Timestamp;

pub(crate) fn run(command: PaymentsCommand) -> anyhow::Result<ExitCode> {
    match command {
        PaymentsCommand::List(args) => show(&args.gateway, &list_path(&args), table),
        PaymentsCommand::Show { id, gateway } => {
            show(&gateway, &format!("/admin/v1/payments/{}", encode(&id)), outline)
        }
        PaymentsCommand::Weights(args) => block_on(payment_weights::run(args)),
        PaymentsCommand::Export(args) => block_on(payment_export::run(args)),
        PaymentsCommand::Try(args) => payment_trial::run(&args),
        PaymentsCommand::Resolve(args) => resolve(&args),
    }
}

fn list_path(args: &PaymentListArgs) -> String {
    let (from, to) = (args.from.map(Timestamp::rfc3339), args.to.map(Timestamp::rfc3339));
    let filters = [
        ("status", &args.status),
        ("provider", &args.provider),
        ("order_id", &args.order_id),
        ("from", &from),
        ("to", &to),
        ("before", &args.before),
    ];
    let mut path = format!("/admin/v1/payments?limit={}", args.limit);
    for (name, value) in filters {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    path
}

fn resolve(args: &PaymentResolveArgs) -> anyhow::Result<ExitCode> {
    let state = args.state.to_possible_value().map(|value| value.get_name().to_owned());
    let mut body = json!({ "as": state, "reason": args.reason });
    for (name, number) in [("attempt", args.attempt), ("refund", args.refund)] {
        if let Some(number) = number {
            body[name] = number.into();
        }
    }
    if let Some(reference) = &args.provider_ref {
        body["provider_ref"] = reference.as_str().into();
    }
    let path = format!("/admin/v1/payments/{}/resolve", encode(&args.id));
    let client = AdminClient::new(&args.gateway)?;
    let answer = block_on(async { Ok(client.send(Method::POST, &path, None, &body).await?) })?;
    print_as(args.gateway.output.output, &answer.document, outline)?;
    Ok(ExitCode::SUCCESS)
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
            status(payment),
            cell(&payment["amount"]),
            cell(&payment["currency"]),
            cell(&payment["provider"]),
            attempts,
            cell(&payment["created_at"]),
        ]);
    }
    table.render("There are no payments.")
}

/// What a person has to settle stands out.
fn status(payment: &Value) -> String {
    let status = cell(&payment["status"]);
    if payment["manual"] == true { format!("{status} (manual)") } else { status }
}
