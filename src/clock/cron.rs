//! Cron expressions with a time zone: when something begins that people wrote down as
//! `0 2 * * SUN`.
//!
//! Five fields as POSIX `crontab` has them, with names, lists, ranges and steps. Each time of the
//! clock that is named begins once a day: one that comes twice when clocks are put back begins the
//! first time, and one that is skipped when they are put forward begins at that moment. A schedule
//! that can never come is refused. Why this is no library: ADR 12.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::Timestamp;
use super::zone::Zone;

/// How far ahead [`Cron::next`] looks: 29 February on a certain weekday may be 40 years away.
const YEARS_AHEAD: i16 = 50;

/// Times of the clock at which something begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: Box<str>,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is 0.
    weekdays: u64,
    /// A day of the month or a day of the week is enough: POSIX's rule where both are restricted.
    either_day: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("it has {0} fields instead of five: minute, hour, day of the month, month, day of the week")]
    Fields(usize),
    /// A field with something that it can't hold.
    #[error("character {at}, {field}: {problem}")]
    Field {
        /// Where in the expression, counted from 1.
        at: usize,
        /// Which field.
        field: &'static str,
        /// What is wrong and the mend.
        problem: String,
    },
    /// Such as 30 February.
    #[error("no month that it names has such a day, so it never comes")]
    Never,
}

struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    /// Names of the values from the range's first on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", range: 0..=59, names: &[] };
const HOUR: Field = Field { name: "hour", range: 0..=23, names: &[] };
const DAY: Field = Field { name: "day of the month", range: 1..=31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// 7 is Sunday as well as 0.
const WEEKDAY: Field =
    Field { name: "day of the week", range: 0..=7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };
/// Of each month, in the longest year.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Cron {
    /// Reads a cron expression of five fields.
    ///
    /// # Errors
    /// [`CronError`] says where it is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let words = words(text);
        let &[minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(CronError::Fields(words.len()));
        };
        let weekdays = WEEKDAY.read(weekday)?;
        let cron = Self {
            text: text.trim().into(),
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.1.starts_with('*') && !weekday.1.starts_with('*'),
        };
        let comes = (1..=12_u32).any(|month| {
            let exist = (1_u64 << (LONGEST[month as usize - 1] + 1)) - 1;
            cron.months & (1 << month) != 0 && cron.days & exist != 0
        });
        if comes || cron.either_day { Ok(cron) } else { Err(CronError::Never) }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first beginning after this moment; `None` only at the end of the calendar.
    #[must_use]
    pub fn next(&self, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
        let local = zone.local(after)?;
        let last_year = local.year().saturating_add(YEARS_AHEAD);
        let mut day = local.date();
        // What the clocks have shown by now, they have shown for the first time by now.
        let mut from = i16::from(local.hour()) * 60 + i16::from(local.minute()) + 1;
        while day.year() <= last_year {
            if self.months & bit(day.month()) == 0 {
                day = day.last_of_month().tomorrow().ok()?;
            } else {
                if let Some(begins) = self.first_on(day, from, zone, after) {
                    return Some(begins);
                }
                day = day.tomorrow().ok()?;
            }
            from = 0;
        }
        None
    }

    fn first_on(&self, day: Date, from: i16, zone: &Zone, after: Timestamp) -> Option<Timestamp> {
        if !self.is_on(day) {
            return None;
        }
        for minute in from..24 * 60 {
            let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
            if self.hours & bit(hour) != 0 && self.minutes & bit(minute) != 0 {
                let begins = zone.first_moment(day, hour, minute)?;
                if begins > after {
                    return Some(begins);
                }
            }
        }
        None
    }

    fn is_on(&self, day: Date) -> bool {
        let in_month = self.days & bit(day.day()) != 0;
        let in_week = self.weekdays & bit(day.weekday().to_sunday_zero_offset()) != 0;
        if self.either_day { in_month || in_week } else { in_month && in_week }
    }
}

fn bit(value: i8) -> u64 {
    1 << value
}

/// Words and where they begin, counted from 1.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = 0;
    for word in text.split_ascii_whitespace() {
        let at = rest + text[rest..].find(word).unwrap_or(0);
        words.push((at + 1, word));
        rest = at + word.len();
    }
    words
}

impl Field {
    /// The values of a comma-separated list as bits.
    fn read(&self, (mut at, text): (usize, &str)) -> Result<u64, CronError> {
        let mut bits = 0;
        for item in text.split(',') {
            bits |= self.item(item).map_err(|problem| CronError::Field { at, field: self.name, problem })?;
            at += item.chars().count() + 1;
        }
        Ok(bits)
    }

    /// `*`, `a`, `a-b`, `*/n` or `a-b/n`.
    fn item(&self, item: &str) -> Result<u64, String> {
        let (values, step) = match item.split_once('/') {
            Some((values, step)) => (values, Some(step)),
            None => (item, None),
        };
        let (first, last) = match (values, values.split_once('-')) {
            ("*", _) => (*self.range.start(), *self.range.end()),
            (_, Some((first, last))) => self.span(first, last)?,
            (_, None) => {
                let value = self.value(values)?;
                if step.is_some() {
                    let most = self.range.end();
                    return Err(format!("{item:?} steps from a single value; write a range such as {values}-{most}/2"));
                }
                (value, value)
            }
        };
        let step = match step {
            None => 1,
            Some(step) => {
                let valid = |step: &u8| (1..=*self.range.end()).contains(step);
                let step = number(step).filter(valid);
                step.ok_or_else(|| format!("{item:?} needs a step from 1 to {} after the slash", self.range.end()))?
            }
        };
        Ok((first..=last).step_by(step.into()).fold(0, |bits, value| bits | 1 << value))
    }

    fn span(&self, first: &str, last: &str) -> Result<(u8, u8), String> {
        let (from, mut to) = (self.value(first)?, self.value(last)?);
        if self.range == WEEKDAY.range && to == 0 && from > 0 {
            to = 7;
        }
        if from > to {
            return Err(format!(
                "the range {first}-{last} goes down; write two ranges, such as {first}-{},{}-{last}",
                self.range.end(),
                self.range.start()
            ));
        }
        Ok((from, to))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(self.range.start() + place as u8);
        }
        number(text).filter(|value| self.range.contains(value)).ok_or_else(|| {
            let names = if self.names.is_empty() { String::new() } else { format!(", or {}", self.names.join(" ")) };
            format!("{text:?} is none of {} to {}{names}", self.range.start(), self.range.end())
        })
    }
}

/// Digits only: `parse` alone would take a plus sign.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
