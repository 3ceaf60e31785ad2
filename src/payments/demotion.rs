//! Demotion: a provider whose charges succeed clearly less often than its peers' gets fewer of them.
//!
//! Off unless configured. The rule, over the charges settled within the window, where `s` of `n`
//! succeeded at the provider and `S` of `N` at all others together: it is demoted if `n` and `N`
//! reach `min_samples`, if `s/n < below · S/N` (it matters), and if the Wilson intervals at 99 % of
//! the two rates do not overlap, its own being the lower (it is no chance):
//!
//! ```text
//! centre = (s + z²/2) / (n + z²)    half = z · √(s·(n−s)/n + z²/4) / (n + z²)    z = 2.576
//! ```
//!
//! Declines count as failures here, as they never do for the breaker: a provider that declines what
//! others accept costs orders, and compared with its peers the customers' own part cancels out. A
//! demoted provider keeps `explore` of its weight, so it goes on being measured; what it did longer
//! ago than the window is forgiven. Wilson, "Probable inference…", JASA 22 (1927).

use std::collections::VecDeque;
use std::time::Duration;

/// Two-sided 99 %.
const Z: f64 = 2.576;
/// Width of the slots in which outcomes are counted.
const SLOT: Duration = Duration::from_secs(10);
/// Longest window, and how far back outcomes are kept.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// When a provider gets fewer payments, and how many it keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demotion {
    /// How long an outcome counts; 1 minute to 6 hours.
    pub window: Duration,
    /// Fewest outcomes to judge by, of the provider and of its peers.
    pub min_samples: u32,
    /// Share of the peers' rate of success below which it is demoted, above 0 and up to 1.
    pub below: f64,
    /// Share of its weight that a demoted provider keeps, above 0 and up to 1.
    pub explore: f64,
}

impl Demotion {
    /// Longest [`Self::window`].
    pub const LONGEST_WINDOW: Duration = LONGEST;

    /// By how much the weight of a provider with this tally is multiplied, beside peers with that one.
    #[must_use]
    pub(super) fn factor(&self, own: Tally, peers: Tally) -> f64 {
        let enough = own.settled.min(peers.settled) >= self.min_samples.max(1);
        let clearly = enough && own.rate() < self.below * peers.rate() && own.wilson().1 < peers.wilson().0;
        if clearly { self.explore } else { 1.0 }
    }
}

/// Charges that were settled, and how many of them succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) succeeded: u32,
    pub(super) settled: u32,
}

impl Tally {
    /// Share that succeeded; 0 of none.
    #[must_use]
    pub(super) fn rate(self) -> f64 {
        f64::from(self.succeeded) / f64::from(self.settled.max(1))
    }

    /// The tally of both together.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self { succeeded: self.succeeded + other.succeeded, settled: self.settled + other.settled }
    }

    /// Lower and upper bound of the true rate.
    fn wilson(self) -> (f64, f64) {
        let (s, n) = (f64::from(self.succeeded), f64::from(self.settled.max(1)));
        let centre = (s + Z * Z / 2.0) / (n + Z * Z);
        let half = Z * (s * (n - s) / n + Z * Z / 4.0).sqrt() / (n + Z * Z);
        (centre - half, centre + half)
    }
}

/// Outcomes of the last hours, by slot of time since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Outcomes(VecDeque<(u64, Tally)>);

impl Outcomes {
    /// Counts a charge that was settled now.
    pub(super) fn note(&mut self, now: Duration, succeeded: bool) {
        let slot = slot(now);
        if self.0.back().is_none_or(|(last, _)| *last < slot) {
            self.0.push_back((slot, Tally::default()));
        }
        if let Some((_, tally)) = self.0.back_mut() {
            *tally = tally.plus(Tally { succeeded: u32::from(succeeded), settled: 1 });
        }
        while self.0.front().is_some_and(|(first, _)| *first + self::slot(LONGEST) < slot) {
            self.0.pop_front();
        }
    }

    /// What was settled within the window.
    #[must_use]
    pub(super) fn within(&self, now: Duration, window: Duration) -> Tally {
        let oldest = slot(now.saturating_sub(window));
        let counts = self.0.iter().rev().take_while(|(slot, _)| *slot >= oldest);
        counts.fold(Tally::default(), |sum, (_, tally)| sum.plus(*tally))
    }
}

fn slot(now: Duration) -> u64 {
    now.as_secs() / SLOT.as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Demotion = Demotion { window: Duration::from_secs(600), min_samples: 50, below: 0.9, explore: 0.1 };

    fn tally(succeeded: u32, settled: u32) -> Tally {
        Tally { succeeded, settled }
    }

    #[test]
    fn only_a_clear_and_considerable_difference_demotes() {
        let peers = tally(900, 1000);
        for (own, factor, why) in [
            (tally(30, 60), 0.1, "half instead of nine tenths"),
            (tally(24, 30), 1.0, "too few to judge"),
            (tally(46, 60), 1.0, "may be chance"),
            (tally(8_500, 10_000), 1.0, "certain, and not much worse"),
            (tally(8_000, 10_000), 0.1, "certain and much worse"),
            (tally(60, 60), 1.0, "better"),
            (tally(0, 50), 0.1, "nothing at all"),
        ] {
            assert!((RULE.factor(own, peers) - factor).abs() < f64::EPSILON, "{own:?}: {why}");
        }
        assert!((RULE.factor(tally(0, 500), tally(20, 20)) - 1.0).abs() < f64::EPSILON, "peers too few");
    }

    #[test]
    fn wilson_bounds_are_those_of_the_textbook() {
        // 81 of 263 at 99 %: Newcombe's example, computed by hand for z = 2.576.
        let (low, high) = tally(81, 263).wilson();
        assert!((low - 0.2401).abs() < 5e-4 && (high - 0.3853).abs() < 5e-4, "{low} {high}");
        let (low, high) = tally(0, 20).wilson();
        assert!(low.abs() < 1e-9 && (high - 0.2491).abs() < 5e-4, "{low} {high}");
    }

    #[test]
    fn what_happened_before_the_window_is_forgiven() {
        let mut outcomes = Outcomes::default();
        for second in 0..100 {
            outcomes.note(Duration::from_secs(second), second >= 50);
        }
        let now = Duration::from_secs(99);
        assert_eq!(outcomes.within(now, Duration::from_secs(600)), tally(50, 100));
        assert_eq!(outcomes.within(now, Duration::from_secs(49)), tally(50, 50));
        assert_eq!(outcomes.within(Duration::from_secs(800), Duration::from_secs(600)), Tally::default());
    }

    #[test]
    fn memory_is_bounded_by_the_longest_window() {
        let mut outcomes = Outcomes::default();
        for minute in 0..3_000 {
            outcomes.note(Duration::from_secs(minute * 60), true);
        }
        assert!(outcomes.0.len() <= 6 * 60 + 1, "{}", outcomes.0.len());
    }

    proptest! {
        #![proptest_config(crate::types::property::config(300))]

        #[test]
        fn property_of_two_providers_never_both_are_demoted_and_never_the_better(
            (n, s) in (1..5_000_u32).prop_flat_map(|n| (Just(n), 0..=n)),
            (m, t) in (1..5_000_u32).prop_flat_map(|m| (Just(m), 0..=m)),
        ) {
            let (one, other) = (tally(s, n), tally(t, m));
            let (first, second) = (RULE.factor(one, other), RULE.factor(other, one));
            prop_assert!(first.max(second) > 0.99);
            prop_assert!(first > 0.0 && second > 0.0);
            if first < 1.0 {
                prop_assert!(one.rate() < other.rate());
            }
        }
    }
}
