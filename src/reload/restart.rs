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
        ("payments.ledger", or_none(running.ledger.as_ref()), or_none(wanted.ledger.as_ref())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::LedgerPlace;

    fn startup() -> Startup {
        Startup {
            listen: vec!["127.0.0.1:8080".parse().expect("address")],
            threads: 0,
            admin_listen: None,
            state_dir: "/data".into(),
            ledger: None,
        }
    }

    #[test]
    fn every_setting_that_differs_is_named_with_both_values() {
        let config = Path::new("config/gateway.yaml");
        assert_eq!(needs_restart(config, &startup(), &startup()), Vec::new());
        let wanted = Startup {
            listen: Vec::new(),
            threads: 4,
            admin_listen: "[::1]:9901".parse().ok(),
            state_dir: "/other".into(),
            ledger: Some(LedgerPlace::Embedded("/data/p.db".into())),
        };
        let paths: Vec<String> =
            needs_restart(config, &startup(), &wanted).into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["server.listen", "server.threads", "admin.listen", "state.dir", "payments.ledger"]);
        let wanted = Startup { threads: 4, ..startup() };
        assert_eq!(
            needs_restart(config, &startup(), &wanted)[0].to_string(),
            "config/gateway.yaml: server.threads: changing 0 to 4 needs a restart; restart the gateway or undo the change"
        );
    }
}
