//! A provider's books: what it was asked to charge, what became of it, and every effect in order.
//!
//! The judge of all tests and of the demo. Nothing is ever taken out; a charge that is given back
//! stays as a line that was captured once and is reversed. Several charges may have one reference:
//! whether a provider lets that happen is its dialect's affair.

use std::collections::HashMap;

use crate::clock::Timestamp;

/// One charge as its provider holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The provider's own name for it.
    pub id: String,
    /// The caller's name for it: its order reference.
    pub reference: String,
    /// The shop's own order, if the caller passed it on.
    pub order: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// The means of payment that was given for it.
    pub token: String,
    /// Where it stands.
    pub state: ChargeState,
    /// The customer or the card's issuer has agreed; no money has moved by that.
    pub approved: bool,
    /// What was given back of it, in order.
    pub refunds: Vec<Refund>,
    /// When it was opened: lookups find it a while later, if the provider is slow at that.
    pub opened: Timestamp,
}

/// Where a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeState {
    /// Opened; no money has moved.
    Prepared,
    /// The money was taken.
    Captured,
    /// The card's side refused.
    Declined,
    /// Given up before a capture, or given back as a whole after it.
    Voided,
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The provider's own name for it.
    pub id: String,
    /// The caller's name for it, if it has one.
    pub reference: Option<String>,
    /// In minor units.
    pub amount: u64,
}

/// Something that happened to money, or was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub effect: Effect,
    /// Of which charge, by its place in [`Books::charges`].
    pub charge: usize,
    /// How much, in minor units.
    pub amount: u64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A charge was opened.
    Prepared,
    /// Money was taken.
    Captured,
    /// The card's side refused.
    Declined,
    /// A charge was given up before any money moved.
    Voided,
    /// A captured charge was given back as a whole.
    Reversed,
    /// Part of a captured charge was given back, or all of it by a refund.
    Refunded,
}

/// What a charge to be opened is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) id: String,
    pub(super) reference: String,
    pub(super) order: Option<String>,
    pub(super) amount: u64,
    pub(super) currency: String,
    pub(super) token: String,
}

/// The books of one provider.
#[derive(Debug, Clone, Default)]
pub struct Books {
    charges: Vec<Charge>,
    /// Places of charges by their reference: under load the books are long.
    by_reference: HashMap<String, Vec<usize>>,
    entries: Vec<Entry>,
    /// References that were voided before any charge of them arrived.
    buried: Vec<String>,
}

impl Charge {
    /// What was given back of it, in minor units.
    #[must_use]
    pub fn refunded(&self) -> u64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// Whether the customer's money is with the provider: captured and not given back in full.
    #[must_use]
    pub fn is_unreversed(&self) -> bool {
        self.state == ChargeState::Captured && self.refunded() < self.amount
    }
}

impl Books {
    /// Every charge, in the order of their opening.
    #[must_use]
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// Every effect, in the order in which they happened.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Charges of this order reference.
    pub fn of_reference<'a>(&'a self, reference: &'a str) -> impl Iterator<Item = &'a Charge> {
        self.places(reference).iter().map(|place| &self.charges[*place])
    }

    /// Captures that were not given back, among the charges whose reference begins like this.
    pub fn unreversed<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Charge> {
        self.charges.iter().filter(move |charge| charge.is_unreversed() && charge.reference.starts_with(prefix))
    }

    /// The place of the charge with this name of the provider's.
    pub(super) fn by_id(&self, id: &str) -> Option<usize> {
        self.charges.iter().position(|charge| charge.id == id)
    }

    /// The place of the charge with this reference that lookups show by now: the newest, unless the money was taken
    /// through another. An order that was paid is shown as paid, however often its customer began anew.
    pub(super) fn by_reference(&self, reference: &str, opened_by: Timestamp) -> Option<usize> {
        let shown = || self.places(reference).iter().copied().filter(|place| self.charges[*place].opened <= opened_by);
        shown().rfind(|place| self.charges[*place].state == ChargeState::Captured).or_else(|| shown().next_back())
    }

    /// Of the charges of this reference, in the order of their opening.
    fn places(&self, reference: &str) -> &[usize] {
        self.by_reference.get(reference).map_or(&[], Vec::as_slice)
    }

    pub(super) fn charge(&self, place: usize) -> &Charge {
        &self.charges[place]
    }

    pub(super) fn open(&mut self, opening: Opening, now: Timestamp) -> usize {
        let Opening { id, reference, order, amount, currency, token } = opening;
        let state = ChargeState::Prepared;
        let place = self.charges.len();
        self.by_reference.entry(reference.clone()).or_default().push(place);
        self.charges.push(Charge {
            id,
            reference,
            order,
            amount,
            currency,
            token,
            state,
            approved: false,
            refunds: Vec::new(),
            opened: now,
        });
        self.note(now, Effect::Prepared, place, amount);
        place
    }

    /// Has the customer agree to a charge that is opened, with this means of payment; or the card's side refuse.
    pub(super) fn approve(&mut self, place: usize, token: Option<&str>, now: Timestamp) {
        let charge = &mut self.charges[place];
        if charge.state != ChargeState::Prepared {
            return;
        }
        if let Some(token) = token {
            token.clone_into(&mut charge.token);
        }
        charge.approved = !is_refused(&charge.token);
        if !charge.approved {
            charge.state = ChargeState::Declined;
            let amount = charge.amount;
            self.note(now, Effect::Declined, place, amount);
        }
    }

    /// Takes the money of a charge that is only opened, or has the card's side refuse. Another
    /// means of payment may be given now. Whatever is past that stays as it is.
    pub(super) fn capture(&mut self, place: usize, token: Option<&str>, now: Timestamp) {
        let charge = &mut self.charges[place];
        if charge.state != ChargeState::Prepared {
            return;
        }
        if let Some(token) = token {
            token.clone_into(&mut charge.token);
        }
        let refused = charge.token.to_ascii_lowercase().contains("declined");
        let (state, effect) =
            if refused { (ChargeState::Declined, Effect::Declined) } else { (ChargeState::Captured, Effect::Captured) };
        charge.state = state;
        let amount = charge.amount;
        self.note(now, effect, place, amount);
    }

    /// Gives a charge up, or back as a whole. What is voided stays as it is.
    pub(super) fn void(&mut self, place: usize, now: Timestamp) {
        let charge = &mut self.charges[place];
        let effect = match charge.state {
            ChargeState::Prepared | ChargeState::Declined => Effect::Voided,
            ChargeState::Captured => Effect::Reversed,
            ChargeState::Voided => return,
        };
        let left = charge.amount - charge.refunded();
        charge.state = ChargeState::Voided;
        self.note(now, effect, place, left);
    }

    /// Gives part of a captured charge back; the place of the refund, `None` if there is not so much left.
    pub(super) fn refund(
        &mut self,
        place: usize,
        amount: u64,
        reference: Option<&str>,
        now: Timestamp,
    ) -> Option<usize> {
        let charge = &mut self.charges[place];
        let left = charge.amount - charge.refunded();
        if charge.state != ChargeState::Captured || amount == 0 || amount > left {
            return None;
        }
        let number = charge.refunds.len();
        let id = format!("re_{}_{}", charge.id, number + 1);
        charge.refunds.push(Refund { id, reference: reference.map(str::to_owned), amount });
        self.note(now, Effect::Refunded, place, amount);
        Some(number)
    }

    /// Remembers that nothing of this reference may be charged any more.
    pub(super) fn bury(&mut self, reference: &str) {
        self.buried.push(reference.to_owned());
    }

    pub(super) fn is_buried(&self, reference: &str) -> bool {
        self.buried.iter().any(|buried| buried == reference)
    }

    fn note(&mut self, at: Timestamp, effect: Effect, charge: usize, amount: u64) {
        self.entries.push(Entry { at, effect, charge, amount });
    }
}

/// Whether the card's issuer refuses this means of payment.
fn is_refused(token: &str) -> bool {
    token.to_ascii_lowercase().contains("declined")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(reference: &str, token: &str) -> Opening {
        Opening {
            id: format!("ch_{reference}"),
            reference: reference.into(),
            order: None,
            amount: 1_000,
            currency: "EUR".into(),
            token: token.into(),
        }
    }

    fn effects(books: &Books) -> Vec<Effect> {
        books.entries().iter().map(|entry| entry.effect).collect()
    }

    #[test]
    fn a_capture_counts_until_it_is_given_back_in_full() {
        let mut books = Books::default();
        let place = books.open(opening("a-1", "tok"), Timestamp(1));
        assert_eq!(books.unreversed("a-").count(), 0);
        books.capture(place, None, Timestamp(2));
        assert_eq!(books.unreversed("a-").count(), 1);
        assert_eq!(books.refund(place, 400, None, Timestamp(3)), Some(0));
        assert_eq!((books.unreversed("a-").count(), books.unreversed("b-").count()), (1, 0));
        assert_eq!(books.refund(place, 601, None, Timestamp(3)), None, "more than is left");
        assert_eq!(books.refund(place, 600, None, Timestamp(4)), Some(1));
        assert_eq!(books.unreversed("a-").count(), 0);
    }

    #[test]
    fn what_was_voided_or_declined_is_never_captured() {
        let mut books = Books::default();
        let place = books.open(opening("a-1", "tok"), Timestamp(1));
        books.void(place, Timestamp(2));
        books.capture(place, None, Timestamp(3));
        let place = books.open(opening("a-2", "tok_declined"), Timestamp(4));
        books.capture(place, None, Timestamp(5));
        books.capture(place, Some("tok_good"), Timestamp(6));
        assert_eq!(books.unreversed("a-").count(), 0);
        assert_eq!(effects(&books), [Effect::Prepared, Effect::Voided, Effect::Prepared, Effect::Declined]);
    }

    #[test]
    fn a_void_after_the_capture_is_a_reversal_and_happens_once() {
        let mut books = Books::default();
        let place = books.open(opening("a-1", "tok"), Timestamp(1));
        books.capture(place, None, Timestamp(2));
        books.void(place, Timestamp(3));
        books.void(place, Timestamp(4));
        assert_eq!(effects(&books), [Effect::Prepared, Effect::Captured, Effect::Reversed]);
        assert_eq!(books.unreversed("a-").count(), 0);
    }

    #[test]
    fn lookups_show_a_charge_only_after_their_lag() {
        let mut books = Books::default();
        books.open(opening("a-1", "tok"), Timestamp(1_000));
        assert_eq!(books.by_reference("a-1", Timestamp(999)), None);
        assert_eq!(books.by_reference("a-1", Timestamp(1_000)), Some(0));
    }
}
