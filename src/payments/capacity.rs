//! Capacity: how much a provider takes by contract, in requests a second and in calls at once.
//!
//! A provider at its limit is full, not broken: the next in rank takes the payment, and no breaker
//! hears of it. The limits hold for new payments, exactly: in no span of one second are more of them
//! let through. Calls that only this provider can answer are counted and never held back.
//! Each process counts its own. Pure: time comes in as a span since any fixed moment.
//!
//! `pingora-limits` estimates rates over whole intervals of the system's clock, for keys without
//! number; here are a handful of names, exact numbers and a clock that tests set.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::clock::Timestamp;

const SECOND: Duration = Duration::from_secs(1);
/// How long a provider is full that says so without saying how long; also the shortest time.
const FULL_LEAST: Duration = Duration::from_secs(1);
/// No header empties a provider for longer than this.
const FULL_MOST: Duration = Duration::from_secs(60);

/// What a provider takes by contract; nothing set is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Requests within any second.
    pub per_second: Option<u32>,
    /// Requests at once.
    pub in_flight: Option<u32>,
}

/// What a provider carries at the moment.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// When each request of the last second was let through, oldest first.
    taken: VecDeque<Duration>,
    in_flight: u32,
    full_until: Option<Duration>,
}

impl Usage {
    /// How long it takes no further payment, if it does not take one now.
    pub(super) fn full_for(&mut self, now: Duration, capacity: Capacity) -> Option<Duration> {
        self.forget(now);
        let marked = self.full_until.map(|until| until.saturating_sub(now));
        let rate = capacity.per_second.filter(|most| self.taken.len() >= *most as usize).map(|most| {
            // With the oldest so many gone, there is room for one.
            let place = self.taken.len() - (most as usize).max(1);
            self.taken.get(place).map_or(SECOND, |then| (*then + SECOND).saturating_sub(now))
        });
        // When a call under way ends, nobody knows: soon.
        let calls = capacity.in_flight.filter(|most| self.in_flight >= *most).map(|_| FULL_LEAST);
        [marked, rate, calls].into_iter().flatten().max()
    }

    /// Counts a request that begins.
    pub(super) fn take(&mut self, now: Duration) {
        self.forget(now);
        self.taken.push_back(now);
        self.in_flight += 1;
    }

    /// Counts a request that ended.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Takes back a request that was counted at this moment and never made.
    pub(super) fn give_back(&mut self, taken: Duration) {
        self.end();
        if let Some(place) = self.taken.iter().rposition(|then| *then == taken) {
            self.taken.remove(place);
        }
    }

    /// It said that it is full, for so long where it says so.
    pub(super) fn mark_full(&mut self, now: Duration, retry_after: Option<Duration>) {
        let span = retry_after.unwrap_or(FULL_LEAST).clamp(FULL_LEAST, FULL_MOST);
        self.full_until = self.full_until.max(Some(now + span));
    }

    fn forget(&mut self, now: Duration) {
        while self.taken.front().is_some_and(|then| now.saturating_sub(*then) >= SECOND) {
            self.taken.pop_front();
        }
        self.full_until = self.full_until.filter(|until| *until > now);
    }
}

/// How long an answer asks to wait: seconds or a date (RFC 9110, section 10.2.3).
#[must_use]
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Timestamp::parse_http_date(text).map(|then| then.since(now)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn per_second(most: u32) -> Capacity {
        Capacity { per_second: Some(most), in_flight: None }
    }

    #[test]
    fn the_next_payment_waits_for_the_oldest_of_the_last_second() {
        let (mut usage, capacity) = (Usage::default(), per_second(2));
        usage.take(millis(0));
        usage.take(millis(400));
        assert_eq!(usage.full_for(millis(500), capacity), Some(millis(500)));
        assert_eq!(usage.full_for(millis(1000), capacity), None);
        usage.take(millis(1000));
        assert_eq!(usage.full_for(millis(1000), capacity), Some(millis(400)));
        // A lower limit after a reload: two more have to go.
        assert_eq!(usage.full_for(millis(1000), per_second(1)), Some(millis(1000)));
    }

    #[test]
    fn calls_at_once_are_counted_until_they_end() {
        let capacity = Capacity { per_second: None, in_flight: Some(1) };
        let mut usage = Usage::default();
        usage.take(millis(0));
        assert_eq!(usage.full_for(millis(60_000), capacity), Some(FULL_LEAST));
        usage.end();
        assert_eq!(usage.full_for(millis(60_000), capacity), None);
    }

    #[test]
    fn a_request_that_was_never_made_is_given_back() {
        let capacity = Capacity { per_second: Some(1), in_flight: Some(1) };
        let mut usage = Usage::default();
        usage.take(millis(10));
        usage.give_back(millis(10));
        assert_eq!(usage.full_for(millis(10), capacity), None);
    }

    #[test]
    fn a_provider_that_says_so_is_full_for_as_long_as_it_says_within_bounds() {
        for (asked, expected) in [(None, 1_000), (Some(0), 1_000), (Some(7_000), 7_000), (Some(86_400_000), 60_000)] {
            let mut usage = Usage::default();
            usage.mark_full(millis(5), asked.map(millis));
            assert_eq!(usage.full_for(millis(5), Capacity::default()), Some(millis(expected)), "{asked:?}");
            assert_eq!(usage.full_for(millis(5 + expected), Capacity::default()), None);
        }
    }

    #[test]
    fn waiting_times_are_seconds_or_dates() {
        let now = Timestamp::parse("2026-11-21T20:00:00Z").expect("a moment");
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(text))]);
            retry_after(&headers, now).map(|span| span.as_secs())
        };
        assert_eq!(read("30"), Some(30));
        assert_eq!(read("Sat, 21 Nov 2026 20:01:00 GMT"), Some(60));
        assert_eq!(read("Sat, 21 Nov 2026 19:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    proptest! {
        #![proptest_config(crate::types::property::config(200))]

        #[test]
        fn property_no_second_and_no_moment_ever_carries_more(
            most in 1..6_u32, at_once in 1..6_u32,
            steps in prop::collection::vec((0..400_u64, 0..3_u8), 1..120),
        ) {
            let capacity = Capacity { per_second: Some(most), in_flight: Some(at_once) };
            let (mut usage, mut now, mut let_through, mut under_way) = (Usage::default(), 0, Vec::new(), Vec::new());
            for (wait, action) in steps {
                now += wait;
                match (action, usage.full_for(millis(now), capacity)) {
                    (0, _) => if under_way.pop().is_some() { usage.end() },
                    (1, _) => if let Some(taken) = under_way.pop() {
                        usage.give_back(millis(taken));
                        let_through.retain(|then| *then != taken);
                        under_way.retain(|then| *then != taken);
                    },
                    (_, Some(_)) => {}
                    (_, None) => {
                        // One moment each, so that what is given back can be told apart.
                        now += 1;
                        usage.take(millis(now));
                        let_through.push(now);
                        under_way.push(now);
                    }
                }
                prop_assert!(under_way.len() <= at_once as usize);
                let second = let_through.iter().filter(|then| now - **then < 1000).count();
                prop_assert!(second <= most as usize, "{second} within a second");
            }
        }

        #[test]
        fn property_whoever_waits_as_long_as_told_finds_room(
            most in 1..6_u32, waits in prop::collection::vec(0..700_u64, 1..60),
        ) {
            let (mut usage, mut now) = (Usage::default(), 0);
            for wait in waits {
                now += wait;
                if let Some(full) = usage.full_for(millis(now), per_second(most)) {
                    now += u64::try_from(full.as_millis()).expect("short");
                    prop_assert_eq!(usage.full_for(millis(now), per_second(most)), None);
                }
                usage.take(millis(now));
                usage.end();
            }
        }
    }
}
