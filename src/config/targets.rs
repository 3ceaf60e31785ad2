//! Where a route's requests go: names of backends and flags to the things themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cursor::Cursor;
use super::flags::Broken;
use super::lowering::Lowering;
use super::quote::{did_you_mean, listed, quoted};
use crate::auth::Authenticator;
use crate::filters;
use crate::flags::{Flag, FlagSet, Kind, Stage};
use crate::snapshot::{Backend, Policy, Target, Terms};
use crate::types::FlagKey;

/// What routes may name.
#[derive(Debug)]
pub(super) struct Targets<'a> {
    /// Every name under `backends`, also of those that could not be built.
    pub(super) backend_names: Vec<String>,
    pub(super) backends: &'a [Arc<Backend>],
    pub(super) flags: &'a FlagSet,
    /// Flags that could not be read: naming one is no mistake of the route.
    pub(super) broken_flags: &'a Broken,
    pub(super) has_issuers: bool,
    /// `None` if `auth` has mistakes; nothing is built from these routes then.
    pub(super) authenticator: Option<Arc<Authenticator>>,
    /// One for each terms that some route has.
    pub(super) policies: Vec<Arc<Policy>>,
    /// Flags that some route names.
    pub(super) used: BTreeSet<FlagKey>,
}

impl Targets<'_> {
    /// The policy with these terms: the same for every route that has them, so that requests to many routes read the
    /// same memory.
    pub(super) fn policy(&mut self, terms: Terms) -> Arc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| known.terms == terms) {
            return Arc::clone(known);
        }
        let chain = |authenticator| filters::chain(terms.auth, authenticator, terms.cors.as_ref());
        let filters = self.authenticator.as_ref().map(chain).unwrap_or_default();
        let policy = Arc::new(Policy { terms, filters });
        self.policies.push(Arc::clone(&policy));
        policy
    }
}

/// The target of a route; `None` after a mistake, here or in what it names.
pub(super) fn target(route: &Cursor<'_>, targets: &mut Targets<'_>, lowering: &mut Lowering<'_>) -> Option<Target> {
    match (route.get("backend"), route.get("flag")) {
        (Some(place), None) => {
            if let Some(extra) = route.get("backends") {
                let message = "\"backends\" is for routes with a `flag`; remove it, or name the flag that chooses";
                lowering.report.error(&extra.spot(), message);
            }
            Some(Target::Backend(backend(&place, targets, lowering)?))
        }
        (None, Some(place)) => flagged(route, &place, targets, lowering),
        _ => None,
    }
}

fn backend(place: &Cursor<'_>, targets: &Targets<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<Backend>> {
    let name = place.text()?;
    if let Some(backend) = targets.backends.iter().find(|backend| backend.name.as_str() == name) {
        return Some(Arc::clone(backend));
    }
    if !targets.backend_names.iter().any(|known| known == name) {
        let known = || targets.backend_names.iter().map(String::as_str);
        let hint = did_you_mean(name, known());
        let hint = match (hint.is_empty(), targets.backend_names.is_empty()) {
            (false, _) => hint,
            (true, false) => format!("; `backends` has {}", listed(known())),
            (true, true) => "; add it under `backends`".to_owned(),
        };
        lowering.report.error(&place.spot(), format!("there is no backend {}{hint}", quoted(name)));
    }
    None
}

fn flagged(
    route: &Cursor<'_>,
    place: &Cursor<'_>,
    targets: &mut Targets<'_>,
    lowering: &mut Lowering<'_>,
) -> Option<Target> {
    let key = place.text()?;
    let flag = targets.flags.flags.get(key).map(Arc::clone);
    let Some(table) = route.get("backends") else {
        let variants = flag.map(|flag| flag.variants().iter().map(ToString::to_string).collect::<Vec<_>>());
        let keys = variants.map_or("each variant".into(), |names| listed(names.iter().map(String::as_str)));
        let message = format!("a route with the flag {} needs `backends`, a backend for {keys}", quoted(key));
        lowering.report.error(&place.spot(), message);
        return None;
    };
    // Looked up before anything can return, so that every wrong name is reported at once.
    let named: Vec<_> = table
        .entries()
        .map(|(entry, value)| (entry.key.as_str(), table.key_spot(entry), backend(&value, targets, lowering)))
        .collect();
    targets.used.insert(key.into());
    let Some(flag) = flag else {
        unknown_flag(place, key, targets, lowering);
        return None;
    };
    let known = || flag.variants().iter().map(crate::types::VariantName::as_str);
    for (variant, spot, _) in named.iter().filter(|(variant, ..)| !known().any(|known| known == *variant)) {
        let hint = did_you_mean(variant, known());
        let message =
            format!("the flag {} has no variant {}; it has {}{hint}", quoted(key), quoted(variant), listed(known()));
        lowering.report.error(spot, message);
    }
    let mut backends = Vec::new();
    for (index, variant) in known().enumerate() {
        let found = named.iter().find(|(name, ..)| *name == variant);
        if found.is_none()
            && let Err(reason) = may_lack(&flag, index)
        {
            let message =
                format!("the flag {} may say {variant:?}, and no backend is named for it: {reason}", quoted(key));
            lowering.report.error(&table.spot(), message);
        }
        backends.push(found.and_then(|(_, _, backend)| backend.clone()));
    }
    Some(Target::Flagged { flag, backends })
}

fn unknown_flag(place: &Cursor<'_>, key: &str, targets: &Targets<'_>, lowering: &mut Lowering<'_>) {
    if targets.broken_flags.may_hold(key) {
        return;
    }
    let known = || targets.flags.flags.keys().map(FlagKey::as_str);
    let hint = did_you_mean(key, known());
    let mend = if hint.is_empty() {
        "; add it to a flag file, or name a `backend` instead of a flag".to_owned()
    } else {
        hint
    };
    lowering.report.error(&place.spot(), format!("there is no flag {}{mend}", quoted(key)));
}

/// Whether a route may leave out the backend of a variant: only the legacy side of a retired
/// migration that can't say `legacy` any more.
fn may_lack(flag: &Flag, variant: usize) -> Result<(), String> {
    let retired = matches!(flag.kind, Kind::Migration { stage: Stage::Retired, .. });
    if !retired || variant != 0 {
        return Err("add it".into());
    }
    if flag.killed {
        return Err("the flag is killed, so everything goes there; revive the flag or name the backend".into());
    }
    if let Some(index) = flag.rules.iter().position(|rule| rule.serve == variant) {
        return Err(format!("its rules[{index}] serves it; remove that rule or name the backend"));
    }
    Ok(())
}
