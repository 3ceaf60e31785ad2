//! Durations and sizes as people write them: `250ms`, `2s`, `5m`, `64KiB`.

use std::time::Duration;

/// Why a written quantity can't be read; the text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A bare number.
    #[error("{0:?} has no unit; write {1:?}")]
    NoUnit(String, String),
    /// A unit that does not exist.
    #[error("{0:?} has an unknown unit; use one of {1}")]
    UnknownUnit(String, &'static str),
    /// Not a number before the unit.
    #[error("{0:?} is not a whole number with a unit such as {1:?}")]
    NotANumber(String, &'static str),
    /// More than 64 bits hold.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// [`UnitError`] says what is wrong and what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text, "ms", "250ms")?;
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(UnitError::UnknownUnit(text.into(), "ms, s, m, h, d")),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or_else(|| UnitError::TooLarge(text.into()))?;
    Ok(Duration::from_millis(millis))
}

/// Reads a size in bytes: a whole number and one of `B`, `KiB`, `MiB`, `GiB`.
///
/// # Errors
/// [`UnitError`] says what is wrong and what to write instead.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text, "B", "64KiB")?;
    let bytes_per_unit: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UnitError::UnknownUnit(text.into(), "B, KiB, MiB, GiB")),
    };
    number.checked_mul(bytes_per_unit).ok_or_else(|| UnitError::TooLarge(text.into()))
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that loses nothing.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (per_unit, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis >= per_unit && millis.is_multiple_of(per_unit) {
            return format!("{}{unit}", millis / per_unit);
        }
    }
    format!("{millis}ms")
}

fn split<'a>(text: &'a str, smallest: &str, example: &'static str) -> Result<(u64, &'a str), UnitError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitError::NotANumber(text.into(), example));
    }
    let number = number.parse().map_err(|_| UnitError::TooLarge(text.into()))?;
    match unit.trim_start() {
        "" => Err(UnitError::NoUnit(text.into(), format!("{number}{smallest}"))),
        unit => Ok((number, unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_and_sizes() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("10 MiB"), Ok(10 << 20));
    }

    #[test]
    fn a_bare_number_is_told_its_unit() {
        let error = parse_duration("250").expect_err("no unit");
        assert_eq!(error.to_string(), r#""250" has no unit; write "250ms""#);
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in ["", "ms", "-1s", "1.5s", "5 parsecs", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["64K", "1e3B", "18446744073709551615GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0ms", "250ms", "2s", "90s", "5m", "24h", "3d"] {
            let duration = parse_duration(text).expect(text);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
    }
}
