//! `figway flags`: list, show and change the flags of a running gateway.
//!
//! What sends more traffic to something new is asked about first; a kill never is.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::flag_tables::{done, history_table, list_table, winner};
use super::moved::moved;
use super::raise::{changed, definition, raised};
use crate::app::admin_client::{AdminClient, Answer, CallError, block_on, encode};
use crate::app::cli::{FlagsCommand, GatewayArgs, Output, RaisingArgs, SetArgs};
use crate::app::output::{cell, outline, print_as, printable};

/// How often a kill is tried while others keep changing the flag.
const KILL_TRIES: usize = 5;

pub(crate) fn run(command: FlagsCommand) -> anyhow::Result<ExitCode> {
    block_on(async {
        match command {
            FlagsCommand::List(gateway) => look(&gateway, "/admin/v1/flags", "flags", list_table).await,
            FlagsCommand::Show { key, gateway } => look(&gateway, &path(&key, ""), "kind", outline).await,
            FlagsCommand::History { key, limit, gateway } => {
                look(&gateway, &path(&key, &format!("/history?limit={limit}")), "entries", history_table).await
            }
            FlagsCommand::Set(args) => set(args).await,
            FlagsCommand::Kill { key, reason, gateway } => kill(&key, &reason, &gateway).await,
            FlagsCommand::Revive { key, reason, raising, gateway } => revive(&key, &reason, raising, &gateway).await,
            FlagsCommand::Undo { key, reason, raising, gateway } => undo(&key, reason, raising, &gateway).await,
        }
    })
}

async fn look(
    gateway: &GatewayArgs,
    path: &str,
    member: &str,
    table: impl FnOnce(&Value) -> String,
) -> anyhow::Result<ExitCode> {
    let answer = AdminClient::new(gateway)?.get_having(path, member).await?;
    print_as(gateway.output.output, &answer.document, table)?;
    Ok(ExitCode::SUCCESS)
}

async fn set(args: SetArgs) -> anyhow::Result<ExitCode> {
    let SetArgs { key, changes, reason, raising, gateway } = args;
    let changes = changes.into_iter().map(|change| (change.name, change.value)).collect();
    change(&key, changes, &reason, raising, &gateway).await
}

async fn revive(key: &str, reason: &str, raising: RaisingArgs, gateway: &GatewayArgs) -> anyhow::Result<ExitCode> {
    let changes = Map::from_iter([("killed".to_owned(), json!(false))]);
    change(key, changes, reason, raising, gateway).await
}

pub(super) async fn change(
    key: &str,
    changes: Map<String, Value>,
    reason: &str,
    raising: RaisingArgs,
    gateway: &GatewayArgs,
) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(gateway)?;
    let now = client.get(&path(key, "")).await?;
    ask_before(key, &now.document, &changed(&definition(&now.document), &changes), raising)?;
    let body = json!({ "changes": changes, "reason": reason });
    let seen = seen(raising, &now)?;
    let outcome = client.send(Method::PATCH, &path(key, ""), Some(seen), &body).await;
    report(key, &now.document, outcome, gateway.output.output)
}

/// No question, and no losing against somebody else's change: whatever they did, this flag is to be off.
async fn kill(key: &str, reason: &str, gateway: &GatewayArgs) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(gateway)?;
    let body = json!({ "changes": { "killed": true }, "reason": reason });
    for tries_left in (0..KILL_TRIES).rev() {
        let now = client.get(&path(key, "")).await?;
        if now.document["killed"] == true {
            print_as(gateway.output.output, &now.document, |_| printable(&format!("{key} is killed already\n")))?;
            return Ok(ExitCode::SUCCESS);
        }
        let outcome = client.send(Method::PATCH, &path(key, ""), Some(revision(&now)?), &body).await;
        match outcome {
            Err(CallError::Refused { status: StatusCode::PRECONDITION_FAILED, .. }) if tries_left > 0 => {}
            outcome => return report(key, &now.document, outcome, gateway.output.output),
        }
    }
    bail!("{key} could not be killed: it was changed {KILL_TRIES} times meanwhile")
}

async fn undo(
    key: &str,
    reason: Option<String>,
    raising: RaisingArgs,
    gateway: &GatewayArgs,
) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(gateway)?;
    let now = client.get(&path(key, "")).await?;
    let history = client.get(&path(key, "/history?limit=1")).await?.document;
    let Some(last) = history["entries"].get(0) else { bail!("no change of {key} is recorded") };
    ask_before(key, &now.document, &last["before"], raising)?;
    let reason = reason.unwrap_or_else(|| format!("undo of {}: {}", cell(&last["revision"]), cell(&last["reason"])));
    let (body, seen) = (json!({ "reason": reason }), seen(raising, &now)?);
    let outcome = client.send(Method::POST, &path(key, "/undo"), Some(seen), &body).await;
    report(key, &now.document, outcome, gateway.output.output)
}

fn path(key: &str, rest: &str) -> String {
    format!("/admin/v1/flags/{}{rest}", encode(key))
}

fn revision(answer: &Answer) -> anyhow::Result<u64> {
    answer.revision.context("the gateway's answer carries no revision")
}

fn seen(raising: RaisingArgs, now: &Answer) -> anyhow::Result<u64> {
    raising.if_match.map_or_else(|| revision(now), Ok)
}

/// Lets the change from a flag's document to another definition pass if nothing rises, or somebody said yes.
fn ask_before(key: &str, flag: &Value, after: &Value, raising: RaisingArgs) -> anyhow::Result<()> {
    let raised = raised(&definition(flag), after);
    if raised.is_empty() || raising.yes {
        return Ok(());
    }
    let (raised, moved) = (raised.join(", "), moved(flag, after));
    let what = printable(&format!("{key} would send more traffic to something new: {raised} ({moved})."));
    if !io::stdin().is_terminal() {
        bail!("{what} Nothing was changed, because there is no terminal to ask at; repeat it with --yes");
    }
    let mut err = io::stderr().lock();
    writeln!(err, "{what}")?;
    for route in flag["routes"].as_array().into_iter().flatten() {
        let to: Vec<String> = route["backends"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(variant, backend)| format!("{variant} = {}", cell(backend)))
            .collect();
        writeln!(err, "  route {}: {}", printable(&cell(&route["name"])), printable(&to.join(", ")))?;
    }
    write!(err, "Go on? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing was changed"),
    }
}

fn report(key: &str, before: &Value, outcome: Result<Answer, CallError>, output: Output) -> anyhow::Result<ExitCode> {
    match outcome {
        Ok(answer) => {
            print_as(output, &answer.document, |after| done(key, before, after))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CallError::Refused { status: StatusCode::PRECONDITION_FAILED, mut document }) => {
            document["detail"] = json!(format!("nothing was changed: {}", winner(key, &document)));
            Err(CallError::Refused { status: StatusCode::PRECONDITION_FAILED, document }.into())
        }
        Err(error) => Err(error.into()),
    }
}
