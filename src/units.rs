//! Durations and sizes as people write them: `250ms`, `2s`, `5m`, `64KiB`.

use std::time::Duration;

/// Why a written quantity can't be read; the text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A bare number: what was most likely meant, and all units.
    #[error("{0:?} has no unit; write {1:?} (units: {2})")]
    NoUnit(String, String, String),
    /// A unit that does not exist.
    #[error("{0:?} has an unknown unit; use one of {1}")]
    UnknownUnit(String, String),
    /// A fraction of a unit; the same in a smaller one.
    #[error("{0:?} is not a whole number; write {1:?}")]
    Fraction(String, String),
    /// Not a number before the unit.
    #[error("{0:?} is not a whole number with a unit such as {1:?}")]
    NotANumber(String, &'static str),
    /// More than 64 bits hold.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// What one kind of quantity is measured in.
struct Units {
    /// Each unit in the smallest one, which comes first.
    units: &'static [(&'static str, u64)],
    /// What a bare number most likely means: the unit of numbers below the bound, or else the smallest.
    bare: (u64, &'static str),
    example: &'static str,
}

const DURATION: Units = Units {
    units: &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    bare: (100, "s"),
    example: "250ms",
};

const SIZE: Units = Units {
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
    bare: (0, "B"),
    example: "64KiB",
};

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// [`UnitError`] says what is wrong and what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    DURATION.parse(text.trim()).map(Duration::from_millis)
}

/// Reads a size in bytes: a whole number and one of `B`, `KiB`, `MiB`, `GiB`.
///
/// # Errors
/// [`UnitError`] says what is wrong and what to write instead.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    SIZE.parse(text.trim())
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that loses nothing.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    DURATION.format(duration.as_millis())
}

impl Units {
    fn parse(&self, text: &str) -> Result<u64, UnitError> {
        let (number, unit) = split_digits(text);
        if number.is_empty() {
            return Err(UnitError::NotANumber(text.into(), self.example));
        }
        if let Some(fraction) = unit.strip_prefix(['.', ',']) {
            return Err(match self.whole(number, fraction) {
                Some(whole) => UnitError::Fraction(text.into(), self.format(whole)),
                None => UnitError::NotANumber(text.into(), self.example),
            });
        }
        let too_large = || UnitError::TooLarge(text.into());
        let number: u64 = number.parse().map_err(|_| too_large())?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            let unit = if number < self.bare.0 { self.bare.1 } else { self.units[0].0 };
            return Err(UnitError::NoUnit(text.into(), format!("{number}{unit}"), self.names()));
        }
        let factor = self.factor(unit).ok_or_else(|| UnitError::UnknownUnit(text.into(), self.names()))?;
        number.checked_mul(factor).ok_or_else(too_large)
    }

    /// A number with a fraction in the smallest unit, if it is whole there.
    fn whole(&self, number: &str, fraction: &str) -> Option<u128> {
        let (decimals, unit) = split_digits(fraction);
        let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        let scaled: u128 = format!("{number}{decimals}").parse().ok()?;
        let smallest = scaled.checked_mul(self.factor(unit.trim_start())?.into())?;
        smallest.is_multiple_of(scale).then(|| smallest / scale)
    }

    /// Writes a quantity in the largest unit that loses nothing.
    fn format(&self, quantity: u128) -> String {
        let fits = |factor: u64| quantity >= factor.into() && quantity.is_multiple_of(factor.into());
        let (unit, factor) = self.units.iter().rev().find(|(_, factor)| fits(*factor)).unwrap_or(&self.units[0]);
        format!("{}{unit}", quantity / u128::from(*factor))
    }

    fn factor(&self, unit: &str) -> Option<u64> {
        self.units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
    }

    fn names(&self) -> String {
        self.units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// The digits at the beginning, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
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

    fn mend<T: std::fmt::Debug>(read: Result<T, UnitError>) -> String {
        read.expect_err("refused").to_string()
    }

    #[test]
    fn a_bare_number_is_told_the_likely_unit_and_all_others() {
        for (text, expected) in [("250", "250ms"), ("2", "2s"), ("99", "99s"), ("0", "0s")] {
            let expected = format!("{text:?} has no unit; write {expected:?} (units: ms, s, m, h, d)");
            assert_eq!(mend(parse_duration(text)), expected);
        }
        assert_eq!(mend(parse_size("10")), r#""10" has no unit; write "10B" (units: B, KiB, MiB, GiB)"#);
    }

    #[test]
    fn a_fraction_is_told_the_whole_number() {
        for (text, whole) in [("1.5s", "1500ms"), ("0.5 h", "30m"), ("1,5m", "90s"), ("2.0s", "2s"), ("0.25s", "250ms")]
        {
            assert_eq!(mend(parse_duration(text)), format!("{text:?} is not a whole number; write {whole:?}"));
        }
        assert_eq!(mend(parse_size("1.5GiB")), r#""1.5GiB" is not a whole number; write "1536MiB""#);
        for text in ["1.5", "1.5ms", "0.0001s", "1.s.", "1.5x", "1.99999999999999999999999999999999999999s"] {
            let expected = format!("{text:?} is not a whole number with a unit such as \"250ms\"");
            assert_eq!(mend(parse_duration(text)), expected);
        }
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
