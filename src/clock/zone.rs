//! Time zones: between moments and what the clocks of a place show.
//!
//! Only what schedules need. Names come from the machine's time zone database, or from the one that
//! is built in where the machine has none.

use jiff::Timestamp as Moment;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::Timestamp;

/// A time zone with its daylight saving, e.g. `Asia/Seoul`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this IANA name; `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        // The database takes more than names (fixed offsets, files); a schedule wants a place.
        let plausible = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
        if !plausible || name.is_empty() {
            return None;
        }
        TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some()).map(Self)
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// This moment as the clocks there show it, e.g. `2026-11-22T02:00:00+09:00`.
    #[must_use]
    pub fn show(&self, at: Timestamp) -> String {
        match Moment::from_millisecond(at.0) {
            Ok(moment) => moment.to_zoned(self.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Err(_) => at.rfc3339(),
        }
    }

    /// What the clocks there show; `None` beyond the calendar (years −9999 to 9999).
    pub(super) fn local(&self, at: Timestamp) -> Option<DateTime> {
        Moment::from_millisecond(at.0).ok().map(|moment| self.0.to_datetime(moment))
    }

    /// The first moment at which the clocks there have reached this time of this day: of a time that
    /// comes twice the first, of one that is skipped the moment when the clocks are put forward. Later
    /// times have later moments, or the same.
    pub(super) fn first_moment(&self, day: Date, hour: i8, minute: i8) -> Option<Timestamp> {
        let time = day.at(hour, minute, 0, 0);
        let moment = match self.0.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time),
            AmbiguousOffset::Gap { after, .. } => {
                // Read with the later offset, a skipped time lies before the moment that skips it.
                let earlier = after.to_timestamp(time).ok()?;
                let transition = self.0.following(earlier).next();
                return transition.map(|transition| Timestamp(transition.timestamp().as_millisecond()));
            }
        };
        moment.ok().map(|moment| Timestamp(moment.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("RFC 3339")
    }

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn names_are_places_and_nothing_else() {
        for name in ["Asia/Seoul", "Europe/Berlin", "UTC", "Etc/GMT+9"] {
            assert_eq!(Zone::named(name).map(|zone| zone.name().to_owned()).as_deref(), Some(name));
        }
        for name in ["", "Asia/Soul", "+09:00", "KST", "../etc/passwd", "Asia/Seoul "] {
            assert_eq!(Zone::named(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_skipped_time_is_reached_when_the_clocks_are_put_forward() {
        let york = Zone::named("America/New_York").expect("a zone");
        // At 2:00 on 8 March 2026 the clocks go to 3:00.
        let change = utc("2026-03-08T07:00:00Z");
        for (hour, minute) in [(2, 0), (2, 30), (2, 59), (3, 0)] {
            assert_eq!(york.first_moment(day("2026-03-08"), hour, minute), Some(change), "{hour}:{minute}");
        }
        assert_eq!(york.first_moment(day("2026-03-08"), 1, 59), Some(utc("2026-03-08T06:59:00Z")));
        // A whole day was skipped in Samoa.
        let apia = Zone::named("Pacific/Apia").expect("a zone");
        assert_eq!(apia.first_moment(day("2011-12-30"), 12, 0), Some(utc("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn of_a_time_that_comes_twice_the_first_counts() {
        let york = Zone::named("America/New_York").expect("a zone");
        assert_eq!(york.first_moment(day("2026-11-01"), 1, 30), Some(utc("2026-11-01T05:30:00Z")));
        assert_eq!(york.show(utc("2026-11-01T06:30:00Z")), "2026-11-01T01:30:00-05:00");
    }
}
