//! Who gets how much: each provider's `weight`, or the flag that `payments.weights` names.
//!
//! The flag is a split whose variants are the providers. It changes as every flag does (at once,
//! recorded, undone with a word), and only its weights are asked for: a payment sticks to nobody.

use crate::config::cursor::Cursor;
use crate::config::lowering::Lowering;
use crate::config::quote::{did_you_mean, listed, quoted};
use crate::config::shape::{Field, Shape, optional};
use crate::config::targets::Targets;
use crate::flags::{Flag, Kind};
use crate::types::FlagKey;

pub(super) const WEIGHTS: Field = optional(
    "weights",
    Shape::Text(&crate::config::formats::SLUG),
    "a flag of kind split whose variants are the providers' names: its weights replace those written here",
);
pub(super) const WEIGHT: Field = optional(
    "weight",
    Shape::Integer { min: 0, max: 1_000_000 },
    "share of new payments relative to the other weights; 0 takes none; required without `payments.weights`",
);

/// The weight of each provider, in the order written, and the flag that they come from.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) flag: Option<FlagKey>,
    pub(super) by_provider: Vec<u32>,
}

/// The weights; `None` after a mistake.
pub(super) fn lower(payments: &Cursor<'_>, targets: &mut Targets<'_>, lowering: &mut Lowering<'_>) -> Option<Weights> {
    let providers = payments.items_of("providers");
    let Some(place) = payments.get("weights") else {
        let weights: Vec<_> = providers.iter().map(|provider| written(provider, lowering)).collect();
        return Some(Weights { flag: None, by_provider: weights.into_iter().collect::<Option<_>>()? });
    };
    let key = place.text()?;
    for provider in &providers {
        if let Some(weight) = provider.get("weight") {
            let message = format!(
                "{} has no effect: the flag {} has the weights; remove it",
                quoted(weight.text().unwrap_or_default()),
                quoted(key)
            );
            lowering.report.warning(&weight.spot(), message);
        }
    }
    targets.used.insert(key.into());
    let Some(flag) = targets.flags.flags.get(key) else {
        if !targets.broken_flags.may_hold(key) {
            let hint = did_you_mean(key, targets.flags.flags.keys().map(FlagKey::as_str));
            let mend = if hint.is_empty() { "; add a split of this name to a flag file".to_owned() } else { hint };
            lowering.report.error(&place.spot(), format!("there is no flag {}{mend}", quoted(key)));
        }
        return None;
    };
    let names: Vec<&str> = providers.iter().filter_map(|provider| provider.text_of("name")).collect();
    let mistakes = mistakes(flag, &names);
    for mistake in &mistakes {
        lowering.report.error(&place.spot(), mistake);
    }
    (mistakes.is_empty() && names.len() == providers.len()).then(|| Weights {
        flag: Some(flag.key.clone()),
        by_provider: names.iter().map(|name| weight(flag, name)).collect(),
    })
}

fn written(provider: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<u32> {
    if provider.get("weight").is_none() {
        let message = "key \"weight\" is missing: share of new payments relative to the other weights; \
                       or name a flag in `payments.weights`";
        lowering.report.error(&provider.spot(), message);
    }
    provider.integer_of("weight")
}

/// Everything in which the flag does not fit the providers.
fn mistakes(flag: &Flag, names: &[&str]) -> Vec<String> {
    let (key, file) = (quoted(flag.key.as_str()), &flag.file);
    if !matches!(flag.kind, Kind::Split(_)) {
        let kind = flag.kind.as_str();
        return vec![format!("the flag {key} ({file}) is a {kind}; weights need one of kind split")];
    }
    let variants = || flag.variants().iter().map(|variant| variant.as_str());
    let mut mistakes = Vec::new();
    for name in names.iter().filter(|name| !variants().any(|variant| variant == **name)) {
        mistakes
            .push(format!("the flag {key} ({file}) has no variant for the provider {}; add it there", quoted(name)));
    }
    for variant in variants().filter(|variant| !names.contains(variant)) {
        mistakes.push(format!(
            "the flag {key} ({file}) has the variant {}, which is no provider here; there are {}",
            quoted(variant),
            listed(names.iter().copied())
        ));
    }
    if !flag.rules.is_empty() {
        mistakes.push(format!("the flag {key} ({file}) has rules, and payments follow none; remove them"));
    }
    mistakes
}

fn weight(flag: &Flag, name: &str) -> u32 {
    let Kind::Split(split) = &flag.kind else { return 0 };
    let place = split.names().iter().position(|variant| variant.as_str() == name);
    match place {
        Some(place) if flag.killed => u32::from(place == 0),
        Some(place) => split.weights()[place],
        None => 0,
    }
}
