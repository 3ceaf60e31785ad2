//! Tells people how reloads go: log and metrics. A failure that lasts is told once, not with every look.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::flags::Flag;
use crate::snapshot::{Diagnostic, ReloadStatus, Snapshot};
use crate::telemetry::{Metrics, Served};

/// More problems than this are counted in the log; the status and the admin API list them all.
const LOGGED: usize = 20;

/// What was told last, so that it is not told again.
#[derive(Debug)]
pub(super) struct Report {
    metrics: Arc<Metrics>,
    told: Option<Vec<Diagnostic>>,
    told_disk: Option<String>,
    told_warnings: Vec<Diagnostic>,
}

impl Report {
    /// Nothing was told yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, told: None, told_disk: None, told_warnings: Vec::new() }
    }

    /// A new revision serves.
    pub(super) fn published(&mut self, snapshot: &Snapshot, status: &ReloadStatus) {
        self.told = None;
        self.count("published", status);
        self.serving(snapshot);
        tracing::info!(
            revision = snapshot.revision.0,
            hash = snapshot.hash,
            flags = snapshot.flags.flags.len(),
            routes = snapshot.routes.len(),
            "configuration is in effect"
        );
        for warning in new_warnings(&self.told_warnings, &snapshot.warnings) {
            tracing::warn!(revision = snapshot.revision.0, "{warning}");
        }
        self.told_warnings.clone_from(&snapshot.warnings);
    }

    /// The files are good and hold what is served already.
    pub(super) fn unchanged(&mut self, status: &ReloadStatus) {
        self.count("unchanged", status);
        if self.told.take().is_some() {
            tracing::info!(revision = status.revision.0, "the files are good again and hold what is served");
        }
    }

    /// The files are bad; what is served stays.
    pub(super) fn refused(&mut self, status: &ReloadStatus) {
        if self.told.as_ref() != Some(&status.problems) {
            self.tell(status, "the files are refused as a whole; the last good revision keeps serving");
        }
    }

    /// The files were bad at start.
    pub(super) fn stale(&mut self, snapshot: &Snapshot, status: &ReloadStatus) {
        self.tell(status, "the files are bad; serving the last good copy, every flag's reason is STALE");
        self.serving(snapshot);
    }

    fn serving(&self, snapshot: &Snapshot) {
        let validities = snapshot.server.tls.as_ref().map(|tls| tls.validities.as_slice()).unwrap_or_default();
        let mut expiries: BTreeMap<&str, f64> = BTreeMap::new();
        for one in validities {
            let Some(expiry) = Timestamp::parse(&one.not_after) else { continue };
            let earliest = expiries.entry(&one.file).or_insert(f64::INFINITY);
            *earliest = earliest.min(in_seconds(expiry));
        }
        self.metrics.serving(&Served {
            hash: &snapshot.hash,
            certificates: expiries.into_iter().collect(),
            routes: snapshot.routes.iter().map(|route| route.name.as_str()).collect(),
            backends: snapshot.backends.iter().map(|backend| backend.name.as_str()).collect(),
            flags: snapshot.flags.flags.values().flat_map(|flag| variants(flag)).collect(),
        });
    }

    fn tell(&mut self, status: &ReloadStatus, outcome: &str) {
        self.count("refused", status);
        for problem in status.problems.iter().take(LOGGED) {
            tracing::error!("{problem}");
        }
        tracing::error!(revision = status.revision.0, problems = status.problems.len(), "{outcome}");
        self.told = Some(status.problems.clone());
    }

    /// The state folder took what it was given, or not.
    pub(super) fn disk(&mut self, outcome: std::io::Result<()>) {
        let Err(error) = outcome else {
            self.told_disk = None;
            return;
        };
        let error = error.to_string();
        if self.told_disk.as_ref() != Some(&error) {
            tracing::error!(error, "the state folder takes no writes; history and last good copy are not on disk yet");
            self.told_disk = Some(error);
        }
    }

    fn count(&self, outcome: &str, status: &ReloadStatus) {
        self.metrics.reloads.with_label_values(&[outcome]).inc();
        self.metrics.last_reload_success.set(i64::from(status.success));
        self.metrics.last_reload_success_timestamp.set(in_seconds(status.last_success));
        self.metrics.revision.set(i64::try_from(status.revision.0).unwrap_or(i64::MAX));
    }
}

/// Each variant of a flag with the flag's key.
fn variants(flag: &Flag) -> impl Iterator<Item = [&str; 2]> {
    flag.variants().iter().map(|variant| [flag.key.as_str(), variant.as_str()])
}

fn in_seconds(moment: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit into 53 bits")]
    let milliseconds = moment.0 as f64;
    milliseconds / 1000.0
}

/// Those that the revision before did not have; one that only moved to another line is not new.
fn new_warnings<'a>(told: &[Diagnostic], now: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let same = |one: &Diagnostic, other: &Diagnostic| {
        (&one.file, &one.path, &one.message) == (&other.file, &other.path, &other.message)
    };
    now.iter().filter(|warning| !told.iter().any(|told| same(told, warning))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Severity;

    fn warning(line: usize, message: &str) -> Diagnostic {
        let (file, path) = ("flags/shop.yaml".to_owned(), "banner".to_owned());
        Diagnostic { severity: Severity::Warning, file, line, column: 1, path, message: message.into() }
    }

    #[test]
    fn a_warning_is_told_once_while_it_lasts() {
        let (unused, expired) = (warning(3, "no route uses it"), warning(4, "it expired"));
        let first = std::slice::from_ref(&unused);
        assert_eq!(new_warnings(&[], first), [&unused]);
        assert_eq!(new_warnings(first, &[warning(9, "no route uses it"), expired.clone()]), [&expired]);
        assert_eq!(new_warnings(&[expired], first), [&unused], "it was gone, so it is news");
    }
}
