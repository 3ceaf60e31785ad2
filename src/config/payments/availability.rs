//! When and how much a provider takes: `maintenance` and `capacity`, and `demote` for all of them.

use std::time::Duration;

use crate::clock::{Cron, Timestamp, Zone};
use crate::config::cursor::Cursor;
use crate::config::lowering::Lowering;
use crate::config::quote::quoted;
use crate::config::shape::{DAY, Format, Section, Shape, default, optional, required, section};
use crate::flags::{WHOLE, parse_percent};
use crate::payments::{Capacity, Demotion, Maintenance};

static CRON: Format = Format {
    name: "a cron expression such as \"0 2 * * SUN\"",
    pattern: Some("^\\S+(\\s+\\S+){4}$"),
    check: |text| Cron::parse(text).map(drop).map_err(|error| format!("{}: {error}", quoted(text))),
};
static ZONE: Format =
    Format { name: "a time zone such as Asia/Seoul", pattern: Some("^[A-Za-z0-9/_+-]+$"), check: zone };

/// More than a million requests a second nobody sells.
const LIMIT: Shape = Shape::Integer { min: 1, max: 1_000_000 };
/// Windows that are looked at to find out whether they ever end.
const WINDOWS: usize = 400;
/// Some Thursday, so that what is good is good on every day.
const SOME_DAY: Timestamp = Timestamp(1_767_225_600_000);

pub(super) static MAINTENANCE: Section = section(
    "A window in which the provider takes no new payments.",
    &[
        required("cron", Shape::Text(&CRON), "when it begins: minute, hour, day of the month, month, day of the week"),
        required("zone", Shape::Text(&ZONE), "whose clocks `cron` goes by, such as Asia/Seoul"),
        required(
            "for",
            Shape::Duration { min: Duration::from_secs(60), max: Duration::from_secs(31 * 86_400) },
            "how long it lasts; 1m to 31d",
        ),
    ],
);

pub(super) static CAPACITY: Section = section(
    "What the provider takes by contract, from this process; beyond it the next one in rank takes a payment.",
    &[
        optional("per_second", LIMIT, "requests within any second; no limit unless set"),
        optional("in_flight", LIMIT, "requests at once; no limit unless set"),
    ],
);

pub(super) static DEMOTE: Section = section(
    "Fewer payments for a provider whose charges succeed clearly less often than the others'.",
    &[
        default(
            "window",
            Shape::Duration { min: Duration::from_secs(60), max: Demotion::LONGEST_WINDOW },
            "10m",
            "how long an outcome counts; 1m to 6h",
        ),
        default("min_samples", LIMIT, "100", "fewest outcomes to judge by, of the provider and of its peers"),
        default("below", Shape::Percent, "90", "per cent of the peers' rate of success below which it is demoted"),
        default("explore", Shape::Percent, "10", "per cent of its weight that a demoted provider keeps; above 0"),
    ],
);

fn zone(text: &str) -> Result<(), String> {
    match Zone::named(text) {
        Some(_) => Ok(()),
        None => Err(format!("{} is no time zone; write its IANA name, such as Asia/Seoul or UTC", quoted(text))),
    }
}

/// The provider's windows; those with mistakes are left out, and reported.
pub(super) fn maintenance(provider: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Vec<Maintenance> {
    let items = provider.items_of("maintenance");
    let windows = items.iter().filter_map(|item| {
        let zone = Zone::named(item.text_of("zone")?)?;
        let maintenance = Maintenance::new(item.read_of("cron", Cron::parse)?, zone, item.duration_of("for")?);
        if never_ends(&maintenance) {
            let place = item.get("for").unwrap_or_else(|| item.clone());
            let message = format!(
                "{} is so long that one window ends no sooner than the next begins: it would take no payment ever; \
                 shorten it, or give the provider a weight of 0",
                quoted(place.text().unwrap_or_default())
            );
            lowering.report.error(&place.spot(), message);
        }
        Some(maintenance)
    });
    windows.collect()
}

fn never_ends(maintenance: &Maintenance) -> bool {
    let windows: Vec<_> = maintenance.after(SOME_DAY, WINDOWS).collect();
    windows.len() > 1 && windows.windows(2).all(|pair| pair[0].until >= pair[1].from)
}

/// The provider's contractual limits.
pub(super) fn capacity(provider: &Cursor<'_>) -> Capacity {
    let limit = |key| provider.get("capacity").and_then(|capacity| capacity.integer_of(key));
    Capacity { per_second: limit("per_second"), in_flight: limit("in_flight") }
}

/// `payments.demote`; `None` if nothing is ever demoted.
pub(super) fn demote(payments: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Demotion> {
    let demote = payments.get("demote")?;
    let mut share = |key: &str, standard: f64| {
        let Some(hundredths) = demote.read_of(key, parse_percent) else { return standard };
        if hundredths == 0
            && let Some(place) = demote.get(key)
        {
            let message = match key {
                "explore" => "\"0\" would never give the provider a chance again; keep at least 1",
                _ => "\"0\" would never demote anybody; leave `demote` out instead",
            };
            lowering.report.error(&place.spot(), message);
        }
        f64::from(hundredths) / f64::from(WHOLE)
    };
    Some(Demotion {
        below: share("below", 0.9),
        explore: share("explore", 0.1),
        window: demote.duration_of("window").unwrap_or(DAY / 144),
        min_samples: demote.integer_of("min_samples").unwrap_or(100),
    })
}
