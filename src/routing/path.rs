//! One spelling for every path, so that what is matched is what is forwarded and no other spelling of a
//! protected path slips past its route.
//!
//! Rules, in the order in which they apply (RFC 3986 sections 2.3, 3.3 and 6.2.2):
//! - An escape of an unreserved character is decoded; hexadecimal digits are upper-cased. Nothing is
//!   decoded twice: `%252e` stays `%252e`.
//! - Bytes outside ASCII and characters that browsers send although a path may not have them
//!   (``" < > [ ] ^ ` { | }``) are percent-encoded. A raw backslash counts as `%5C`.
//! - Control characters, space, `#` and `?` are refused: a sender that lets them through to here can
//!   not be trusted to mean one thing.
//! - Slashes are merged, then dot segments resolved, also those that were written `%2e`; `..` above the root
//!   stays at the root. A trailing slash is kept, and `/.` and `/..` at the end leave one.
//! - `%2F` and `%5C` stay and are reported, because only some routes accept them. A backend may
//!   decode them, so a dot segment beside one (`/a%2F..%2Fb`) is refused on every route.
//! - A dot segment with parameters (`/..;x/`) is refused: several Java servers cut the parameters off
//!   first and then see the dots.
//!
//! Deliberately not here: other parameters behind a semicolon stay part of their segment
//! (`/orders;jsessionid=1` is a path of its own, as servlet containers write it), and so does
//! letter case.

use std::borrow::Cow;

/// Why a request's path can't be accepted, on any route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub enum PathError {
    /// `%00` or a raw NUL.
    Nul,
    /// `%` without two hexadecimal digits.
    BadEscape,
    /// `.` or `..` beside an encoded slash or a backslash.
    EncodedDots,
    /// `.` or `..` followed by a semicolon.
    DotParameters,
    /// A control character, a space, a fragment, a query.
    BadCharacter,
    /// Not starting with a slash.
    NotAbsolute,
}

impl PathError {
    /// What is wrong, in words that never change between occurrences.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nul => "the path contains a NUL byte",
            Self::BadEscape => "the path contains a percent sign that is not followed by two hexadecimal digits",
            Self::EncodedDots => "the path contains a dot segment beside an encoded slash or a backslash",
            Self::DotParameters => "the path contains a dot segment with parameters",
            Self::BadCharacter => "the path contains a character that must be percent-encoded",
            Self::NotAbsolute => "the path does not start with a slash",
        }
    }
}

/// A path in the one spelling that is matched and forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// The path, without the query.
    pub path: Cow<'a, str>,
    /// Contains `%2F` or `%5C`: acceptable only on routes that allow it.
    pub has_encoded_slash: bool,
}

/// Normalises a raw path (no query) as this file's head says.
///
/// Borrows when the path is already normal, the usual case. Normalising a normal path changes nothing.
///
/// # Errors
/// [`PathError`] names what is wrong; an encoded slash is not, since some routes take it.
pub fn normalise(raw: &[u8]) -> Result<NormalPath<'_>, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(raw) || is_normal(raw) {
        return Ok(NormalPath { path: Cow::Borrowed(ascii(raw)), has_encoded_slash: false });
    }
    let normal = resolve(&respell(raw)?)?;
    let has_encoded_slash = encoded_slash(&normal).is_some();
    let path = if normal == raw {
        Cow::Borrowed(ascii(raw))
    } else {
        Cow::Owned(String::from_utf8(normal).expect("only ASCII is written"))
    };
    Ok(NormalPath { path, has_encoded_slash })
}

/// What a raw byte is in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `unreserved` of RFC 3986: never escaped in a normal path.
    Unreserved,
    /// `sub-delims`, `:` and `@`: the raw and the escaped form differ in meaning, so both stay.
    Delimiter,
    Slash,
    Percent,
    /// Written as an escape.
    Escaped,
    Nul,
    Refused,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Escaped; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Unreserved,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
                Class::Delimiter
            }
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            0 => Class::Nul,
            1..=b' ' | 0x7f | b'#' | b'?' => Class::Refused,
            _ => Class::Escaped,
        };
        byte += 1;
    }
    classes
};

const ODD: u8 = 1;
const SLASH: u8 = 2;
const DOT: u8 = 4;

/// What the one quick look of [`is_plain`] needs to know about a byte.
static LOOKS: [u8; 256] = {
    let mut looks = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        looks[byte] = match CLASSES[byte] {
            Class::Slash => SLASH,
            Class::Unreserved if byte == b'.' as usize => DOT,
            Class::Unreserved | Class::Delimiter => 0,
            _ => ODD,
        };
        byte += 1;
    }
    looks
};

/// Tells most normal paths, without a branch in the loop; `false` only means that it takes a closer look.
fn is_plain(raw: &[u8]) -> bool {
    let mut found = 0;
    let mut asked = ODD;
    for &byte in raw {
        let look = LOOKS[usize::from(byte)];
        found |= look & asked;
        // Behind a slash, another one or a dot counts as well.
        asked = ODD | ((look & SLASH) * 3);
    }
    found == 0
}

/// Tells all other normal paths but those with an encoded slash or parameters behind a dot.
fn is_normal(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match CLASSES[usize::from(byte)] {
            Class::Unreserved | Class::Delimiter => after,
            Class::Slash => match after.first() {
                Some(b'/') => return false,
                Some(b'.') if may_be_dots(after) => return false,
                _ => after,
            },
            Class::Percent => match escape(after) {
                Ok((value, after)) if stays_escaped(value) && is_upper(&rest[1..3]) => after,
                _ => return false,
            },
            Class::Escaped | Class::Nul | Class::Refused => return false,
        };
    }
    true
}

/// A segment that begins with one or two dots which might be all of it (or all but its parameters).
fn may_be_dots(segment: &[u8]) -> bool {
    let dots = segment.iter().take_while(|&&byte| byte == b'.').count();
    dots <= 2 && matches!(segment.get(dots), None | Some(b'/' | b';' | b'%'))
}

/// An escape that is in a normal path and says nothing that needs a closer look.
fn stays_escaped(value: u8) -> bool {
    !matches!(value, 0 | b'/' | b'\\') && CLASSES[usize::from(value)] != Class::Unreserved
}

fn is_upper(digits: &[u8]) -> bool {
    !digits.iter().any(u8::is_ascii_lowercase)
}

/// The value of the escape whose percent sign was just read, and what follows it.
fn escape(after_percent: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match after_percent {
        [high, low, after @ ..] => match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, after)),
            _ => Err(PathError::BadEscape),
        },
        _ => Err(PathError::BadEscape),
    }
}

/// Gives every character its one spelling; slashes and dots are left for [`resolve`].
fn respell(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut spelled = Vec::with_capacity(raw.len() + 16);
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match CLASSES[usize::from(byte)] {
            Class::Unreserved | Class::Delimiter | Class::Slash => spelled.push(byte),
            Class::Escaped => push_escape(&mut spelled, byte),
            Class::Nul => return Err(PathError::Nul),
            Class::Refused => return Err(PathError::BadCharacter),
            Class::Percent => {
                let (value, after) = escape(after)?;
                rest = after;
                match CLASSES[usize::from(value)] {
                    Class::Nul => return Err(PathError::Nul),
                    Class::Unreserved => spelled.push(value),
                    _ => push_escape(&mut spelled, value),
                }
            }
        }
    }
    Ok(spelled)
}

fn push_escape(spelled: &mut Vec<u8>, value: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    spelled.extend([b'%', DIGITS[usize::from(value >> 4)], DIGITS[usize::from(value & 15)]]);
}

/// Merges slashes and resolves dot segments of a respelled path.
fn resolve(spelled: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut resolved = Vec::with_capacity(spelled.len());
    let mut ends_open = true;
    for segment in spelled[1..].split(|&byte| byte == b'/') {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => resolved.truncate(resolved.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            _ => {
                refuse_hidden_dots(segment)?;
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
            }
        }
    }
    if ends_open {
        resolved.push(b'/');
    }
    Ok(resolved)
}

/// Refuses what a backend that decodes encoded slashes or cuts parameters off would take for a dot segment.
fn refuse_hidden_dots(segment: &[u8]) -> Result<(), PathError> {
    let mut rest = Some(segment);
    while let Some(piece) = rest {
        let slash = encoded_slash(piece);
        rest = slash.map(|at| &piece[at + 3..]);
        let piece = &piece[..slash.unwrap_or(piece.len())];
        let parameters = piece.iter().position(|&byte| byte == b';').into_iter().chain(find(piece, b"%3B")).min();
        if matches!(&piece[..parameters.unwrap_or(piece.len())], b"." | b"..") {
            return Err(if parameters.is_some() { PathError::DotParameters } else { PathError::EncodedDots });
        }
    }
    Ok(())
}

/// Where the first `%2F` or `%5C` of a respelled path begins.
fn encoded_slash(spelled: &[u8]) -> Option<usize> {
    spelled.windows(3).position(|escape| matches!(escape, b"%2F" | b"%5C"))
}

fn find(text: &[u8], pattern: &[u8; 3]) -> Option<usize> {
    text.windows(3).position(|window| window == pattern)
}

fn ascii(normal: &[u8]) -> &str {
    std::str::from_utf8(normal).expect("a normal path is ASCII")
}

#[cfg(test)]
mod tests;
