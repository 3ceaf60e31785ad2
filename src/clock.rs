//! Wall-clock time as a value; rules take it as an argument and never read a clock themselves.

mod cron;
mod zone;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use cron::{Cron, CronError};
pub use zone::Zone;

/// A moment on the wall clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The machine's wall clock, now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time that passed since `earlier`; zero if the clock went back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment and `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T20:00:00.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => format!("{moment:.3}"),
            Err(_) => format!("{}ms", self.0),
        }
    }

    /// The form that `Date` has (RFC 9110, section 5.6.7), e.g. `Sat, 21 Nov 2026 20:00:00 GMT`.
    #[must_use]
    pub fn http_date(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|moment| moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .unwrap_or_default()
    }

    /// Reads an RFC 3339 moment; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// Reads the form of `Date` (RFC 9110, section 5.6.7); `None` if the text is not of it.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let moment = jiff::fmt::rfc2822::parse(text).ok()?;
        text.ends_with(" GMT").then(|| Self(moment.timestamp().as_millisecond()))
    }

    /// Reads a calendar day (`2027-03-31`) as its last millisecond in UTC; `None` if it is not one.
    #[must_use]
    pub fn end_of_day(text: &str) -> Option<Self> {
        let day = text.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(start.timestamp().as_millisecond() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let moment = Timestamp(1_795_291_200_123);
        assert_eq!(moment.rfc3339(), "2026-11-21T20:00:00.123Z");
        assert_eq!(moment.http_date(), "Sat, 21 Nov 2026 20:00:00 GMT");
        assert_eq!(Timestamp::parse("2026-11-21T20:00:00.123Z"), Some(moment));
        let whole = Timestamp::parse_http_date(&moment.http_date());
        assert_eq!(whole, Some(Timestamp(1_795_291_200_000)));
        assert_eq!(Timestamp::parse_http_date("2026-11-21T20:00:00Z"), None);
    }

    #[test]
    fn a_day_ends_just_before_the_next_begins() {
        assert_eq!(
            Timestamp::end_of_day("2026-11-20").map(Timestamp::rfc3339).as_deref(),
            Some("2026-11-20T23:59:59.999Z")
        );
        assert_eq!(Timestamp::end_of_day("2026-02-30"), None);
    }

    #[test]
    fn a_clock_that_went_back_has_let_no_time_pass() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
