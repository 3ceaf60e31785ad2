//! `figway explain`: by a configuration on disk, or by a running gateway; the same code answers.

use std::path::Path;
use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};

use super::check;
use crate::admin::ExplainRequest;
use crate::app::admin_client::{AdminClient, block_on};
use crate::app::cli::ExplainArgs;
use crate::app::explainer;
use crate::app::output::{outline, print_as};
use crate::config::{self, Kept};

pub(crate) fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let ExplainArgs { method, path, headers, host, subject, config, gateway } = args;
    let headers = headers.into_iter().map(|field| (field.name, field.value)).collect();
    let request = ExplainRequest { method: method.to_string(), path, host, headers, subject };
    let explanation = match &config {
        Some(config) => explain_here(config, request)?,
        None => explain_there(&AdminClient::new(&gateway)?, &request)?,
    };
    print_as(gateway.output.output, &explanation, outline)?;
    Ok(ExitCode::SUCCESS)
}

fn explain_here(config: &Path, request: ExplainRequest) -> anyhow::Result<Value> {
    let request = request.checked().map_err(anyhow::Error::msg)?;
    let loaded = config::load(config, &Kept::default());
    match loaded.snapshot {
        Some(snapshot) => Ok(explainer::explain(&snapshot, &request)),
        None => {
            eprint!("{}", check::diagnostics(&loaded.diagnostics));
            anyhow::bail!("{} is refused; nothing can be explained by it", config.display())
        }
    }
}

fn explain_there(client: &AdminClient, request: &ExplainRequest) -> anyhow::Result<Value> {
    let mut headers = serde_json::Map::new();
    for (name, _) in &request.headers {
        let values = request.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| json!(value));
        headers.insert(name.clone(), values.collect());
    }
    let body = json!({
        "method": request.method,
        "path": request.path,
        "host": request.host,
        "headers": headers,
        "subject": request.subject,
    });
    let answer = block_on(async { Ok(client.send(Method::POST, "/admin/v1/explain", None, &body).await?) })?;
    Ok(answer.document)
}
