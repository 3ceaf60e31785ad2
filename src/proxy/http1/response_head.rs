//! A backend's response head from bytes, as strict as the request's: what is doubtful is a 502 and
//! that connection is not used again.

use super::connection_field::ConnectionField;
use super::head_end::{HeadLimits, header_section};
use super::request_head::content_length;
use crate::proxy::message::{BodyLength, ResponseHead};
use crate::types::fields::{Known, list_elements};

/// Limits of a response's head: twice what requests may have, since backends are ours.
pub(crate) const LIMITS: HeadLimits = HeadLimits { first_line: 8 << 10, bytes: 64 << 10, lines: 256 };

/// What a response's head says besides the head itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Persistence {
    /// The backend keeps the connection open after this response.
    pub(crate) keep_alive: bool,
    /// Seconds the backend says it keeps idle connections (`Keep-Alive: timeout=`).
    pub(crate) idle_seconds: Option<u64>,
}

/// Reads a complete head into `head`. `to_head` is set for answers to HEAD.
pub(crate) fn parse(
    bytes: &[u8],
    lines: usize,
    to_head: bool,
    head: &mut ResponseHead,
) -> Result<Persistence, &'static str> {
    head.fields.clear();
    head.reason.clear();
    let mut slots = smallvec::SmallVec::<[httparse::Header<'_>; 32]>::from_elem(httparse::EMPTY_HEADER, lines);
    let mut response = httparse::Response::new(&mut slots);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err("its head ends where it should not"),
        Err(httparse::Error::Version) => return Err("its version is not HTTP/1.0 or HTTP/1.1"),
        Err(httparse::Error::Status) => return Err("its status line is not version, code and phrase"),
        Err(_) => return Err("its head is not well-formed"),
    }
    head.status = response.code.unwrap_or_default();
    if !(100..1000).contains(&head.status) {
        return Err("its status is not three digits from 100");
    }
    head.reason.push_str(response.reason.unwrap_or_default());
    head.fields.adopt(header_section(bytes), response.headers.iter().map(|header| (header.name, header.value)));
    let http11 = response.version == Some(1);
    let connection = ConnectionField::read(&head.fields)?;
    connection.strip(&mut head.fields);
    head.body = framing(head, http11, to_head)?;
    if matches!(head.status, 100..=199 | 204) {
        head.fields.remove(Known::ContentLength); // RFC 9110, section 8.6: there it only misleads
    }
    let stays = (http11 || connection.keep_alive) && !connection.close;
    Ok(Persistence { keep_alive: stays && head.body != BodyLength::UntilClose, idle_seconds: idle_seconds(head) })
}

fn idle_seconds(head: &ResponseHead) -> Option<u64> {
    let value = std::str::from_utf8(head.fields.get(Known::KeepAlive)?).ok()?;
    value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")?.parse().ok())
}

fn framing(head: &ResponseHead, http11: bool, to_head: bool) -> Result<BodyLength, &'static str> {
    let length = content_length(&head.fields)?;
    let mut codings = head.fields.get_all(Known::TransferEncoding).flat_map(list_elements);
    let coding = codings.next();
    if coding.is_some() {
        if length.is_some() {
            return Err("it has both Content-Length and Transfer-Encoding");
        }
        if !coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some() || !http11
        {
            return Err("its Transfer-Encoding is not exactly one \"chunked\"");
        }
    }
    if to_head || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(BodyLength::None);
    }
    Ok(match (coding, length) {
        (Some(_), _) => BodyLength::Unknown,
        (None, Some(0)) => BodyLength::None,
        (None, Some(length)) => BodyLength::Exact(length),
        (None, None) => BodyLength::UntilClose,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(ResponseHead, Persistence), &'static str> {
        let mut head = ResponseHead::default();
        let lines = text.matches("\r\n").count() - 2;
        parse(text.as_bytes(), lines, false, &mut head).map(|persistence| (head, persistence))
    }

    #[test]
    fn reads_framing_and_persistence() {
        let (head, persistence) =
            read("HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nKeep-Alive: timeout=5, max=9\r\n\r\n").expect("valid");
        assert_eq!((head.status, head.reason.as_str(), head.body), (200, "Fine", BodyLength::Exact(3)));
        assert_eq!(persistence, Persistence { keep_alive: true, idle_seconds: Some(5) });
        let (head, persistence) = read("HTTP/1.0 200 OK\r\n\r\n").expect("valid");
        assert_eq!(head.body, BodyLength::UntilClose);
        assert!(!persistence.keep_alive);
        let (head, _) = read("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n").expect("valid");
        assert_eq!(head.body, BodyLength::None);
    }

    #[test]
    fn refuses_what_two_readers_may_frame_differently() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 099 OK\r\nA: b\r\n\r\n",
            "HTTP/3.0 200 OK\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        ] {
            assert!(read(head).is_err(), "{head}");
        }
    }

    #[test]
    fn drops_what_connection_names() {
        let (head, _) =
            read("HTTP/1.1 204 No Content\r\nConnection: X-Internal\r\nx-internal: secret\r\n\r\n").expect("valid");
        assert_eq!(head.fields.find("x-internal"), None);
        let names: String = (0..33).map(|number| format!("x-{number},")).collect();
        assert!(read(&format!("HTTP/1.1 200 OK\r\nConnection: {names}\r\n\r\n")).is_err());
    }

    #[test]
    fn a_length_where_nothing_follows_is_dropped_but_for_304_and_head() {
        let length = |status: &str| {
            let (head, _) = read(&format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\n")).expect("valid");
            assert_eq!(head.body, BodyLength::None);
            head.fields.get(Known::ContentLength).map(<[u8]>::to_vec)
        };
        assert_eq!(length("204 No Content"), None);
        assert_eq!(length("103 Early Hints"), None);
        assert_eq!(length("304 Not Modified").as_deref(), Some(&b"3"[..]));
    }
}
