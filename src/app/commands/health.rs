//! `figway health`: whether a running gateway takes traffic, for health checks where there is no other HTTP client.

use std::process::ExitCode;

use serde_json::Value;

use crate::app::admin_client::{AdminClient, block_on};
use crate::app::cli::HealthArgs;
use crate::app::output::{cell, print_as};

/// A gateway that is not ready, or not there, is an error and thereby exit code 1.
pub(crate) fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(&args.gateway)?;
    let answer = block_on(async { Ok(client.get_having("/readyz", "ready").await?) })?;
    print_as(args.gateway.output.output, &answer.document, sentence)?;
    Ok(ExitCode::SUCCESS)
}

fn sentence(document: &Value) -> String {
    let mut sentence = format!("ready at revision {}", cell(&document["revision"]));
    if document["stale"] == true {
        sentence.push_str(", on the last good copy of its files");
    }
    if document["last_reload"]["success"] == false {
        sentence.push_str(", and the files on disk are wrong: run figway check");
    }
    sentence + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_as_it_should_be_is_said() {
        let good = json!({"revision": 7, "stale": false, "last_reload": {"success": true}});
        assert_eq!(sentence(&good), "ready at revision 7\n");
        let bad = json!({"revision": 7, "stale": true, "last_reload": {"success": false}});
        let text = sentence(&bad);
        assert!(text.contains("last good copy") && text.contains("figway check"), "{text}");
    }
}
