use proptest::prelude::*;

use super::*;

fn maintenance(cron: &str, zone: &str, hours: u64) -> Maintenance {
    let (cron, zone) = (Cron::parse(cron).expect(cron), Zone::named(zone).expect(zone));
    Maintenance::new(cron, zone, Duration::from_secs(hours * 3600))
}

fn utc(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("RFC 3339")
}

#[test]
fn a_window_is_open_from_its_first_moment_to_just_before_its_end() {
    let nightly = maintenance("0 2 * * SUN", "Asia/Seoul", 2);
    // Sunday, 2:00 in Seoul.
    let from = utc("2026-11-21T17:00:00Z");
    let until = from.plus(Duration::from_secs(7200));
    assert_eq!(nightly.open_at(Timestamp(from.0 - 1)), None);
    assert_eq!(nightly.open_at(from), Some(Window { from, until }));
    assert_eq!(nightly.open_at(Timestamp(until.0 - 1)), Some(Window { from, until }));
    assert_eq!(nightly.open_at(until), None);
}

#[test]
fn a_window_lasts_as_long_as_it_says_when_clocks_change_within_it() {
    let spring = maintenance("30 1 * * *", "America/New_York", 2);
    let open = spring.open_at(utc("2026-03-08T08:29:59Z")).expect("open");
    assert_eq!((open.from, open.until), (utc("2026-03-08T06:30:00Z"), utc("2026-03-08T08:30:00Z")));
}

#[test]
fn the_latest_end_of_several_windows_counts() {
    let both = [maintenance("0 0 * * *", "UTC", 1), maintenance("30 0 * * *", "UTC", 2)];
    assert_eq!(open_until(&both, utc("2026-01-01T00:45:00Z")), Some(utc("2026-01-01T02:30:00Z")));
    assert_eq!(open_until(&both, utc("2026-01-01T00:15:00Z")), Some(utc("2026-01-01T01:00:00Z")));
    assert_eq!(open_until(&both, utc("2026-01-01T02:30:00Z")), None);
}

#[test]
fn the_next_windows_are_told_in_order() {
    let weekly = maintenance("0 2 * * SUN", "Asia/Seoul", 2);
    let next: Vec<_> = weekly.after(utc("2026-11-21T17:00:00Z"), 2).map(|window| window.from).collect();
    assert_eq!(next, [utc("2026-11-28T17:00:00Z"), utc("2026-12-05T17:00:00Z")]);
}

proptest! {
    #![proptest_config(crate::types::property::config(200))]

    #[test]
    fn property_it_is_open_exactly_in_the_windows_that_were_told(
        hour in 0..24_u8, hours in 1..30_u64, day in 15_000..22_000_i64, minutes in 0..4_000_i64,
    ) {
        let daily = maintenance(&format!("15 {hour} * * *"), "America/New_York", hours);
        let start = Timestamp(day * 86_400_000);
        let at = start.plus(Duration::from_secs(minutes.unsigned_abs() * 60));
        let told = daily.after(before(start, Duration::from_secs(200_000)), 8);
        let inside = told.filter(|window| (window.from..window.until).contains(&at)).last();
        prop_assert_eq!(daily.open_at(at), inside);
    }
}

proptest! {
    #![proptest_config(crate::types::property::config(60))]

    #[test]
    fn property_each_next_beginning_is_later_and_as_written_and_none_before_it_is_left_out(
        place in 0..ZONES.len(),
        minute in 0..60_u8, step in 1..24_u8, weekday in 0..6_u8,
        days in 10_000..25_000_i64, second in 0..86_400_i64,
    ) {
        let zone = Zone::named(ZONES[place]).expect("a zone");
        let cron = Cron::parse(&format!("{minute} */{step} * * {weekday}-6")).expect("valid");
        let after = Timestamp((days * 86_400 + second) * 1000);
        let next = cron.next(&zone, after).expect("comes");
        prop_assert!(next > after);
        let begins = |at: Timestamp| {
            let clock = Clock::at(&zone, at);
            let named = clock.minute % 60 == i64::from(minute)
                && clock.minute / 60 % 24 % i64::from(step) == 0
                && clock.weekday() >= i64::from(weekday);
            named && clock.seconds == 0 && !clock.is_repeated(&zone, at)
        };
        let skipped = Clock::at(&zone, next).minute - Clock::at(&zone, Timestamp(next.0 - 60_000)).minute > 1;
        prop_assert!(begins(next) || skipped, "{} is no beginning", zone.show(next));
        let between = (after.0.div_euclid(60_000) + 1..next.0.div_euclid(60_000)).map(|minute| minute * 60_000);
        prop_assert_eq!(between.take(3_000).find(|at| begins(Timestamp(*at))), None);
    }
}

/// Zones with every kind of change: none, an hour in both hemispheres, half an hour, at midnight, a whole day.
const ZONES: &[&str] =
    &["Asia/Seoul", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Pacific/Apia"];

/// What the clocks of a zone show, reckoned apart from the code under test.
struct Clock {
    /// Since the epoch, if these clocks were UTC's.
    minute: i64,
    seconds: i64,
}

impl Clock {
    fn at(zone: &Zone, at: Timestamp) -> Self {
        let shown = zone.show(at);
        let local = Timestamp::parse(&format!("{}Z", &shown[..19])).expect("a moment").seconds();
        Self { minute: local.div_euclid(60), seconds: local.rem_euclid(60) }
    }

    /// Sunday is 0; the epoch was a Thursday.
    fn weekday(&self) -> i64 {
        (self.minute.div_euclid(24 * 60) + 4).rem_euclid(7)
    }

    /// The clocks showed the same before.
    fn is_repeated(&self, zone: &Zone, at: Timestamp) -> bool {
        [30, 60, 24 * 60].iter().any(|ago| Self::at(zone, Timestamp(at.0 - ago * 60_000)).minute == self.minute)
    }
}
