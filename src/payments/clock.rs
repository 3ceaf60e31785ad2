//! The distributor's clock: the ledger's, carried on by the machine's monotonic one.
//!
//! A wall clock that jumps moves no time limit; all gateways on one ledger agree; and tests let hours
//! pass at once. Nothing else in `payments` asks what time it is.

use tokio::time::Instant;

use crate::clock::Timestamp;

/// See the module's text.
#[derive(Debug, Clone, Copy)]
pub(super) struct PaymentClock {
    start: Timestamp,
    begun: Instant,
}

impl PaymentClock {
    /// A clock that says `start` now: what the ledger's own clock said when it was opened.
    #[must_use]
    pub(super) fn starting_at(start: Timestamp) -> Self {
        Self { start, begun: Instant::now() }
    }

    /// What it says now.
    #[must_use]
    pub(super) fn now(&self) -> Timestamp {
        self.start.plus(self.begun.elapsed())
    }

    /// What the world's clocks say now: providers sign by them, and their windows open by them. They may
    /// jump, and a machine that slept has them ahead of its own, so no time limit counts from here.
    #[must_use]
    pub(super) fn wall(&self) -> Timestamp {
        // Tests let hours pass at once, for everybody.
        if cfg!(test) { self.now() } else { Timestamp::now() }
    }

    /// When the clock will say `moment`; now, if that is past.
    #[must_use]
    pub(super) fn instant(&self, moment: Timestamp) -> Instant {
        self.begun + moment.since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_from_the_ledgers_own_moment_on() {
        let clock = PaymentClock::starting_at(Timestamp(1_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Timestamp(1_250));
        assert_eq!(clock.instant(Timestamp(1_300)) - Instant::now(), Duration::from_millis(50));
    }
}
