//! Who is asked next: everything that the runs want of choice and health.

use super::work::Work;
use crate::payments::choose::{self, Chosen, Nobody, Wanted, Why};
use crate::payments::health::Permit;
use crate::payments::ledger::StoredPayment;
use crate::payments::machine::Goal;
use crate::payments::record::Operation;
use crate::payments::settings::{Provider, Settings};

/// Whether no provider takes such payments at all, now or later.
pub(super) fn nobody_takes(settings: &Settings, payment: &StoredPayment) -> bool {
    let ranking = choose::rank(settings, &[], &wanted(payment, payment.capture, &[]), payment.created);
    ranking.candidates.is_empty() && !Nobody::of(ranking.passed_over, payment.created).takes_it()
}

fn wanted<'a>(payment: &'a StoredPayment, capture: bool, tried: &'a [crate::types::ProviderName]) -> Wanted<'a> {
    Wanted { payment: &payment.id, currency: payment.money.currency, method: &payment.method, capture, tried }
}

impl Work {
    /// Chooses among those that were not tried yet.
    ///
    /// # Errors
    /// Why each was passed over, and when to ask again.
    pub(super) fn choose(&self) -> Result<Chosen, Nobody> {
        let payment = self.run.payment();
        // What failed in its second step goes on with two steps: the customer takes part again.
        let capture = payment.capture && *self.run.goal() == Goal::Pay;
        let now = self.distributor.clock.wall();
        let wanted = wanted(payment, capture, &self.tried);
        let chosen = choose::choose(&self.distributor.health, &self.settings, &wanted, now);
        let passed_over = match &chosen {
            Ok(chosen) => &chosen.passed_over,
            Err(nobody) => &nobody.passed_over,
        };
        for one in passed_over {
            if matches!(one.why, Why::Maintenance(_) | Why::Full(_) | Why::Broken(_)) {
                self.distributor.observer.passed_over(&one.provider, one.why.as_str());
            }
        }
        chosen
    }

    /// Leave to call the owner, which nothing can refuse.
    pub(super) fn attend(&self, provider: &Provider, operation: Operation) -> Permit {
        self.distributor.health.attend(provider, operation)
    }
}
