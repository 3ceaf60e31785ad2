//! Percentages: written with up to two decimals, kept as whole hundredths so that nothing is rounded.

use super::FlagError;

/// A hundred per cent, in hundredths of a per cent.
pub const WHOLE: u16 = 10_000;

/// Reads a percentage from 0 to 100 with at most two decimals, in hundredths of a per cent.
///
/// # Errors
/// [`FlagError::BadPercent`] for anything else; there is no rounding, no sign, no exponent.
pub fn parse_percent(text: &str) -> Result<u16, FlagError> {
    read(text).filter(|&hundredths| hundredths <= WHOLE).ok_or_else(|| FlagError::BadPercent(text.into()))
}

fn read(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let scale = if decimals.len() == 1 { 10 } else { 1 };
    let hundredths = decimals.parse::<u16>().ok()? * scale;
    whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(hundredths)
}

/// Writes hundredths of a per cent the way [`parse_percent`] reads them, without trailing zeros.
#[must_use]
pub fn format_percent(hundredths: u16) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match rest {
        0 => whole.to_string(),
        rest if rest.is_multiple_of(10) => format!("{whole}.{}", rest / 10),
        rest => format!("{whole}.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_percentage_is_read_as_it_is_written() {
        for hundredths in 0..=WHOLE {
            assert_eq!(parse_percent(&format_percent(hundredths)), Ok(hundredths));
        }
    }

    #[test]
    fn decimals_count_from_the_left() {
        assert_eq!(parse_percent("12.5"), Ok(1250));
        assert_eq!(parse_percent("12.05"), Ok(1205));
        assert_eq!(parse_percent("0.01"), Ok(1));
        assert_eq!(parse_percent("100.00"), Ok(WHOLE));
        assert_eq!(format_percent(1205), "12.05");
        assert_eq!(format_percent(1250), "12.5");
        assert_eq!(format_percent(100), "1");
    }

    #[test]
    fn refuses_what_is_no_percentage() {
        for text in ["", ".", "5.", ".5", "-1", "+1", "100.01", "101", "1e1", "10%", "1.234", "99999999", "٣", "1 0"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }
}
