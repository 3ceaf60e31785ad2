//! `figway payments weights`: how the providers stand, and their weights, which a flag has.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::flags;
use crate::app::admin_client::{AdminClient, encode};
use crate::app::cli::{RaisingArgs, Weight, WeightsArgs};
use crate::app::output::{Table, cell, print_as};

const PROVIDERS: &str = "/admin/v1/payments/providers";

pub(super) async fn run(args: WeightsArgs) -> anyhow::Result<ExitCode> {
    let WeightsArgs { weights, reason, if_match, gateway } = args;
    let client = AdminClient::new(&gateway)?;
    let standing = client.get(PROVIDERS).await?.document;
    // The command line has both or neither.
    let Some(reason) = reason else {
        print_as(gateway.output.output, &standing, table)?;
        return Ok(ExitCode::SUCCESS);
    };
    let Some(key) = standing["weights"].as_str() else {
        bail!(
            "the weights stand in the config file; to change them here, let payments.weights name a flag of kind \
             split whose variants are the providers"
        );
    };
    let flag = client.get(&format!("/admin/v1/flags/{}", encode(key))).await?.document;
    let changes = Map::from_iter([("variants".to_owned(), variants(&flag["variants"], weights)?)]);
    // The whole distribution was just typed: there is nothing to ask back.
    let raising = RaisingArgs { yes: true, if_match };
    flags::change(key, changes, &reason, raising, &gateway).await
}

/// The flag's variants with the new weights in place, in the flag's own order: it means something.
fn variants(now: &Value, weights: Vec<Weight>) -> anyhow::Result<Value> {
    let mut variants = now.as_object().cloned().context("the flag that has the weights is no split")?;
    for Weight { provider, weight } in weights {
        let Some(now) = variants.get_mut(&provider) else {
            let known: Vec<&str> = variants.keys().map(String::as_str).collect();
            bail!("there is no provider {provider:?}; there are {}", known.join(", "));
        };
        *now = weight.into();
    }
    Ok(json!(variants))
}

fn table(standing: &Value) -> String {
    let headings =
        ["PROVIDER", "WEIGHT", "SHARE", "BREAKER", "SUCCESS", "FULL", "MAINTENANCE UNTIL", "NEXT MAINTENANCE"];
    let mut table = Table::new(&headings);
    for one in standing["providers"].as_array().into_iter().flatten() {
        let demoted = one["factor"].as_f64().filter(|factor| *factor < 1.0);
        let demoted = demoted.map_or_else(String::new, |factor| format!(" × {factor}"));
        let full = one["full_for_ms"].as_u64().map_or_else(String::new, |millis| format!("{millis}ms"));
        table.row(vec![
            cell(&one["provider"]),
            format!("{}{demoted}", cell(&one["weight"])),
            format!("{:.1}%", one["share"].as_f64().unwrap_or(0.0) * 100.0),
            cell(&one["breaker"]),
            format!("{}/{}", cell(&one["succeeded"]), cell(&one["settled"])),
            full,
            cell(&one["maintenance"]["until"]),
            cell(&one["next_maintenance"]["from"]),
        ]);
    }
    let source = match (standing["weights"].as_str(), standing["killed"] == true) {
        (Some(key), true) => format!("Weights: flag {key}, which is KILLED: everything to its first variant\n"),
        (Some(key), false) => format!("Weights: flag {key}\n"),
        (None, _) => "Weights: in the config file\n".to_owned(),
    };
    table.render("There are no providers.") + &crate::app::output::printable(&source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(provider: &str, weight: u32) -> Weight {
        Weight { provider: provider.into(), weight }
    }

    #[test]
    fn new_weights_keep_the_order_and_the_others() {
        let now = json!({"beta": 30, "alpha": 70});
        let changed = variants(&now, vec![weight("alpha", 0)]).expect("valid");
        assert_eq!(changed.to_string(), r#"{"beta":30,"alpha":0}"#);
        let error = variants(&now, vec![weight("gamma", 1)]).expect_err("wrong").to_string();
        assert!(error.contains("no provider \"gamma\"; there are beta, alpha"), "{error}");
    }

    #[test]
    fn the_table_tells_what_keeps_payments_away() {
        let shown = table(&json!({"weights": "shares", "killed": false, "providers": [
            {"provider": "alpha", "weight": 70, "factor": 0.1, "share": 0.189, "breaker": "half-open", "succeeded": 5,
             "settled": 9, "full_for_ms": 400, "maintenance": {"until": "x"}, "next_maintenance": null}]}));
        let row = shown.lines().nth(1).expect("a row").split_whitespace().collect::<Vec<_>>();
        assert_eq!(row, ["alpha", "70", "×", "0.1", "18.9%", "half-open", "5/9", "400ms", "x", "-"]);
        assert!(shown.ends_with("Weights: flag shares\n"));
    }
}
