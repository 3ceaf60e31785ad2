//! The `Connection` field (RFC 9110, section 7.6.1): whether the connection stays, and which fields go no further.

use smallvec::SmallVec;

use crate::types::fields::{Fields, Known, list_elements};

/// Most fields that one message may name. Real ones name one or two; each is looked for in every line of the head.
const MOST_NAMED: usize = 32;

/// What a message's `Connection` fields say together.
#[derive(Debug, Default)]
pub(super) struct ConnectionField {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    /// Fields that belong to this connection only; `TE` does so without being named.
    named: SmallVec<[Box<[u8]>; 2]>,
}

impl ConnectionField {
    pub(super) fn read(fields: &Fields) -> Result<Self, &'static str> {
        let mut read = Self::default();
        for option in fields.get_all(Known::Connection).flat_map(list_elements) {
            if option.eq_ignore_ascii_case(b"close") {
                read.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                read.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                read.upgrade = true;
            } else if !option.eq_ignore_ascii_case(b"te") {
                if read.named.len() == MOST_NAMED {
                    return Err("Connection names too many fields");
                }
                read.named.push(option.into());
            }
        }
        Ok(read)
    }

    /// The fields that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = &[u8]> {
        self.named.iter().map(|name| &**name)
    }

    /// Drops the fields that it names, but for those that frame the message.
    pub(super) fn strip(&self, fields: &mut Fields) {
        if self.named.is_empty() {
            return;
        }
        fields.remove_if(|field| {
            !matches!(field.known, Known::ContentLength | Known::TransferEncoding)
                && self.named().any(|name| field.name_bytes().eq_ignore_ascii_case(name))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name, value.as_bytes());
        }
        fields
    }

    #[test]
    fn options_of_all_fields_count_in_any_case() {
        let read = ConnectionField::read(&fields(&[("Connection", "Keep-Alive, ,X-A"), ("connection", "CLOSE,te")]));
        let read = read.expect("few names");
        assert!(read.close && read.keep_alive && !read.upgrade);
        assert_eq!(read.named().collect::<Vec<_>>(), [b"X-A"]);
    }

    #[test]
    fn what_is_named_is_dropped_but_for_framing() {
        let mut message = fields(&[
            ("Connection", "x-internal, content-length"),
            ("X-Internal", "1"),
            ("Content-Length", "2"),
            ("X-Kept", "3"),
        ]);
        ConnectionField::read(&message).expect("few names").strip(&mut message);
        assert_eq!(message.find("x-internal"), None);
        assert_eq!((message.find("content-length"), message.find("x-kept")), (Some(&b"2"[..]), Some(&b"3"[..])));
    }

    #[test]
    fn a_flood_of_names_is_refused() {
        let names: Vec<_> = (0..=MOST_NAMED).map(|number| format!("x-{number}")).collect();
        assert!(ConnectionField::read(&fields(&[("Connection", &names[1..].join(","))])).is_ok());
        assert!(ConnectionField::read(&fields(&[("Connection", &names.join(","))])).is_err());
        let halves = fields(&[("Connection", &names[..20].join(",")), ("Connection", &names[20..].join(","))]);
        assert!(ConnectionField::read(&halves).is_err(), "however many fields they stand in");
    }
}
