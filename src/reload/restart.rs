//! What a reload may not change: listeners, threads and where durable state lives.

use std::path::Path;

use crate::snapshot::{Diagnostic, Severity, Startup};

/// One error for each setting that differs; empty if the reload may go on.
pub(super) fn needs_restart(config: &Path, running: &Startup, wanted: &Startup) -> Vec<Diagnostic> {
    let settings = [
        ("server.listen", format!("{:?}", running.listen), format!("{:?}", wanted.listen)),
        ("server.threads", running.threads.to_string(), wanted.threads.to_string()),
        ("admin.listen", or_none(running.admin_listen), or_none(wanted.admin_listen)),
        ("state.dir", running.state_dir.display().to_string(), wanted.state_dir.display().to_string()),
        ("payments.ledger", or_none(running.ledger.as_deref()), or_none(wanted.ledger.as_deref())),
    ];
    let differing = settings.into_iter().filter(|(_, running, wanted)| running != wanted);
    differing
        .map(|(path, running, wanted)| Diagnostic {
            severity: Severity::Error,
            file: config.display().to_string(),
            line: 0,
            column: 0,
            path: path.to_owned(),
            message: format!("changing {running} to {wanted} needs a restart; restart the gateway or undo the change"),
        })
        .collect()
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}
