//! How many requests may be tried again, so that retries never make an overload worse.
//!
//! A backend may get one retry for every five requests of the last second, and ten a second in any
//! case; the larger of the two counts, not their sum. Nothing older is saved up, so that an outage
//! does not begin with a burst of retries. Every core has its own budget with its part of the ten a
//! second, so that nothing is shared between cores.
//!
//! Deliberately not here: which requests may be tried again at all, and tries after a failed connect,
//! which need no budget because the backend never saw them.

use std::time::Instant;

/// Requests for each retry: 20 %.
const REQUESTS_PER_RETRY: u64 = 5;
/// Retries a second over all cores that need no requests.
const FLOOR_PER_SECOND: f64 = 10.0;
/// The last second is counted in this many slots.
const SLOTS: usize = 10;
const SLOT_MILLIS: u64 = 1000 / SLOTS as u64;

/// The retries that one core may send to one backend.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    start: Instant,
    /// The latest slot seen, counted from `start`.
    slot: u64,
    /// By slot, modulo their number.
    counts: [Counts; SLOTS],
    floor: Floor,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u64,
    retries: u64,
}

/// Retries that need no requests: they come back at a steady rate, and at most a second's worth waits.
#[derive(Debug, Clone)]
struct Floor {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl RetryBudget {
    /// A full budget; `cores` is the number of budgets that share a backend's floor (0 counts as 1).
    ///
    /// On more than ten cores each still has one retry to begin with; it takes longer to come back.
    #[must_use]
    pub fn new(start: Instant, cores: usize) -> Self {
        let per_second = FLOOR_PER_SECOND / cores.max(1) as f64;
        let floor = Floor { per_second, left: per_second.max(1.0), at: start };
        Self { start, slot: 0, counts: [Counts::default(); SLOTS], floor }
    }

    /// Counts a request, once, whether or not it is tried again.
    pub fn request(&mut self, now: Instant) {
        self.counts(now).requests += 1;
    }

    /// Takes one retry out of the budget; `false` if none is left, and then the request must not be tried again.
    #[must_use = "a retry that was not granted must not be sent"]
    pub fn take(&mut self, now: Instant) -> bool {
        self.counts(now);
        self.floor.refill(now);
        let requests: u64 = self.counts.iter().map(|counts| counts.requests).sum();
        let retries: u64 = self.counts.iter().map(|counts| counts.retries).sum();
        let granted = self.floor.left >= 1.0 || retries < requests / REQUESTS_PER_RETRY;
        if granted {
            // Also a retry that the share would cover uses the floor up: it is a floor, not an extra.
            self.floor.left = (self.floor.left - 1.0).max(0.0);
            self.counts(now).retries += 1;
        }
        granted
    }

    /// The counts of this moment's slot, after forgetting what is older than a second.
    fn counts(&mut self, now: Instant) -> &mut Counts {
        let slot = now.saturating_duration_since(self.start).as_millis() as u64 / SLOT_MILLIS;
        while self.slot < slot {
            // After a long silence one round forgets everything.
            self.slot = (self.slot + 1).max(slot.saturating_sub(SLOTS as u64));
            self.counts[place(self.slot)] = Counts::default();
        }
        &mut self.counts[place(self.slot)]
    }
}

impl Floor {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.per_second.max(1.0));
        self.at = self.at.max(now);
    }
}

fn place(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(budget: &mut RetryBudget, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| budget.take(now)).count()
    }

    #[test]
    fn a_quiet_backend_gets_ten_retries_a_second() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start, 1);
        for second in 0..60 {
            assert_eq!(taken(&mut budget, start + Duration::from_secs(second), 1000), 10);
        }
        assert_eq!(taken(&mut budget, start + Duration::from_secs(3600), 1000), 10, "silence saves nothing up");
    }

    #[test]
    fn a_busy_backend_gets_a_retry_for_every_five_requests() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start, 1);
        (0..5000).for_each(|_| budget.request(start));
        assert_eq!(taken(&mut budget, start, 5000), 1000);
        (0..5).for_each(|_| budget.request(start));
        assert_eq!(taken(&mut budget, start, 5), 1, "the next five requests bring one more");
    }

    #[test]
    fn the_larger_of_share_and_floor_holds_over_time() {
        let start = Instant::now();
        for (requests_a_second, expect) in [(10, 10), (40, 10), (100, 20), (1000, 200)] {
            let mut budget = RetryBudget::new(start, 1);
            let mut granted = 0;
            for request in 0..requests_a_second * 20 {
                let now = start + Duration::from_secs(1) * request / requests_a_second;
                budget.request(now);
                granted += taken(&mut budget, now, 3);
            }
            let a_second = granted / 20;
            assert!(a_second.abs_diff(expect) <= 1, "{a_second} a second at {requests_a_second} requests a second");
        }
    }

    #[test]
    fn what_is_older_than_a_second_does_not_count() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start, 1);
        (0..5000).for_each(|_| budget.request(start));
        assert_eq!(taken(&mut budget.clone(), start + Duration::from_millis(999), 5000), 1000);
        assert_eq!(taken(&mut budget.clone(), start + Duration::from_secs(1), 5000), 10);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(1 << 30), 5000), 10);
    }

    #[test]
    fn cores_share_the_floor_and_none_goes_without() {
        let start = Instant::now();
        for (cores, at_once, in_ten_seconds) in [(0, 10, 100), (1, 10, 100), (4, 2, 25), (16, 1, 6), (1000, 1, 0)] {
            let mut budget = RetryBudget::new(start, cores);
            assert_eq!(taken(&mut budget, start, 1000), at_once, "{cores} cores");
            let later = (1..=1000).map(|step| taken(&mut budget, start + Duration::from_millis(step * 10), 9));
            let later: usize = later.sum();
            assert!(later.abs_diff(in_ten_seconds) <= 1, "{later} in ten seconds on {cores} cores");
        }
    }

    #[test]
    fn a_moment_before_the_latest_counts_as_the_latest() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start, 1);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(5), 6), 6);
        assert_eq!(taken(&mut budget, start, 60), 4);
    }
}
