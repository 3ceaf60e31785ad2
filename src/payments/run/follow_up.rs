//! What comes after the first step: confirm, cancel, refund. Each goes to the payment's own provider.

use std::sync::Arc;

use super::work::{Customer, Work};
use super::{Asked, Told, is_under_way, ledger_down};
use crate::payments::adapter::Ability;
use crate::payments::distributor::Distributor;
use crate::payments::id::PaymentId;
use crate::payments::ledger::{Claimed, KeyUse, StoredPayment};
use crate::payments::machine::Goal;
use crate::payments::money::Money;
use crate::payments::record::{Operation, PaymentState, RefundIntent};
use crate::payments::settings::Settings;
use crate::payments::terms::Terms;

/// What is asked for, of a payment that exists.
#[derive(Debug, Clone)]
pub(in crate::payments) enum FollowUp {
    /// The second of two steps, with what the customer's device brought.
    Confirm { token: Option<String> },
    /// Give it up before it is captured.
    Cancel,
    /// Give so much back, in minor units, or all that is left.
    Refund { amount: Option<u64> },
}

impl FollowUp {
    fn operation(&self) -> Operation {
        match self {
            Self::Confirm { .. } => Operation::Confirm,
            Self::Cancel => Operation::Cancel,
            Self::Refund { .. } => Operation::Refund,
        }
    }

    fn key_use(&self, distributor: &Distributor, asked: &Asked, id: &PaymentId) -> KeyUse {
        let ring = &distributor.keyring;
        let fingerprint = match self {
            Self::Confirm { token } => ring.confirm_fingerprint(id, token.as_deref()),
            Self::Cancel => ring.cancel_fingerprint(id),
            Self::Refund { amount } => ring.refund_fingerprint(id, *amount),
        };
        KeyUse { key: asked.key, fingerprint, operation: self.operation(), refund: None }
    }

    /// What is to be done, if the payment as it stands lets it be done.
    fn goal(&self, distributor: &Distributor, settings: &Settings, payment: &StoredPayment) -> Result<Goal, Told> {
        let unfit = |why| Told::Unfit { payment: Box::new(payment.clone()), why };
        let can = |operation| {
            let owner = payment.deciding_attempt().and_then(|owner| settings.provider(&owner.provider));
            owner.map(|owner| owner.adapter.ability(operation) == Ability::Call).ok_or(Told::OwnerGone)
        };
        match (self, payment.state) {
            (Self::Confirm { .. }, PaymentState::RequiresAction) if can(Operation::Confirm)? => Ok(Goal::Confirm),
            (Self::Confirm { .. }, PaymentState::RequiresAction) => {
                Err(unfit("its provider needs no confirmation; ask how it stands"))
            }
            (Self::Confirm { .. }, _) => Err(unfit("only a payment that requires an action can be confirmed")),
            (Self::Cancel, PaymentState::RequiresAction) => {
                let owner = payment.live_attempt().and_then(|live| settings.provider(&live.provider));
                let terms = owner.map(|owner| Terms::of(owner)).ok_or(Told::OwnerGone)?;
                if terms.cancel.is_none() && !terms.prepare_is_harmless {
                    return Err(unfit("its provider has no way to cancel it"));
                }
                Ok(Goal::Cancel)
            }
            (Self::Cancel, PaymentState::Succeeded) => Err(unfit("it is captured; refund it instead")),
            (Self::Cancel, _) => Err(unfit("only a payment that requires an action can be cancelled")),
            (Self::Refund { amount }, PaymentState::Succeeded) => {
                if !can(Operation::Refund)? {
                    return Err(unfit("its provider can give nothing back by itself"));
                }
                refund(distributor, payment, *amount)
            }
            (Self::Refund { .. }, _) => Err(unfit("only a payment that succeeded can be refunded")),
        }
    }
}

fn refund(distributor: &Distributor, payment: &StoredPayment, amount: Option<u64>) -> Result<Goal, Told> {
    let unfit = |why| Told::Unfit { payment: Box::new(payment.clone()), why };
    if payment.open_refund().is_some() {
        return Err(unfit("a refund of it is open; wait until that is settled"));
    }
    let left = payment.money.amount.saturating_sub(payment.refunded_at_most());
    let amount = amount.unwrap_or(left);
    if left == 0 {
        return Err(unfit("all of it was given back"));
    }
    if amount > left {
        return Err(Told::TooMuch { left: Money { amount: left, ..payment.money } });
    }
    let number = u32::try_from(payment.refunds.len()).unwrap_or(u32::MAX).saturating_add(1);
    let owner = payment.deciding_attempt().ok_or_else(|| unfit("nobody captured it"))?;
    let key = distributor.keyring.provider_key(&payment.id, Operation::Refund.as_str(), number, &owner.provider);
    Ok(Goal::Refund(RefundIntent {
        refund: number,
        amount,
        provider_key: key,
        reference: payment.id.refund_reference(number),
        refunded_before: payment.refunded(),
    }))
}

/// Does what a client asks for of a payment that exists.
pub(in crate::payments) async fn follow_up(
    distributor: &Arc<Distributor>,
    settings: Arc<Settings>,
    asked: Asked,
    id: PaymentId,
    wanted: FollowUp,
) -> Told {
    let key = wanted.key_use(distributor, &asked, &id);
    match try_follow_up(distributor, &settings, &asked, id, wanted, key).await {
        Ok(told) | Err(told) => told,
    }
}

async fn try_follow_up(
    distributor: &Arc<Distributor>,
    settings: &Arc<Settings>,
    asked: &Asked,
    id: PaymentId,
    wanted: FollowUp,
    key: KeyUse,
) -> Result<Told, Told> {
    let down = |error| ledger_down(distributor, &error);
    let found = distributor.ledger.payment(id.clone()).await.map_err(down)?;
    // Another client's payment is as good as none: its existence is nobody's business.
    let payment = found.filter(|payment| payment.client == asked.client).ok_or(Told::Missing)?;
    if !known_key(distributor, &payment.id, key).await? {
        wanted.goal(distributor, settings, &payment)?;
    }
    let lease = distributor.client_lease(settings);
    let payment = match distributor.claim_for_client(settings, id, lease, asked.begun).await.map_err(down)? {
        Claimed::Yes(payment) => payment,
        Claimed::Held(_) => return Err(Told::StillRunning),
        Claimed::Missing => return Err(Told::Missing),
    };
    // What was found out before nobody else could change it is found out again.
    let begins = match known_key(distributor, &payment.id, key).await {
        Ok(true) => Ok((Goal::Confirm, true)),
        Ok(false) => wanted.goal(distributor, settings, &payment).map(|goal| (goal, false)),
        Err(told) => Err(told),
    };
    let (goal, known) = match begins {
        Ok(begins) => begins,
        Err(told) => {
            distributor.release(&payment, lease.holder).await;
            return Err(told);
        }
    };
    let key = match &goal {
        Goal::Refund(intent) => KeyUse { refund: Some(intent.refund), ..key },
        _ => key,
    };
    let token = if let FollowUp::Confirm { token } = wanted { token } else { None };
    let work = Work::new(distributor, settings, *payment, goal, lease);
    let work = work.asked_by(asked, key, Customer { token, metadata: Vec::new() });
    let mut work = if known { work.known_key() } else { work };
    let ended = work.drive().await;
    Ok(work.told(ended))
}

/// Whether the key stands for this very request, and its work may go on: a confirmation that provably
/// did nothing and found no other provider. `false`: the key is new.
async fn known_key(distributor: &Distributor, id: &PaymentId, key: KeyUse) -> Result<bool, Told> {
    let found = distributor.ledger.by_key(key.key).await.map_err(|error| ledger_down(distributor, &error))?;
    let Some((keyed, used)) = found else { return Ok(false) };
    if keyed.id != *id || used.operation != key.operation || used.fingerprint != key.fingerprint {
        return Err(Told::OtherContent);
    }
    if used.operation == Operation::Confirm && keyed.state == PaymentState::NotProcessed {
        return Ok(true);
    }
    if is_under_way(distributor, &keyed) {
        return Err(Told::StillRunning);
    }
    Err(Told::Stands { payment: Box::new(keyed), refund: used.refund, replayed: true })
}
