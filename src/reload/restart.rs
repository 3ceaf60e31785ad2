//! What a reload may not change: listeners, threads and where durable state lives.

use std::collections::BTreeMap;
use std::path::Path;

use crate::snapshot::{Diagnostic, Severity, Startup};

/// One error for each setting that differs, placed where it is written; empty if the reload may go on.
pub(super) fn needs_restart(
    config: &Path,
    running: &Startup,
    wanted: &Startup,
    places: &BTreeMap<&'static str, (usize, usize)>,
) -> Vec<Diagnostic> {
    let (old, new) = (running, wanted);
    // Compared by value: two ledgers may differ in the password alone, which is never shown.
    let differs = [
        old.listen != new.listen,
        old.threads != new.threads,
        old.admin_listen != new.admin_listen,
        old.state_dir != new.state_dir,
        old.ledger != new.ledger,
    ];
    let shown = Startup::PATHS.into_iter().zip(in_words(old).into_iter().zip(in_words(new)));
    let differing = shown.zip(differs).filter(|(_, differs)| *differs);
    differing
        .map(|((path, (old, new)), _)| {
            // What the file leaves to its default stands nowhere.
            let (line, column) = places.get(path).copied().unwrap_or_default();
            let change = if old == new { format!("changing {old}") } else { format!("changing {old} to {new}") };
            Diagnostic {
                severity: Severity::Error,
                file: config.display().to_string(),
                line,
                column,
                path: path.to_owned(),
                message: format!("{change} needs a restart; restart the gateway or undo the change"),
            }
        })
        .collect()
}

/// In the order of [`Startup::PATHS`].
fn in_words(startup: &Startup) -> [String; 5] {
    [
        format!("{:?}", startup.listen),
        startup.threads.to_string(),
        or_none(startup.admin_listen),
        startup.state_dir.display().to_string(),
        or_none(startup.ledger.as_ref()),
    ]
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{LedgerPlace, PostgresAddress};

    const CONFIG: &str = "config/gateway.yaml";

    fn startup() -> Startup {
        Startup {
            listen: vec!["127.0.0.1:8080".parse().expect("address")],
            threads: 0,
            admin_listen: None,
            state_dir: "/data".into(),
            ledger: None,
        }
    }

    fn refused(running: &Startup, wanted: &Startup) -> Vec<Diagnostic> {
        needs_restart(Path::new(CONFIG), running, wanted, &BTreeMap::from([("server.threads", (3, 12))]))
    }

    #[test]
    fn every_setting_that_differs_is_named_with_both_values() {
        assert_eq!(refused(&startup(), &startup()), Vec::new());
        let wanted = Startup {
            listen: Vec::new(),
            threads: 4,
            admin_listen: "[::1]:9901".parse().ok(),
            state_dir: "/other".into(),
            ledger: Some(LedgerPlace::Embedded("/data/p.db".into())),
        };
        let paths: Vec<String> = refused(&startup(), &wanted).into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, Startup::PATHS);
        assert_eq!(
            refused(&startup(), &wanted)[1].to_string(),
            "config/gateway.yaml:3:12: server.threads: changing 0 to 4 needs a restart; restart the gateway or undo the change"
        );
        assert!(refused(&startup(), &wanted)[0].to_string().starts_with("config/gateway.yaml: server.listen: "));
    }

    /// It was compared as it is shown, so that another password was accepted and never used.
    #[test]
    fn another_password_for_the_ledger_needs_a_restart_and_is_not_told() {
        let with = |password: &str| {
            let url = format!("postgres://figway:{password}@db.internal/figway");
            Startup {
                ledger: Some(LedgerPlace::Postgres(PostgresAddress::parse(&url).expect("an address"))),
                ..startup()
            }
        };
        let problems = refused(&with("first-secret"), &with("second-secret"));
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.path == "payments.ledger" && !problem.message.contains("secret"), "{problem}");
    }
}
