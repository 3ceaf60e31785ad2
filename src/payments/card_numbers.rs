//! Finds card numbers in text, so that none is ever accepted, stored or logged.
//!
//! A card number is a run of 13 to 19 digits that passes the Luhn check (ISO/IEC 7812-1). Digits in
//! one piece always count. Digits in groups count when the groups look like those on a card: an
//! order number such as `2026-11-21-000123` would otherwise be refused one time in ten. Letters end a
//! run: tokens and hashes would otherwise hold a card number by chance.

mod digits;

use std::borrow::Cow;

/// The lengths that ISO/IEC 7812-1 and the card schemes use.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether a card number stands anywhere in `text`, as it is or percent-encoded once.
#[must_use]
pub fn contains(text: &str) -> bool {
    stands_in(text) || (text.contains('%') && stands_in(&percent_decoded(text)))
}

/// `text` with its digits blanked out if a card number stands in it: for what is to be logged all the same.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    if contains(text) {
        text.chars().map(|char| if digits::value(char).is_some() { '*' } else { char }).collect()
    } else {
        Cow::Borrowed(text)
    }
}

fn stands_in(text: &str) -> bool {
    let mut scan = Scan::default();
    let mut uuid_end = 0;
    for (index, char) in text.char_indices() {
        if index >= uuid_end && is_uuid_at(text, index) {
            uuid_end = index + UUID_LENGTH;
        }
        // Within a UUID only digits in one piece could be a card number, and it has at most 12.
        let kind = if index < uuid_end { Kind::Other } else { kind(char) };
        if scan.feed(kind) {
            return true;
        }
    }
    scan.feed(Kind::Other)
}

/// What is not encoded as it must be stays as it is: whoever reads it later may be as lenient.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |place: usize| bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

enum Kind {
    Digit(u8),
    Separator,
    Other,
}

fn kind(char: char) -> Kind {
    if let Some(value) = digits::value(char) {
        return Kind::Digit(value);
    }
    match char {
        // What JSON is made of: two neighbours in a list are two numbers.
        '"' | '[' | ']' | '{' | '}' | '\\' => Kind::Other,
        char if char.is_alphanumeric() => Kind::Other,
        // Punctuation, spaces of any width, and what can't be seen at all, such as a soft hyphen.
        _ => Kind::Separator,
    }
}

/// Most separators between two groups, as in `4242 - 4242`.
const MAX_SEPARATORS: usize = 3;

/// Digits with few separators in between.
#[derive(Default)]
struct Scan {
    digits: Vec<u8>,
    /// Length of each group; the last may still grow.
    groups: Vec<usize>,
    /// Separators since the last digit.
    separators: usize,
}

impl Scan {
    /// Takes the next character; true when it ends a card number.
    fn feed(&mut self, kind: Kind) -> bool {
        match kind {
            Kind::Digit(value) => {
                self.digits.push(value);
                match self.groups.last_mut() {
                    Some(length) if self.separators == 0 => *length += 1,
                    _ => self.groups.push(1),
                }
                self.separators = 0;
                false
            }
            Kind::Separator if !self.digits.is_empty() && self.separators < MAX_SEPARATORS => {
                self.separators += 1;
                false
            }
            Kind::Separator | Kind::Other => {
                let found = self.holds_card_number();
                *self = Self::default();
                found
            }
        }
    }

    fn holds_card_number(&self) -> bool {
        self.candidates().any(|(groups, digits)| {
            // Groups of a card may stand between other numbers ("4242 4242 4242 4242 12/29"); single
            // digits only on their own, or any long table of digits would hold one.
            let placed = groups[0] >= 3 || groups.len() == self.groups.len();
            placed && looks_like_a_card(groups) && is_card_number(digits)
        })
    }

    /// Each run of whole groups that is short enough, with its digits: at most 19 for each group it may begin with.
    fn candidates(&self) -> impl Iterator<Item = (&[usize], &[u8])> {
        let begins = self.groups.iter().scan(0, |at, length| Some(std::mem::replace(at, *at + length)));
        begins.enumerate().flat_map(move |(first, from)| {
            let ends = self.groups[first..].iter().scan(from, |at, length| {
                *at += length;
                Some(*at)
            });
            let short = ends.take_while(move |to| to - from <= *LENGTHS.end()).enumerate();
            short.map(move |(more, to)| (&self.groups[first..=first + more], &self.digits[from..to]))
        })
    }
}

fn looks_like_a_card(groups: &[usize]) -> bool {
    match groups {
        [_] | [4, 6, 4 | 5] | [4, 3, 3, 3] => true,
        [first, middle @ .., last] => *first <= 6 && last <= first && middle.iter().all(|length| length == first),
        _ => false,
    }
}

fn is_card_number(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len()) && passes_luhn(digits)
}

fn passes_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

const UUID_LENGTH: usize = 36;

/// Whether a UUID (RFC 9562) starts at `index`.
fn is_uuid_at(text: &str, index: usize) -> bool {
    let bytes = text.as_bytes();
    let Some(candidate) = bytes.get(index..index + UUID_LENGTH) else { return false };
    let glued = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = index.checked_sub(1).and_then(|before| bytes.get(before));
    !glued(before)
        && !glued(bytes.get(index + UUID_LENGTH))
        && candidate.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests;
