//! The shipped adapters against the simulated providers: two readings of one documentation have to agree.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::network::assemble;
use crate::clock::Timestamp;
use crate::payments::adapter::{Adapter, Answer, Call, Credential, Declared, Plan, Stamp, built_in};
use crate::payments::money::{Currency, Money};
use crate::payments::record::Operation;
use crate::payments::verdict::Verdict;
use crate::simulator::{Books, CustomersPayment, DECLINED_TOKEN, Dialect, Manners, Provider};

/// A shipped adapter and the providers that it speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Canonical,
    Intents,
    Charges,
    Toss,
}

static STRIPE_LIKE: LazyLock<Arc<dyn Adapter>> =
    LazyLock::new(|| shipped("stripe-like", include_str!("../../../config/providers/stripe-like.yaml")));
static STRIPE_LIKE_CHARGES: LazyLock<Arc<dyn Adapter>> = LazyLock::new(|| {
    shipped("stripe-like-charges", include_str!("../../../config/providers/stripe-like-charges.yaml"))
});
static TOSS_LIKE: LazyLock<Arc<dyn Adapter>> =
    LazyLock::new(|| shipped("toss-like", include_str!("../../../config/providers/toss-like.yaml")));

fn shipped(name: &str, text: &str) -> Arc<dyn Adapter> {
    let plan = Plan::compile(name, serde_saphyr::from_str(text).expect("YAML")).expect("a sound adapter");
    let credentials = BTreeMap::from([("secret_key".to_owned(), Credential::new("sk_test_simulated"))]);
    let stamp = || Stamp { at: Timestamp::default(), nonce: String::new() };
    Arc::new(Declared::new(Arc::new(plan), credentials, stamp).expect("its credentials"))
}

impl Speaks {
    pub(super) const ALL: [Self; 4] = [Self::Canonical, Self::Intents, Self::Charges, Self::Toss];

    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Canonical => Dialect::Canonical,
            Self::Intents | Self::Charges => Dialect::StripeLike,
            Self::Toss => Dialect::TossLike,
        }
    }

    pub(super) fn adapter(self) -> Arc<dyn Adapter> {
        match self {
            Self::Canonical => built_in("canonical").expect("built in"),
            Self::Intents => Arc::clone(&STRIPE_LIKE),
            Self::Charges => Arc::clone(&STRIPE_LIKE_CHARGES),
            Self::Toss => Arc::clone(&TOSS_LIKE),
        }
    }
}

struct Talk {
    adapter: Arc<dyn Adapter>,
    provider: Provider,
    reference: &'static str,
    token: Option<String>,
    provider_ref: Option<String>,
    /// What the latest look found.
    found: Option<Verdict>,
    asked: u32,
    capture: bool,
}

impl Talk {
    fn with(speaks: Speaks) -> Self {
        Self {
            adapter: speaks.adapter(),
            provider: Provider::new("alpha", speaks.dialect(), Manners::default()),
            reference: "01M7Y3A9VY0FQQAMKRC02P2MQT-1",
            token: Some("tok_good".into()),
            provider_ref: None,
            found: None,
            asked: 0,
            capture: true,
        }
    }

    fn ask(&mut self, operation: Operation, amount: u64) -> Verdict {
        self.asked += 1;
        let (key, metadata) = (format!("{:064x}", self.asked), [("order".to_owned(), "o-1".to_owned())]);
        let mut call = Call {
            operation,
            provider_key: &key,
            order_reference: self.reference,
            lookup: "",
            provider_ref: self.provider_ref.as_deref(),
            money: Money { amount, currency: Currency::parse("EUR").expect("a currency") },
            method: "card",
            capture: self.capture,
            token: self.token.as_deref(),
            metadata: &metadata,
            refund_reference: (operation == Operation::Refund).then_some("01M7Y3A9VY0FQQAMKRC02P2MQT-r1"),
            found: self.found.as_ref(),
        };
        let handle = self.adapter.lookup_handle(&call).expect("a handle");
        call.lookup = &handle;
        let request = assemble(self.adapter.request(&call).expect("a request"));
        let (head, body) = self.provider.take_effect(&request, Timestamp(i64::from(self.asked) * 1_000)).into_parts();
        let answer = Answer { status: head.status, headers: head.headers, body };
        let verdict = self.adapter.classify(&call, &answer);
        match &verdict {
            Verdict::Succeeded { provider_ref, .. } if operation != Operation::Refund => {
                self.provider_ref = Some(provider_ref.clone());
            }
            Verdict::Prepared { provider_ref: Some(known), .. } => self.provider_ref = Some(known.clone()),
            _ => {}
        }
        if operation == Operation::Lookup {
            self.found = Some(verdict.clone());
        }
        verdict
    }

    fn class(&mut self, operation: Operation) -> &'static str {
        self.ask(operation, 1_000).class()
    }

    /// What a look says was given back, in minor units.
    fn refunded(&mut self) -> Option<u64> {
        match self.ask(Operation::Lookup, 1_000) {
            Verdict::Succeeded { refunded, .. } => refunded,
            other => panic!("{other:?}"),
        }
    }

    /// The customer pays at the device, with this card; what that brings for the confirmation.
    fn customer_pays(&mut self, token: &str) -> Option<String> {
        self.asked += 1;
        let (reference, now) = (self.reference, Timestamp(i64::from(self.asked) * 1_000));
        let payment = CustomersPayment { reference, amount: 1_000, currency: "EUR", token, order: None };
        self.provider.customer_pays(&payment, now)
    }

    fn books(&self) -> &Books {
        self.provider.books()
    }

    fn unreversed(&self) -> usize {
        self.books().unreversed(self.reference).count()
    }
}

#[test]
fn a_canonical_charge_is_found_given_back_and_taken_back() {
    let mut talk = Talk::with(Speaks::Canonical);
    assert_eq!(talk.class(Operation::Lookup), "not_found");
    assert_eq!((talk.class(Operation::Charge), talk.unreversed()), ("succeeded", 1));
    assert_eq!(talk.ask(Operation::Refund, 300).class(), "succeeded");
    assert_eq!(talk.refunded(), Some(300));
    assert_eq!(talk.ask(Operation::Refund, 701).class(), "declined");
    assert_eq!((talk.class(Operation::Void), talk.unreversed()), ("voided", 0));
    assert_eq!(talk.class(Operation::Lookup), "voided");
    assert_eq!(talk.books().charges()[0].order.as_deref(), Some("o-1"));
}

#[test]
fn a_canonical_payment_in_two_steps_is_captured_by_its_confirmation() {
    let mut talk = Talk::with(Speaks::Canonical);
    assert_eq!((talk.class(Operation::Prepare), talk.unreversed()), ("prepared", 0));
    assert_eq!(talk.class(Operation::Lookup), "prepared");
    assert_eq!((talk.class(Operation::Confirm), talk.unreversed()), ("succeeded", 1));
    let mut talk = Talk::with(Speaks::Canonical);
    assert_eq!(talk.class(Operation::Prepare), "prepared");
    assert_eq!(talk.class(Operation::Cancel), "voided");
    assert_eq!(talk.class(Operation::Lookup), "voided");
}

#[test]
fn nothing_canonical_is_charged_after_a_void_even_of_what_was_never_heard_of() {
    let mut talk = Talk::with(Speaks::Canonical);
    assert_eq!(talk.class(Operation::Void), "voided");
    assert_eq!((talk.class(Operation::Charge), talk.unreversed()), ("unknown", 0));
}

#[track_caller]
fn is_given_back_in_part_and_then_whole(talk: &mut Talk) {
    assert_eq!(talk.ask(Operation::Refund, 300).class(), "succeeded");
    assert_eq!(talk.refunded(), Some(300));
    assert_eq!((talk.class(Operation::Void), talk.unreversed()), ("voided", 0));
    assert_eq!(talk.class(Operation::Lookup), "voided");
}

#[test]
fn intents_are_captured_by_their_confirmation_found_and_taken_back() {
    let mut talk = Talk::with(Speaks::Intents);
    assert_eq!((talk.class(Operation::Prepare), talk.unreversed()), ("prepared", 0));
    assert_eq!((talk.class(Operation::Confirm), talk.unreversed()), ("succeeded", 1));
    is_given_back_in_part_and_then_whole(&mut talk);
}

#[test]
fn an_intent_for_a_later_capture_is_captured_once_the_customer_agreed() {
    let mut talk = Talk::with(Speaks::Intents);
    talk.capture = false;
    assert_eq!(talk.class(Operation::Prepare), "prepared");
    assert_eq!(talk.customer_pays("tok_good"), None);
    assert_eq!((talk.class(Operation::Lookup), talk.unreversed()), ("prepared", 0));
    assert_eq!((talk.class(Operation::Confirm), talk.unreversed()), ("succeeded", 1));
    let mut talk = Talk::with(Speaks::Intents);
    assert_eq!((talk.class(Operation::Prepare), talk.class(Operation::Cancel)), ("prepared", "voided"));
    assert_eq!(talk.class(Operation::Lookup), "voided");
}

#[test]
fn charges_are_found_in_their_list_held_and_given_back() {
    let mut talk = Talk::with(Speaks::Charges);
    assert_eq!(talk.class(Operation::Lookup), "not_found");
    assert_eq!((talk.class(Operation::Charge), talk.class(Operation::Lookup)), ("succeeded", "succeeded"));
    assert_eq!((talk.class(Operation::Void), talk.unreversed()), ("voided", 0));
    assert_eq!(talk.class(Operation::Lookup), "voided");
    let mut talk = Talk::with(Speaks::Charges);
    assert_eq!((talk.class(Operation::Prepare), talk.class(Operation::Lookup)), ("prepared", "prepared"));
    assert_eq!((talk.class(Operation::Confirm), talk.unreversed()), ("succeeded", 1));
    let mut talk = Talk::with(Speaks::Charges);
    assert_eq!((talk.class(Operation::Prepare), talk.class(Operation::Cancel)), ("prepared", "voided"));
    assert_eq!(talk.class(Operation::Lookup), "voided");
}

#[test]
fn a_toss_like_payment_begins_at_the_customers_device() {
    let mut talk = Talk::with(Speaks::Toss);
    assert_eq!(talk.class(Operation::Lookup), "not_found");
    talk.token = talk.customer_pays("tok_good");
    assert_eq!((talk.class(Operation::Lookup), talk.unreversed()), ("prepared", 0));
    assert_eq!((talk.class(Operation::Confirm), talk.unreversed()), ("succeeded", 1));
    is_given_back_in_part_and_then_whole(&mut talk);
}

#[test]
fn a_card_that_is_declined_is_declined_in_every_dialect() {
    for speaks in Speaks::ALL {
        let mut talk = Talk::with(speaks);
        talk.token = Some(DECLINED_TOKEN.into());
        let operation = match speaks {
            Speaks::Canonical | Speaks::Charges => Operation::Charge,
            Speaks::Intents => {
                assert_eq!(talk.class(Operation::Prepare), "prepared");
                Operation::Confirm
            }
            Speaks::Toss => {
                talk.token = talk.customer_pays(DECLINED_TOKEN);
                Operation::Confirm
            }
        };
        assert_eq!((talk.class(operation), talk.unreversed()), ("declined", 0), "{speaks:?}");
        assert_eq!(talk.class(Operation::Lookup), "declined", "{speaks:?}");
    }
}
