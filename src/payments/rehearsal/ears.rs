//! An observer that remembers what it was told.

use std::sync::Mutex;
use std::time::Duration;

use crate::payments::ledger::Tally;
use crate::payments::observer::Observer;
use crate::payments::record::Operation;
use crate::payments::verdict::Verdict;
use crate::types::ProviderName;

/// See the module's text.
#[derive(Debug, Default)]
pub(in crate::payments) struct Ears {
    heard: Mutex<Vec<String>>,
    tally: Mutex<Tally>,
}

impl Ears {
    /// How often this was told.
    pub(in crate::payments) fn count(&self, what: &str) -> usize {
        self.heard.lock().expect("no test panicked in here").iter().filter(|heard| *heard == what).count()
    }

    /// The latest tally.
    pub(in crate::payments) fn tally(&self) -> Tally {
        *self.tally.lock().expect("no test panicked in here")
    }

    fn hear(&self, what: String) {
        self.heard.lock().expect("no test panicked in here").push(what);
    }
}

impl Observer for Ears {
    fn called(&self, provider: &ProviderName, operation: Operation, verdict: &Verdict, _: Duration) {
        self.hear(format!("{provider} {} {}", operation.as_str(), verdict.class()));
    }

    fn alarm(&self, provider: &ProviderName) {
        self.hear(format!("{provider} alarm"));
    }

    fn late_capture(&self, provider: &ProviderName) {
        self.hear(format!("{provider} late capture"));
    }

    fn tally(&self, tally: &Tally) {
        *self.tally.lock().expect("no test panicked in here") = *tally;
    }
}
