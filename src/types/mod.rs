//! Names and small values that every layer shares.

pub mod fields;
mod name;
#[cfg(test)]
pub(crate) mod property;
pub mod strict_json;

pub use name::{BackendName, FlagKey, ProviderName, RouteName, VariantName};

/// Number of a published snapshot; grows by one with each publication of a running gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision that a publication after this one gets.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
