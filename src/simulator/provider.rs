//! One pretended provider: its dialect, its manners, what goes wrong with it, and its books.
//!
//! Whoever drives it calls [`Provider::receive`] when a request begins, waits as the plan says, and
//! calls [`Provider::take_effect`] when the effect is due, whether or not the caller is still there.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::answer::idempotency_key;
use super::books::{Books, Opening};
use super::fault::{Fault, Faults, Plan};
use super::{Answer, Request, canonical, stripe_like, toss_like};
use crate::clock::Timestamp;

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Figway's own protocol, `docs/payments-canonical.md`.
    Canonical,
    /// Payment intents, charges and refunds, with forms, as Stripe has them.
    StripeLike,
    /// Payments that the customer's device begins and the server confirms, as Toss Payments has them.
    TossLike,
}

/// How a healthy provider behaves.
#[derive(Debug, Clone)]
pub struct Manners {
    /// How long it works on a request.
    pub work: Range<Duration>,
    /// How long after its opening a charge is not found by its reference.
    pub lookup_lag: Duration,
    /// Whether a void of something unheard-of is remembered, so that a charge that comes later is refused.
    pub remembers_voids: bool,
    /// How long a customer's payment waits for its confirmation, where the customer's device begins it.
    pub session: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            work: Duration::from_millis(20)..Duration::from_millis(60),
            lookup_lag: Duration::ZERO,
            remembers_voids: true,
            session: Duration::from_secs(600),
        }
    }
}

/// What a request asks for, whatever its dialect calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Charge at once.
    Charge,
    /// Open a charge that is confirmed later.
    Prepare,
    /// Capture what was opened.
    Confirm,
    /// Give up what was opened.
    Cancel,
    /// Give money back.
    Refund,
    /// Say what became of a charge.
    Lookup,
    /// Take back whatever there is of a reference.
    Void,
    /// Nothing that this provider knows.
    Other,
}

/// A request as the provider remembers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// When.
    pub at: Timestamp,
    /// What for.
    pub wish: Wish,
    /// The order reference that it names, or that belongs to the charge that it names.
    pub reference: Option<String>,
    /// What went wrong with it.
    pub fault: Option<Fault>,
}

/// What a customer's device knows of a payment.
#[derive(Debug, Clone, Copy)]
pub struct CustomersPayment<'a> {
    /// The order reference.
    pub reference: &'a str,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: &'a str,
    /// The means of payment.
    pub token: &'a str,
    /// The shop's own order.
    pub order: Option<&'a str>,
}

/// What a dialect works on while it answers one request.
pub(super) struct Counter<'a> {
    pub(super) name: &'a str,
    pub(super) books: &'a mut Books,
    pub(super) now: Timestamp,
    /// Charges opened by then are found by their reference.
    pub(super) shown: Timestamp,
    pub(super) manners: &'a Manners,
}

struct Remembered {
    path: String,
    body: bytes::Bytes,
    answer: Answer,
}

/// A pretended provider.
pub struct Provider {
    name: String,
    dialect: Dialect,
    manners: Manners,
    /// What goes wrong with it; may be changed at any time.
    pub faults: Faults,
    books: Books,
    received: Vec<Received>,
    by_key: HashMap<String, Remembered>,
}

impl Provider {
    /// A healthy provider with empty books.
    #[must_use]
    pub fn new(name: &str, dialect: Dialect, manners: Manners) -> Self {
        Self {
            name: name.into(),
            dialect,
            manners,
            faults: Faults::default(),
            books: Books::default(),
            received: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its books.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Every request that was sent to it, in order; refused ones too.
    #[must_use]
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Takes note of a request and says what is to happen to it.
    pub fn receive(&mut self, request: &Request, now: Timestamp, rng: &mut fastrand::Rng) -> Plan {
        let (wish, reference) = self.understand(request);
        let fault = self.faults.strike(self.received.len(), now, rng);
        self.received.push(Received { at: now, wish, reference, fault });
        let work = &self.manners.work;
        let work = work.start + work.end.saturating_sub(work.start).mul_f64(rng.f64());
        Fault::plan(fault, wish, work)
    }

    /// Does what a request asks for; the answer that its caller gets if nothing goes wrong. A
    /// request with a key that was used before gets the first answer again.
    pub fn take_effect(&mut self, request: &Request, now: Timestamp) -> Answer {
        let key = idempotency_key(request).filter(|_| request.method() == http::Method::POST);
        let path = request.uri().path();
        if let Some(first) = key.and_then(|key| self.by_key.get(key)) {
            let same = first.path == path && first.body == *request.body();
            return match self.dialect {
                Dialect::Canonical if !same => canonical::key_reused(),
                Dialect::StripeLike if !same => stripe_like::key_reused(),
                Dialect::StripeLike => stripe_like::replayed(first.answer.clone()),
                // Toss-like: the key alone counts.
                Dialect::Canonical | Dialect::TossLike => first.answer.clone(),
            };
        }
        let key = key.map(str::to_owned);
        let shown = Timestamp(now.0 - i64::try_from(self.manners.lookup_lag.as_millis()).unwrap_or(i64::MAX / 2));
        let (name, books, manners) = (&self.name, &mut self.books, &self.manners);
        let answer = operate(self.dialect, Counter { name, books, now, shown, manners }, request);
        if let Some(key) = key {
            let (path, body) = (path.to_owned(), request.body().clone());
            self.by_key.insert(key, Remembered { path, body, answer: answer.clone() });
        }
        answer
    }

    /// The answer that a request would have if it took effect; nothing happens.
    #[must_use]
    pub fn pretend(&self, request: &Request, now: Timestamp) -> Answer {
        let mut books = self.books.clone();
        let (name, books, manners) = (&self.name, &mut books, &self.manners);
        operate(self.dialect, Counter { name, books, now, shown: now, manners }, request)
    }

    /// What the customer's device does between the two steps, past all faults, which are those of servers calling:
    /// at a Toss-like provider it opens the charge, elsewhere it agrees to the one that was opened. What it brings
    /// for the confirmation, if it brings anything.
    pub fn customer_pays(&mut self, payment: &CustomersPayment<'_>, now: Timestamp) -> Option<String> {
        if self.dialect == Dialect::TossLike {
            let id = toss_like::payment_key(&self.name, self.books.charges().len());
            let opening = Opening {
                id: id.clone(),
                reference: payment.reference.into(),
                order: payment.order.map(str::to_owned),
                amount: payment.amount,
                currency: payment.currency.into(),
                token: payment.token.into(),
            };
            self.books.open(opening, now);
            return Some(id);
        }
        let place = self.books.by_reference(payment.reference, now)?;
        self.books.approve(place, Some(payment.token), now);
        None
    }

    fn understand(&self, request: &Request) -> (Wish, Option<String>) {
        let books = &self.books;
        match self.dialect {
            Dialect::Canonical => canonical::understand(books, request),
            Dialect::StripeLike => stripe_like::understand(books, request),
            Dialect::TossLike => toss_like::understand(books, request),
        }
    }
}

fn operate(dialect: Dialect, counter: Counter<'_>, request: &Request) -> Answer {
    match dialect {
        Dialect::Canonical => canonical::answer(counter, request),
        Dialect::StripeLike => stripe_like::answer(counter, request),
        Dialect::TossLike => toss_like::answer(counter, request),
    }
}

impl std::fmt::Debug for Provider {
    /// Leaves out what was sent to it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("dialect", &self.dialect).finish_non_exhaustive()
    }
}
