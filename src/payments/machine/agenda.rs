//! What a payment still has open, and when the worker is to see to it.

use std::time::Duration;

use super::Run;
use crate::clock::Timestamp;
use crate::payments::ledger::StoredAttempt;
use crate::payments::record::AttemptState;
use crate::payments::resolution::{self, Item, Wait};
use crate::payments::verdict::Doubt;
use crate::types::ProviderName;

/// The longest wait between two looks.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Run {
    /// When the worker is to see the payment next.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let moment = |item: Item| {
            if let Some((_, Some(at))) = self.seen.iter().find(|(seen, _)| *seen == item) {
                return Some(*at);
            }
            let terms = self.directory.terms(&self.owner(item)?);
            resolution::due(item, &self.payment, &terms, now).map(|wait| self.moment(wait, now))
        };
        self.items().filter_map(moment).min()
    }

    pub(super) fn moment(&self, wait: Wait, now: Timestamp) -> Timestamp {
        match wait {
            Wait::BackOff => now.plus(back_off(self.looks, self.random)),
            Wait::Until(moment) => moment,
        }
    }

    pub(super) fn items(&self) -> impl Iterator<Item = Item> {
        let attempts = self.payment.attempts.iter().map(|attempt| Item::Attempt(attempt.number));
        attempts.chain(self.payment.refunds.iter().map(|refund| Item::Refund(refund.number)))
    }

    pub(super) fn is_seen(&self, item: Item) -> bool {
        self.seen.iter().any(|(seen, _)| *seen == item)
    }

    /// Who is asked about it: of a refund, whoever captured the money.
    pub(super) fn owner(&self, item: Item) -> Option<ProviderName> {
        let owns = |attempt: &&StoredAttempt| match item {
            Item::Attempt(number) => attempt.number == number,
            Item::Refund(_) => attempt.state == AttemptState::Succeeded,
        };
        self.payment.attempts.iter().find(owns).map(|attempt| attempt.provider.clone())
    }

    pub(super) fn next_number(&self) -> u32 {
        u32::try_from(self.payment.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Whether the provider answered about the attempt, though it settles nothing.
pub(super) fn says_something(doubt: Doubt) -> bool {
    matches!(doubt, Doubt::StillOpen | Doubt::Mismatch)
}

/// 1 s, doubled with each look up to [`LONGEST_WAIT`], less up to a quarter of it.
fn back_off(looks: u32, random: u64) -> Duration {
    let full = Duration::from_secs(1 << looks.min(5)).min(LONGEST_WAIT);
    let spread = (random.rotate_left(looks) % 1024) as u32;
    full - full / 4 * spread / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_are_spread() {
        for random in [0, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
            for (looks, longest) in [(0, 1), (1, 2), (4, 16), (5, 30), (40, 30), (u32::MAX, 30)] {
                let (longest, wait) = (Duration::from_secs(longest), back_off(looks, random));
                assert!(wait <= longest && wait >= longest * 3 / 4, "{looks} {wait:?}");
            }
        }
    }
}
