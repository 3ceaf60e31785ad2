//! Adapters: how one kind of provider is spoken to, and how its answers are classified.
//!
//! An adapter is pure: a call in, the bytes of a request out; an answer in, a [`Verdict`] out. It
//! never connects, waits or retries. Whatever it does not recognise is `unknown`.

mod canonical;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::money::Money;
use super::verdict::Verdict;

pub use canonical::Canonical;

/// One kind of provider.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// Its name, for people: `canonical`, or the file it came from.
    fn name(&self) -> &str;

    /// The request that asks for `charge`.
    ///
    /// # Errors
    /// [`BuildError`] if it can't be written; nothing is sent then.
    fn charge(&self, charge: &Charge<'_>) -> Result<WireRequest, BuildError>;

    /// What the provider's answer to `charge` means.
    fn classify_charge(&self, charge: &Charge<'_>, answer: &Answer) -> Verdict;
}

/// The adapter built in under this name, if there is one: `canonical`.
#[must_use]
pub fn built_in(name: &str) -> Option<Arc<dyn Adapter>> {
    (name == Canonical::NAME).then(|| Arc::new(Canonical) as Arc<dyn Adapter>)
}

/// What a provider is asked to charge.
#[derive(Clone, Copy)]
pub struct Charge<'a> {
    /// The key under which the provider recognises a repetition; never the client's own.
    pub provider_key: &'a str,
    /// Our name for this attempt: 6–64 characters of `[A-Za-z0-9_-]`, unique.
    pub order_reference: &'a str,
    /// How much.
    pub money: Money,
    /// Payment method, e.g. `card`.
    pub method: &'a str,
    /// The client's token for the customer's means of payment.
    pub token: &'a str,
    /// The client's own notes, in the order written.
    pub metadata: &'a [(String, String)],
}

impl fmt::Debug for Charge<'_> {
    /// Leaves out what may not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("order_reference", &self.order_reference)
            .field("money", &self.money)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
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
