//! Finds card numbers in text, so that none is ever accepted, stored or logged.
//!
//! A card number is a run of 13 to 19 digits that passes the Luhn check (ISO/IEC 7812-1). Digits in
//! one piece always count. Digits in groups count when the groups look like those on a card: an
//! order number such as `2026-11-21-000123` would otherwise be refused one time in ten.

/// The lengths that ISO/IEC 7812-1 and the card schemes use.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether a card number stands anywhere in `text`.
#[must_use]
pub fn contains(text: &str) -> bool {
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

enum Kind {
    Digit(u8),
    Separator,
    Other,
}

/// Digits of other scripts count as well: a provider or a form may turn them into ASCII later.
fn kind(char: char) -> Kind {
    const ZEROS: [char; 5] = ['0', '\u{660}', '\u{6F0}', '\u{966}', '\u{FF10}'];
    let digit = |zero: char| u32::from(char).checked_sub(u32::from(zero)).filter(|value| *value < 10);
    if let Some(value) = ZEROS.into_iter().find_map(digit) {
        return Kind::Digit(value as u8);
    }
    match char {
        ' ' | '-' | '.' | '_' | '/' | '\t' | '\u{A0}' | '\u{2010}'..='\u{2015}' | '\u{2009}' | '\u{202F}' => {
            Kind::Separator
        }
        _ => Kind::Other,
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

    /// Linear in the number of groups: a candidate spans 19 digits at most.
    fn holds_card_number(&self) -> bool {
        let mut from = 0;
        for (first, length) in self.groups.iter().enumerate() {
            let mut to = from;
            for (index, length) in self.groups.iter().enumerate().skip(first) {
                to += length;
                if to - from > *LENGTHS.end() {
                    break;
                }
                let groups = &self.groups[first..=index];
                // Groups of a card may stand between other numbers ("4242 4242 4242 4242 12/29"); single
                // digits only on their own, or any long table of digits would hold one.
                let placed = groups[0] >= 3 || groups.len() == self.groups.len();
                if placed && looks_like_a_card(groups) && is_card_number(&self.digits[from..to]) {
                    return true;
                }
            }
            from += length;
        }
        false
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "tok_4242424242424242x",
            "my card: 4242 4242 4242 4242, thanks",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242",
            "4242 - 4242 - 4242 - 4242",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "order 7 4242 4242 4242 4242",
            "4242 4242 4242 4242 12/29",
            "3782 822463 10005",
            "378282246310005",
            "3056 930902 5904",
            "4222222222222",
            "4222 222 222 222",
            "6304000000000000000",
            "４２４２４２４２４２４２４２４２",
        ] {
            assert!(contains(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_pass() {
        for text in [
            "",
            "4242424242424241",
            "424242424242",
            "42424242424242424242424242424242",
            "2026-11-21-000123",
            "2026-11-21-000128",
            "20261121-000123",
            "+82 10-1234-5678",
            "order 1000000000001",
        ] {
            assert!(!contains(text), "{text}");
        }
    }

    #[test]
    fn a_body_full_of_digits_costs_linear_time() {
        let started = std::time::Instant::now();
        for piece in ["1 ", "1", "1234 ", "123-"] {
            let _ = contains(&piece.repeat(65_536 / piece.len()));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
    }

    #[test]
    fn a_uuid_of_digits_is_no_card_number() {
        let uuid = "abcd4242-4242-4242-4242-abcdefabcdef";
        assert!(!contains(uuid));
        assert!(contains(&uuid[4..23]), "its digits alone would be one");
        assert!(contains(&format!("{uuid} 4242424242424242")));
    }

    mod property {
        use super::*;

        proptest! {
            #![proptest_config(crate::types::property::config(256))]

            #[test]
            fn any_run_with_its_check_digit_is_found(body in "[0-9]{12,18}", before in "[a-z:\"]{0,5}", after in "[a-z,\"]{0,5}") {
                let with = |check: u8| format!("{before}{body}{check}{after}");
                let found: Vec<u8> = (0..10).filter(|check| contains(&with(*check))).collect();
                prop_assert_eq!(found.len(), 1, "one check digit in ten is the right one");
            }

            #[test]
            fn any_text_is_scanned_without_a_panic(text in "\\PC{0,80}") {
                let _ = contains(&text);
            }
        }
    }
}
