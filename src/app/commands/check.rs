//! `figway check`: everything wrong with the files, at once, by the very code that start and reload use.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::cli::CheckArgs;
use crate::app::output::{print_as, printable};
use crate::clock::Timestamp;
use crate::config::{self, Kept, Loaded};
use crate::payments::WindowView;
use crate::snapshot::{Diagnostic, Severity, Snapshot};

/// Windows of each kind of maintenance that are shown.
const WINDOWS: usize = 2;

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let loaded = config::load(&args.config, &Kept::default());
    let config = args.config.display().to_string();
    let now = Timestamp::now();
    print_as(args.output.output, &report(&loaded, now), |_| {
        text(&config, &loaded.diagnostics, loaded.snapshot.as_ref(), now)
    })?;
    Ok(if loaded.snapshot.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(loaded: &Loaded, now: Timestamp) -> Value {
    json!({
        "ok": loaded.snapshot.is_some(),
        "errors": count(&loaded.diagnostics, Severity::Error),
        "warnings": count(&loaded.diagnostics, Severity::Warning),
        "diagnostics": loaded.diagnostics,
        "files": loaded.files.iter().map(|(path, _)| config::shown(path)).collect::<Vec<_>>(),
        "hash": loaded.snapshot.as_ref().map(|snapshot| &snapshot.hash),
        "maintenance": loaded.snapshot.as_ref().map(|snapshot| windows(snapshot, now)),
    })
}

/// A maintenance window of a provider.
#[derive(Debug, Serialize)]
struct ProviderWindow {
    provider: String,
    #[serde(flatten)]
    view: WindowView,
}

/// The windows of each provider that are open or come next, in its order.
fn windows(snapshot: &Snapshot, now: Timestamp) -> Vec<ProviderWindow> {
    let providers = snapshot.payments.iter().flat_map(|payments| &payments.providers);
    let all =
        providers.flat_map(|provider| provider.maintenance.iter().map(move |maintenance| (provider, maintenance)));
    all.flat_map(|(provider, maintenance)| {
        let next = maintenance.open_at(now).into_iter().chain(maintenance.after(now, WINDOWS));
        next.take(WINDOWS).map(|window| ProviderWindow {
            provider: provider.name.to_string(),
            view: WindowView::new(maintenance, window),
        })
    })
    .collect()
}

fn text(config: &str, found: &[Diagnostic], snapshot: Option<&Snapshot>, now: Timestamp) -> String {
    let mut text = diagnostics(found);
    let (errors, warnings) = (count(found, Severity::Error), count(found, Severity::Warning));
    let warned = if warnings == 0 { String::new() } else { format!(", {}", counted(warnings, "warning")) };
    match snapshot {
        Some(snapshot) => {
            let (routes, backends) = (snapshot.routes.len(), snapshot.backends.len());
            let parts =
                [counted(routes, "route"), counted(backends, "backend"), counted(snapshot.flags.flags.len(), "flag")];
            let _ = writeln!(text, "{config} is good: {}{warned}", parts.join(", "));
            for window in windows(snapshot, now) {
                let WindowView { from, until, zone } = window.view;
                let _ = writeln!(text, "maintenance of {}: {from} to {until} ({zone})", window.provider);
            }
        }
        None => {
            let _ = writeln!(text, "{config} is refused: {}{warned}", counted(errors, "error"));
        }
    }
    text
}

/// One line each: `error: file:line:column: path: message`.
pub(super) fn diagnostics(found: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in found {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = writeln!(text, "{severity}: {}", printable(&diagnostic.to_string()));
    }
    text
}

fn count(found: &[Diagnostic], severity: Severity) -> usize {
    found.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_stands_with_its_place_and_the_sum_at_the_end() {
        let found = |severity, line| Diagnostic {
            severity,
            file: "gateway.yaml".into(),
            line,
            column: 3,
            path: "routes[0].flag".into(),
            message: "there is no flag \"x\"".into(),
        };
        let found = [found(Severity::Error, 7), found(Severity::Warning, 9)];
        assert_eq!(
            text("gateway.yaml", &found, None, Timestamp(0)),
            "error: gateway.yaml:7:3: routes[0].flag: there is no flag \"x\"\n\
             warning: gateway.yaml:9:3: routes[0].flag: there is no flag \"x\"\n\
             gateway.yaml is refused: 1 error, 1 warning\n"
        );
    }
}
