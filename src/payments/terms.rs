//! What a provider can do for a payment, and how long to wait: all that the pure rules know of it.

use std::time::Duration;

use super::adapter::Ability;
use super::record::Operation;
use super::settings::{OnUnknown, Provider, Settings};
use crate::types::ProviderName;

/// Terms on which a provider works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// Its name.
    pub name: ProviderName,
    /// Whether the settings name it at all. One that they don't can be asked nothing until they do again.
    pub is_known: bool,
    /// Whether it can be asked what became of an attempt.
    pub looks: bool,
    /// What to do about an unknown outcome.
    pub on_unknown: OnUnknown,
    /// How something is taken back that is, or may be, charged.
    pub void: Option<Operation>,
    /// How something is taken back that is prepared and no more.
    pub cancel: Option<Operation>,
    /// Whether a prepared attempt leaves anything at the provider.
    pub leaves_prepared: bool,
    /// Whether a prepared attempt that is never confirmed can charge nobody.
    pub prepare_is_harmless: bool,
    /// Whether the gateway itself takes the second step of a payment that is to be captured at once.
    pub confirms_itself: bool,
    /// How long after an attempt "not found" proves nothing.
    pub quiesce: Duration,
    /// How long to go on finding out.
    pub resolve_for: Duration,
    /// How long a prepared attempt waits for its confirmation.
    pub prepared_for: Duration,
}

impl Terms {
    /// Those of a provider.
    #[must_use]
    pub(super) fn of(provider: &Provider) -> Self {
        let adapter = &provider.adapter;
        let calls = |operation: &Operation| adapter.ability(*operation) == Ability::Call;
        let first = |wanted: &[Operation]| wanted.iter().copied().find(calls);
        let is_local = adapter.ability(Operation::Prepare) == Ability::Local;
        Self {
            name: provider.name.clone(),
            is_known: true,
            looks: calls(&Operation::Lookup),
            on_unknown: provider.on_unknown,
            void: first(&[Operation::Void]),
            cancel: first(&[Operation::Cancel, Operation::Void]),
            leaves_prepared: !is_local,
            prepare_is_harmless: is_local || adapter.prepare_is_harmless(),
            confirms_itself: adapter.confirms_itself(),
            quiesce: provider.quiesce,
            resolve_for: provider.resolve_for,
            prepared_for: provider.prepared_for,
        }
    }

    /// Those of a provider that was taken out of the settings.
    fn unknown(name: &ProviderName) -> Self {
        Self {
            name: name.clone(),
            is_known: false,
            looks: false,
            on_unknown: OnUnknown::Resolve,
            void: None,
            cancel: None,
            leaves_prepared: true,
            prepare_is_harmless: false,
            confirms_itself: false,
            quiesce: Provider::QUIESCE,
            resolve_for: Provider::RESOLVE_FOR,
            prepared_for: Provider::PREPARED_FOR,
        }
    }
}

/// The terms of all providers.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory(Vec<Terms>);

impl Directory {
    /// Those of all providers in the settings.
    #[must_use]
    pub(super) fn of(settings: &Settings) -> Self {
        Self(settings.providers.iter().map(|provider| Terms::of(provider)).collect())
    }

    /// Those of one provider.
    #[must_use]
    pub(super) fn terms(&self, name: &ProviderName) -> Terms {
        self.0.iter().find(|terms| terms.name == *name).cloned().unwrap_or_else(|| Terms::unknown(name))
    }
}

#[cfg(test)]
impl Terms {
    /// Those of a provider that can do everything; `quiesce` is 5 s, the bound an hour, and a prepared
    /// payment waits half an hour.
    pub(super) fn sample(name: &str) -> Self {
        Self {
            name: name.into(),
            is_known: true,
            looks: true,
            on_unknown: OnUnknown::Resolve,
            void: Some(Operation::Void),
            cancel: Some(Operation::Cancel),
            leaves_prepared: true,
            prepare_is_harmless: false,
            confirms_itself: false,
            quiesce: Duration::from_secs(5),
            resolve_for: Duration::from_secs(3_600),
            prepared_for: Duration::from_secs(1_800),
        }
    }
}

#[cfg(test)]
impl FromIterator<Terms> for Directory {
    fn from_iter<T: IntoIterator<Item = Terms>>(terms: T) -> Self {
        Self(terms.into_iter().collect())
    }
}
