//! Which flags are asked, when they were asked last, and how often: read off their counters now and then, so that
//! requests pay nothing for it.
//!
//! What it knows begins with the process. A flag that nobody asks is one that can go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::metrics::{FlagCount, Metrics};
use crate::clock::Timestamp;

/// Rates are means over about this long.
const WINDOW: Duration = Duration::from_secs(60);

/// What is known of one flag.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activity {
    /// When it was last seen to have been asked, by a request or by a client; `None`: not since the process started.
    pub last_evaluated: Option<Timestamp>,
    /// Requests a second that each variant was said to, over the last minute; empty while too little is known.
    pub per_second: Vec<(String, f64)>,
}

/// Follows the counters of all flags.
#[derive(Debug)]
pub struct FlagActivity {
    metrics: Arc<Metrics>,
    flags: Mutex<BTreeMap<String, Flag>>,
}

#[derive(Debug, Default)]
struct Flag {
    last_evaluated: Option<Timestamp>,
    variants: BTreeMap<String, Counts>,
}

/// One variant's counts.
#[derive(Debug, Default)]
struct Counts {
    /// Requests, with the moment at which they were counted; oldest first.
    requests: VecDeque<(Timestamp, u64)>,
    /// Of requests and clients together, when last looked at.
    total: u64,
}

impl FlagActivity {
    /// How often [`FlagActivity::look`] wants to be called.
    pub const EVERY: Duration = Duration::from_secs(5);

    /// Knows nothing before its first look.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, flags: Mutex::default() }
    }

    /// Reads the counters.
    pub fn look(&self, now: Timestamp) {
        let counts = self.metrics.flag_counts();
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        // What a reload took away is not counted any more.
        flags.retain(|flag, known| {
            known.variants.retain(|variant, _| {
                counts.binary_search_by_key(&(flag, variant), |count| (&count.flag, &count.variant)).is_ok()
            });
            !known.variants.is_empty()
        });
        for count in counts {
            flags.entry(count.flag.clone()).or_default().note(&count, now);
        }
    }

    /// What is known of a flag.
    #[must_use]
    pub fn of(&self, flag: &str) -> Activity {
        let flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        flags.get(flag).map(Flag::activity).unwrap_or_default()
    }

    /// A client asked for the flag itself and was told this variant.
    pub fn asked_remotely(&self, flag: &str, variant: &str) {
        self.metrics.flag_asked_remotely(flag, variant);
    }
}

impl Flag {
    fn note(&mut self, count: &FlagCount, now: Timestamp) {
        let counts = self.variants.entry(count.variant.clone()).or_default();
        let total = count.requests + count.remote;
        if total > counts.total {
            self.last_evaluated = Some(now);
        }
        counts.total = total; // less than before if the flag was taken away and came back
        counts.requests.push_back((now, count.requests));
        // The oldest that is kept is the first at or before the window's beginning.
        while counts.requests.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            counts.requests.pop_front();
        }
    }

    fn activity(&self) -> Activity {
        let rates = self.variants.iter().filter_map(|(name, counts)| Some((name.clone(), counts.per_second()?)));
        Activity { last_evaluated: self.last_evaluated, per_second: rates.collect() }
    }
}

impl Counts {
    /// `None` before the second look.
    fn per_second(&self) -> Option<f64> {
        let ((from, before), (until, after)) = (self.requests.front()?, self.requests.back()?);
        let elapsed = until.since(*from).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "requests of a minute fit into 53 bits")]
        let requests = after.saturating_sub(*before) as f64;
        (elapsed > 0.0).then_some(requests / elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn requests(metrics: &Arc<Metrics>, variant: &str, count: u32) {
        let series = metrics.core().flag("member-api", variant);
        (0..count).for_each(|_| series.evaluated());
    }

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let metrics = Arc::new(Metrics::new());
        let activity = FlagActivity::new(Arc::clone(&metrics));
        for second in (0..=300).step_by(5) {
            activity.look(at(second));
            requests(&metrics, "legacy", if second < 200 { 500 } else { 50 });
            requests(&metrics, "new", 5);
        }
        assert_eq!(activity.of("member-api").per_second, [("legacy".into(), 10.0), ("new".into(), 1.0)]);
        let flags = activity.flags.lock().expect("lock");
        assert_eq!(flags["member-api"].variants["new"].requests.len(), 13, "a minute's worth, and no more");
    }

    #[test]
    fn nothing_is_known_of_a_flag_that_nobody_asked_or_of_rates_after_one_look() {
        let metrics = Arc::new(Metrics::new());
        let activity = FlagActivity::new(Arc::clone(&metrics));
        requests(&metrics, "new", 1);
        activity.look(at(0));
        assert_eq!(activity.of("other"), Activity::default());
        assert_eq!(activity.of("member-api"), Activity { last_evaluated: Some(at(0)), per_second: Vec::new() });
    }

    #[test]
    fn a_flag_was_last_asked_when_one_of_its_counters_last_moved() {
        let metrics = Arc::new(Metrics::new());
        let activity = FlagActivity::new(Arc::clone(&metrics));
        // Series exist from the moment at which a route names the flag, at zero.
        let _ = metrics.core().flag("member-api", "legacy");
        activity.look(at(0));
        assert_eq!(activity.of("member-api").last_evaluated, None);
        requests(&metrics, "legacy", 3);
        activity.look(at(5));
        activity.look(at(10));
        assert_eq!(activity.of("member-api").last_evaluated, Some(at(5)));
        activity.asked_remotely("member-api", "new");
        activity.look(at(15));
        assert_eq!(activity.of("member-api").last_evaluated, Some(at(15)));
        assert_eq!(activity.of("member-api").per_second[0], ("legacy".into(), 0.2), "clients are not requests");
    }

    #[test]
    fn a_flag_that_a_reload_took_away_is_forgotten() {
        let metrics = Arc::new(Metrics::new());
        let activity = FlagActivity::new(Arc::clone(&metrics));
        requests(&metrics, "new", 9);
        activity.look(at(0));
        metrics.serving(&crate::telemetry::Served::default());
        activity.look(at(5));
        assert!(activity.flags.lock().expect("lock").is_empty());
        requests(&metrics, "new", 1);
        activity.look(at(10));
        assert_eq!(activity.of("member-api").last_evaluated, Some(at(10)), "counted from zero");
    }
}
