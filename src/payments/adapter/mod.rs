//! Adapters: how one kind of provider is spoken to, and how its answers are classified.
//!
//! An adapter is pure: a call in, the bytes of a request out; an answer in, a [`Verdict`] out. It
//! never connects, waits or retries. Whatever it does not recognise is `unknown`.

mod authorization;
mod compile;
mod declared;
mod draft;
mod examples;
mod expression;
mod filters;
mod judge;
mod mistake;
mod names;
mod overbold;
mod plan;
mod request;
mod scope;
mod sign;
mod template;
mod variables;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::money::Money;
use super::record::Operation;
use super::verdict::Verdict;
use crate::clock::Timestamp;

pub use declared::{Credential, Declared};
pub use draft::{Class, Draft, Need};
pub use examples::{Tried, try_examples};
pub use mistake::{Mistake, Place, Step};
pub use plan::Plan;
pub use variables::Stamp;

/// Name of the built-in adapter in `providers[].adapter`.
pub const CANONICAL: &str = "canonical";
/// It is a file like any other.
const CANONICAL_YAML: &str = include_str!("../../../config/providers/canonical.yaml");

/// One kind of provider.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// Its name, for people: `canonical`, or the file it came from.
    fn name(&self) -> &str;

    /// How the provider can be asked for an operation.
    fn ability(&self, operation: Operation) -> Ability;

    /// Whether what [`Operation::Prepare`] leaves behind can never charge or hold money unless it
    /// is confirmed: then an unknown outcome of it is as good as `not_processed`.
    fn prepare_is_harmless(&self) -> bool;

    /// Whether a payment that is to be captured at once is prepared and then confirmed by the gateway
    /// itself, in one request of the client.
    fn confirms_itself(&self) -> bool {
        false
    }

    /// What to ask the provider for when the answer to this call never comes.
    ///
    /// # Errors
    /// [`BuildError`] if the template fails; nothing is sent then.
    fn lookup_handle(&self, call: &Call<'_>) -> Result<String, BuildError>;

    /// The request that asks for this; only for operations of [`Ability::Call`].
    ///
    /// # Errors
    /// [`BuildError`] if it can't be written; nothing is sent then.
    fn request(&self, call: &Call<'_>) -> Result<WireRequest, BuildError>;

    /// What the provider's answer to the call means. One about another amount, currency or order
    /// than the call's is `unknown` with [`Doubt::Mismatch`](super::verdict::Doubt::Mismatch).
    fn classify(&self, call: &Call<'_>, answer: &Answer) -> Verdict;

    /// What the customer's device needs, of a provider whose [`Operation::Prepare`] is
    /// [`Ability::Local`].
    ///
    /// # Errors
    /// [`BuildError`] if a template fails.
    fn next_action(&self, call: &Call<'_>) -> Result<BTreeMap<String, String>, BuildError>;

    /// Why [`Self::classify`] says what it says, for people; without any value of the answer.
    fn explain(&self, _: &Call<'_>, _: &Answer) -> String {
        String::new()
    }

    /// The text without the adapter's secrets.
    fn masked(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// How a provider can be asked for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Not at all.
    None,
    /// By a request.
    Call,
    /// Without any: the customer's device does it ([`Operation::Prepare`] only).
    Local,
}

/// What a provider is asked for.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Which operation.
    pub operation: Operation,
    /// The key under which the provider recognises a repetition; never the client's own. Looks
    /// have one too, that nobody needs.
    pub provider_key: &'a str,
    /// Our name for this attempt: 6–64 characters of `[A-Za-z0-9_-]`, unique.
    pub order_reference: &'a str,
    /// [`Intent::lookup`](super::record::Intent::lookup) of the attempt; empty while it is being made.
    pub lookup: &'a str,
    /// The provider's name for the payment, where known.
    pub provider_ref: Option<&'a str>,
    /// How much: of the payment, or of the refund.
    pub money: Money,
    /// Payment method, e.g. `card`.
    pub method: &'a str,
    /// Whether the money is to be captured at once.
    pub capture: bool,
    /// The client's token for the customer's means of payment, or what the customer's device
    /// brought for the confirmation; `None` where no client is there, as in looks.
    pub token: Option<&'a str>,
    /// The client's own notes, in the order written.
    pub metadata: &'a [(String, String)],
    /// Our name for the refund, in a refund.
    pub refund_reference: Option<&'a str>,
    /// What the latest look found, in a void.
    pub found: Option<&'a Verdict>,
}

impl fmt::Debug for Call<'_> {
    /// Leaves out what may not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field("order_reference", &self.order_reference)
            .field("money", &self.money)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// The plan built in under this name, if there is one: [`CANONICAL`].
#[must_use]
pub fn built_in_plan(name: &str) -> Option<Arc<Plan>> {
    static CANONICAL_PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
        let draft = serde_saphyr::from_str(CANONICAL_YAML).expect("the built-in adapter is tried by tests");
        Arc::new(Plan::compile(CANONICAL, draft).expect("the built-in adapter is tried by tests"))
    });
    (name == CANONICAL).then(|| Arc::clone(&CANONICAL_PLAN))
}

/// The adapter built in under this name, without credentials.
#[must_use]
pub fn built_in(name: &str) -> Option<Arc<dyn Adapter>> {
    let stamp = || Stamp { at: Timestamp::default(), nonce: String::new() };
    let adapter = Declared::new(built_in_plan(name)?, BTreeMap::new(), stamp).ok()?;
    Some(Arc::new(adapter))
}

/// A request to a provider; the transport adds `Host` and `Content-Length`.
pub struct WireRequest {
    /// Method.
    pub method: Method,
    /// Path below the provider's base URL, starting with a slash, encoded.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body.
    pub body: Bytes,
}

impl fmt::Debug for WireRequest {
    /// Leaves out what may not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// A provider's whole answer.
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body, complete.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    /// Leaves out what may not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why a request could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("adapter {adapter}: {detail}")]
pub struct BuildError {
    /// [`Adapter::name`].
    pub adapter: String,
    /// What is wrong, without any of the payment's values.
    pub detail: String,
}

#[cfg(test)]
mod tests;
