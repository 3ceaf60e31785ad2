//! `payments`: the distributor's settings. Each group of keys has a file; this one holds the section itself.

mod adapter;
mod adapter_file;
mod adapter_parts;
mod availability;
mod client_api;
mod ledger;
mod provider;
mod secret;
mod webhook;
mod weights;

use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::lowering::Lowering;
use super::quote::quoted;
use super::routes::{AUTH_MODE, check_names};
use super::shape::{DAY, Section, Shape, default, list, optional, required, section};
use super::targets::Targets;
use crate::payments::{Provider, Settings};

pub(super) use adapter_file::ADAPTER_FILE;
pub(super) use client_api::routes;
pub(super) use ledger::ledger;
use provider::PROVIDER;

pub(super) static PAYMENTS: Section = section(
    "Payments, distributed over several providers.",
    &[
        required("path", Shape::Text(&client_api::PATH), "path of the client API, such as /api/v1/payments"),
        default("auth", AUTH_MODE, "required", "as on a route"),
        required("ledger", Shape::Section(&ledger::LEDGER), "where attempts are recorded; needs a restart"),
        default(
            "deadline",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(120) },
            "15s",
            "one client request, all attempts together; 1s to 2m",
        ),
        default("max_attempts", Shape::Integer { min: 1, max: 10 }, "2", "providers that one request may try"),
        default(
            "retention",
            Shape::Duration { min: DAY, max: Duration::from_secs(3_660 * 86_400) },
            "400d",
            "how long payments that are settled are kept, and their keys known",
        ),
        weights::WEIGHTS,
        optional(
            "demote",
            Shape::Section(&availability::DEMOTE),
            "fewer payments for who succeeds less often; off unless set",
        ),
        required("providers", list(&Shape::Section(&PROVIDER), 1), "those that payments are distributed over"),
    ],
);

/// The distributor's settings; `None` after a mistake.
pub(super) fn lower(payments: &Cursor<'_>, targets: &mut Targets<'_>, lowering: &mut Lowering<'_>) -> Option<Settings> {
    let weights = weights::lower(payments, targets, lowering);
    let demote = availability::demote(payments, lowering);
    let items = payments.items_of("providers");
    check_names(&items, "provider", lowering);
    let mut adapters = adapter::Adapters::default();
    let providers: Vec<_> = items.iter().filter_map(|item| provider::lower(item, &mut adapters, lowering)).collect();
    let weights = weights.filter(|_| providers.len() == items.len())?;
    let weighted = providers.into_iter().zip(weights.by_provider);
    let providers = weighted.map(|(provider, weight)| Arc::new(Provider { weight, ..provider })).collect();
    let settings = Settings {
        path: payments.text_of("path")?.to_owned(),
        deadline: payments.duration_of("deadline").unwrap_or(Settings::DEADLINE),
        max_attempts: payments.integer_of("max_attempts").unwrap_or(Settings::MAX_ATTEMPTS),
        retention: payments.duration_of("retention").unwrap_or(Settings::RETENTION),
        weights: weights.flag,
        demote,
        providers,
    };
    for (path, message) in settings.check() {
        let place = at(payments, &path);
        let message = match place.text() {
            Some(value) => format!("{}: {message}", quoted(value)),
            None => message,
        };
        lowering.report.error(&place.spot(), message);
    }
    for (path, message) in settings.concerns() {
        lowering.report.warning(&at(payments, &path).spot(), message);
    }
    Some(settings)
}

/// Goes down a path such as `providers[1].name` as far as it leads.
fn at<'a>(payments: &Cursor<'a>, path: &str) -> Cursor<'a> {
    let mut place = payments.clone();
    for step in path.split(['.', '[']) {
        let index = step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
        let next = match index {
            Some(index) => place.items().nth(index),
            None => place.get(step),
        };
        match next {
            Some(next) => place = next,
            None => break,
        }
    }
    place
}
