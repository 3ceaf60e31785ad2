//! Settings for tests, as plain as they can be.

use std::sync::Arc;

use super::{BaseUrl, OnUnknown, Provider, ProviderTimeouts, Settings};
use crate::payments::adapter::built_in;
use crate::payments::capacity::Capacity;

impl Provider {
    /// One that speaks the canonical protocol and takes everything.
    pub(crate) fn sample(name: &str, weight: u32) -> Self {
        Self {
            name: name.into(),
            adapter: built_in("canonical").expect("built in"),
            base_url: BaseUrl::parse("http://127.0.0.1:1").expect("valid"),
            tls: None,
            weight,
            timeouts: ProviderTimeouts::default(),
            quiesce: Self::QUIESCE,
            on_unknown: OnUnknown::Hold,
            resolve_for: Self::RESOLVE_FOR,
            prepared_for: Self::PREPARED_FOR,
            currencies: Vec::new(),
            methods: Vec::new(),
            maintenance: Vec::new(),
            capacity: Capacity::default(),
            webhook: None,
        }
    }
}

impl Settings {
    /// These providers, everything else as it is unless written.
    pub(crate) fn sample(providers: Vec<Provider>) -> Self {
        Self {
            path: "/api/v1/payments".into(),
            deadline: Self::DEADLINE,
            max_attempts: Self::MAX_ATTEMPTS,
            retention: Self::RETENTION,
            weights: None,
            demote: None,
            providers: providers.into_iter().map(Arc::new).collect(),
        }
    }
}
