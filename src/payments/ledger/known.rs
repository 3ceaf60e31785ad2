//! Payments as this gateway's work has left them: what it saved last need not be read before its next save.
//!
//! Only ever a guess. A save that begins with one succeeds only if its row still has the holder, the last entry and
//! the due time of the guess; otherwise the payment is read. So forgetting costs a read, and nothing else. Whoever
//! changes a payment changes one of the three, or only what each save sets anyway: the lease's end and the looks.
//! That also holds for a guess of a write that was rolled back: of a save with records, the row's last entry is older;
//! of a claim, the row has not its holder, who is new for each piece of work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::stored::Loaded;
use crate::payments::id::PaymentId;

/// Payments at once; far more than are under way at any load that a ledger carries.
const MOST: usize = 16_384;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<PaymentId, Loaded>>);

impl Known {
    /// Remembers a payment as a write leaves it, if that succeeds, whose lease this gateway then holds.
    pub(super) fn remember(&self, loaded: Loaded) {
        let mut known = self.known();
        if known.len() >= MOST {
            // Work that ended without a save has left something here.
            known.clear();
        }
        known.insert(loaded.payment.id.clone(), loaded);
    }

    /// Hands out what is known of a payment, and forgets it.
    pub(super) fn take(&self, id: &PaymentId) -> Option<Loaded> {
        self.known().remove(id)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PaymentId, Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
