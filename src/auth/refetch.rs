//! When an unknown key id is worth a fetch: one at a time, one in ten seconds, and never twice for a key id that a fetch did not bring.
//!
//! Without these rules, anybody could make the gateway hammer an issuer by inventing key ids. Pure: time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Between two fetches that unknown key ids cause, and how long a missing key id is remembered.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Longest wait for one fetch.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Missing key ids remembered at once; past it, only the interval limits.
const MAX_MISSING: usize = 1024;

/// What to do about an unknown key id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// No fetch for this one now.
    Refuse,
    /// Wake the fetcher, then wait until this moment.
    Ask(Instant),
    /// A fetch is under way; wait until this moment.
    Join(Instant),
}

/// What is remembered between requests. Key ids are kept as keyed hashes, so that their length costs nothing.
#[derive(Debug, Default)]
pub(super) struct Refetch {
    pending: bool,
    last_asked: Option<Instant>,
    missing: HashMap<u64, Instant>,
}

impl Refetch {
    /// A request met an unknown key id.
    pub(super) fn ask(&mut self, kid: u64, now: Instant) -> Decision {
        if self.missing.get(&kid).is_some_and(|until| now < *until) {
            return Decision::Refuse;
        }
        match self.last_asked {
            // The moment bounds the flight, not each waiter: a dead fetcher holds nobody longer than PATIENCE.
            Some(asked) if self.pending && now < asked + PATIENCE => Decision::Join(asked + PATIENCE),
            Some(asked) if now < asked + INTERVAL => Decision::Refuse,
            _ => {
                self.pending = true;
                self.last_asked = Some(now);
                Decision::Ask(now + PATIENCE)
            }
        }
    }

    /// A fetch is asked for and has not ended.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// A fetch that was asked for has not ended within everybody's patience.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.pending && self.last_asked.is_some_and(|asked| now >= asked + PATIENCE)
    }

    /// A fetch ended, well or not.
    pub(super) fn ended(&mut self) {
        self.pending = false;
    }

    /// A fetch succeeded and did not bring this key id.
    pub(super) fn remember_missing(&mut self, kid: u64, now: Instant) {
        if self.missing.len() >= MAX_MISSING {
            self.missing.retain(|_, until| now < *until);
        }
        if self.missing.len() < MAX_MISSING {
            self.missing.insert(kid, now + INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn one_fetch_flies_and_the_others_join_it() {
        let (mut refetch, start) = (Refetch::default(), Instant::now());
        assert_eq!(refetch.ask(1, start), Decision::Ask(start + PATIENCE));
        assert_eq!(refetch.ask(1, start + seconds(1)), Decision::Join(start + PATIENCE));
        assert_eq!(refetch.ask(2, start + seconds(4)), Decision::Join(start + PATIENCE));
    }

    #[test]
    fn invented_key_ids_cause_one_fetch_in_ten_seconds() {
        let (mut refetch, start) = (Refetch::default(), Instant::now());
        let mut fetches = 0;
        for millis in (0..60_000_u64).step_by(100) {
            if matches!(refetch.ask(millis, start + Duration::from_millis(millis)), Decision::Ask(_)) {
                fetches += 1;
                refetch.ended();
            }
        }
        assert_eq!(fetches, 6);
    }

    #[test]
    fn a_missing_key_id_neither_asks_nor_waits_again() {
        let (mut refetch, start) = (Refetch::default(), Instant::now());
        refetch.ask(1, start);
        refetch.ended();
        refetch.remember_missing(1, start + seconds(4));
        assert_eq!(refetch.ask(1, start + seconds(12)), Decision::Refuse);
        assert_eq!(refetch.ask(2, start + seconds(12)), Decision::Ask(start + seconds(12) + PATIENCE));
        assert_eq!(refetch.ask(1, start + seconds(13)), Decision::Refuse);
        assert_eq!(refetch.ask(1, start + seconds(15)), Decision::Join(start + seconds(12) + PATIENCE));
    }

    #[test]
    fn a_fetcher_that_never_reports_is_waited_for_once() {
        let (mut refetch, start) = (Refetch::default(), Instant::now());
        refetch.ask(1, start);
        assert!(!refetch.is_overdue(start + seconds(4)));
        assert!(refetch.is_overdue(start + seconds(5)));
        assert_eq!(refetch.ask(1, start + seconds(5)), Decision::Refuse);
        assert_eq!(refetch.ask(1, start + seconds(10)), Decision::Ask(start + seconds(10) + PATIENCE));
    }

    #[test]
    fn the_memory_of_missing_key_ids_is_bounded() {
        let (mut refetch, start) = (Refetch::default(), Instant::now());
        for kid in 0..5_000 {
            refetch.remember_missing(kid, start);
        }
        assert_eq!(refetch.missing.len(), MAX_MISSING);
        refetch.remember_missing(9_999, start + INTERVAL);
        assert_eq!(refetch.missing.len(), 1, "what has run out makes room");
    }
}
