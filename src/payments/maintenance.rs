//! Maintenance windows: when a provider takes no new payments because it said so beforehand.
//!
//! Follow-ups on payments that it has (confirm, cancel, refund, looks, voids) go on in a window: who
//! else should answer them?

use std::time::Duration;

use crate::clock::{Cron, Timestamp, Zone};

/// A window that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    begins: Cron,
    zone: Zone,
    lasts: Duration,
}

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl Maintenance {
    /// Windows that begin when `begins` says, by the clocks of `zone`, and last so long by any clock.
    #[must_use]
    pub fn new(begins: Cron, zone: Zone, lasts: Duration) -> Self {
        Self { begins, zone, lasts }
    }

    /// Whose clocks it goes by.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The window that is open now; of several that overlap, the one that began last.
    #[must_use]
    pub fn open_at(&self, now: Timestamp) -> Option<Window> {
        let mut open = None;
        let mut from = self.begins.next(&self.zone, before(now, self.lasts));
        while let Some(begun) = from.filter(|begun| *begun <= now) {
            open = Some(self.window(begun));
            from = self.begins.next(&self.zone, begun);
        }
        open
    }

    /// The next `count` windows that begin after this moment.
    pub fn after(&self, now: Timestamp, count: usize) -> impl Iterator<Item = Window> + '_ {
        let next = |from: Timestamp| self.begins.next(&self.zone, from);
        std::iter::successors(next(now), move |from| next(*from)).take(count).map(|from| self.window(from))
    }

    fn window(&self, from: Timestamp) -> Window {
        Window { from, until: from.plus(self.lasts) }
    }
}

/// The end of the last of these that is open now.
#[must_use]
pub(super) fn open_until(maintenance: &[Maintenance], now: Timestamp) -> Option<Timestamp> {
    maintenance.iter().filter_map(|one| one.open_at(now)).map(|window| window.until).max()
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests;
