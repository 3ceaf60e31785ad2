//! What changed from one snapshot to the next that a reload must refuse or say aloud. Pure.

use crate::flags::FlagSet;
use crate::snapshot::Startup;
use crate::types::FlagKey;

/// Losing fewer flags than this at once is housekeeping.
const FEW: usize = 3;

/// The keys that only a restart can change and that differ; a reload with any is refused whole.
#[must_use]
pub fn restart_differences(running: &Startup, wanted: &Startup) -> Vec<String> {
    let Startup { listen, threads, admin_listen, state_dir, ledger } = running;
    let different = [
        ("server.listen", *listen != wanted.listen),
        ("server.threads", *threads != wanted.threads),
        ("admin.listen", *admin_listen != wanted.admin_listen),
        ("state.dir", *state_dir != wanted.state_dir),
        ("payments.ledger", *ledger != wanted.ledger),
    ];
    let message = |(key, _)| format!("{key} needs a restart");
    different.into_iter().filter(|(_, differs)| *differs).map(message).collect()
}

/// Flags that were there and are not any more. That a route still needs one of them is an error of
/// the load itself; this is for saying so.
#[must_use]
pub fn gone_flags(previous: &FlagSet, next: &FlagSet) -> Vec<FlagKey> {
    previous.flags.keys().filter(|key| !next.flags.contains_key(*key)).cloned().collect()
}

/// A warning if at least three flags and a third of all are gone at once: a flag file that was cut
/// short between two flags is well-formed and only has fewer of them.
#[must_use]
pub fn sharp_drop(previous: &FlagSet, next: &FlagSet) -> Option<String> {
    let gone = gone_flags(previous, next);
    if gone.len() < FEW || gone.len() * 3 < previous.flags.len() {
        return None;
    }
    let names = gone.iter().take(FEW).map(FlagKey::as_str).collect::<Vec<_>>().join(", ");
    let more = if gone.len() > FEW { ", …" } else { "" };
    let (before, lost) = (previous.flags.len(), gone.len());
    Some(format!("{lost} of {before} flags are gone ({names}{more}); was a flag file cut short?"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn startup() -> Startup {
        Startup {
            listen: vec!["127.0.0.1:8080".parse().expect("address")],
            threads: 0,
            admin_listen: None,
            state_dir: "/data".into(),
            ledger: None,
        }
    }

    fn flags(keys: &[&str]) -> FlagSet {
        let text: String = keys.iter().map(|key| format!("{key}: {{kind: switch, state: off}}\n")).collect();
        let parsed = super::super::parse_flags_text("flags/a.yaml", &text).expect("flags");
        FlagSet { flags: parsed.into_iter().map(|(key, flag)| (key, Arc::new(flag))).collect(), stale: false }
    }

    #[test]
    fn what_only_a_restart_changes_is_named() {
        assert_eq!(restart_differences(&startup(), &startup()), Vec::<String>::new());
        let wanted = Startup { threads: 4, ledger: Some("embedded:/data/p.db".into()), ..startup() };
        assert_eq!(
            restart_differences(&startup(), &wanted),
            ["server.threads needs a restart", "payments.ledger needs a restart"]
        );
        let wanted =
            Startup { listen: Vec::new(), admin_listen: "[::1]:1".parse().ok(), state_dir: "/x".into(), ..startup() };
        assert_eq!(restart_differences(&startup(), &wanted).len(), 3);
    }

    #[test]
    fn losing_many_flags_at_once_is_said_aloud() {
        let before = flags(&["a", "b", "c", "d", "e", "f"]);
        assert_eq!(gone_flags(&before, &flags(&["a", "c", "d", "e", "f", "g"])), [FlagKey::from("b")]);
        assert_eq!(sharp_drop(&before, &flags(&["a", "b", "c", "d"])), None);
        let warning = sharp_drop(&before, &flags(&["e", "f"])).expect("four of six");
        assert_eq!(warning, "4 of 6 flags are gone (a, b, c, …); was a flag file cut short?");
        assert_eq!(sharp_drop(&flags(&[]), &before), None);
    }
}
