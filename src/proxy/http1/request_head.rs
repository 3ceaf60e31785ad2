//! A request's head from bytes: grammar, framing, host, and what `Connection` says.
//!
//! Everything that lets two parsers see two different messages is refused here (RFC 9112, sections
//! 2.2, 3.2, 5.2 and 6; CWE-444). The path is normalised here too, so that whatever is matched
//! later is what is forwarded.

use smallvec::SmallVec;

use super::connection_field::ConnectionField;
use super::head_end::{HeadFlaw, HeadLimits, header_section};
use crate::problem::Code;
use crate::proxy::message::{BodyLength, HeadError, RequestHead, Version};
use crate::routing;
use crate::snapshot::Limits;
use crate::types::fields::{Fields, Known, list_elements};

/// Longest method in bytes.
pub(crate) const METHOD: usize = 32;

/// Fields that `Connection` must not name; see [`must_reach_the_backend`].
const END_TO_END: &[Known] = &[
    Known::Authorization,
    Known::Host,
    Known::ContentLength,
    Known::ContentType,
    Known::Cookie,
    Known::IdempotencyKey,
    Known::Forwarded,
    Known::XRealIp,
    Known::XRequestId,
    Known::Origin,
    Known::TransferEncoding,
];

pub(crate) fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        first_line: limits.uri_bytes + METHOD + " HTTP/1.1\r\n".len(),
        bytes: limits.header_bytes,
        lines: limits.header_lines,
    }
}

impl From<HeadFlaw> for HeadError {
    fn from(flaw: HeadFlaw) -> Self {
        match flaw {
            HeadFlaw::LongFirstLine => Self::new(Code::UriTooLong, "the request line is longer than the gateway takes"),
            HeadFlaw::TooManyBytes => Self::new(Code::HeadersTooLarge, "the header section has too many bytes"),
            HeadFlaw::TooManyLines => Self::new(Code::HeadersTooLarge, "the header section has too many lines"),
            HeadFlaw::BareLf => Self::malformed("a line of the head does not end in CR LF"),
        }
    }
}

/// Reads a complete head (up to and including its empty line) into `head`.
pub(crate) fn parse(bytes: &[u8], lines: usize, limits: &Limits, head: &mut RequestHead) -> Result<(), HeadError> {
    head.clear();
    let mut slots = SmallVec::<[httparse::Header<'_>; 32]>::from_elem(httparse::EMPTY_HEADER, lines);
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(HeadError::malformed("the head ends where it should not")),
        Err(error) => return Err(grammar_error(error, bytes)),
    }
    let method = request.method.unwrap_or_default();
    if method.len() > METHOD {
        return Err(HeadError::new(Code::NotImplemented, "the method is longer than the gateway takes"));
    }
    head.method.push_str(method);
    head.version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    head.fields.adopt(header_section(bytes), request.headers.iter().map(|header| (header.name, header.value)));
    read_target(request.path.unwrap_or_default(), limits, head)?;
    read_host(head)?;
    read_framing(head)?;
    read_connection(head)?;
    read_expectation(head)
}

fn grammar_error(error: httparse::Error, bytes: &[u8]) -> HeadError {
    match error {
        httparse::Error::Version if names_a_version(bytes) => {
            HeadError::new(Code::VersionNotSupported, "the gateway speaks HTTP/1.0, HTTP/1.1 and HTTP/2")
        }
        httparse::Error::HeaderName => HeadError::malformed("a header field's name is not a token"),
        httparse::Error::HeaderValue => HeadError::malformed("a header field's value holds a forbidden byte"),
        httparse::Error::NewLine => HeadError::malformed("a line of the head does not end in CR LF"),
        _ => HeadError::malformed("the request line is not method, target and version"),
    }
}

/// The first line has three words and none of them speaks of HTTP: whoever sends it speaks something else.
pub(crate) fn is_another_protocol(line: &[u8]) -> bool {
    let line = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let third = line.split(|byte| *byte == b' ').nth(2).unwrap_or_default();
    !third.is_empty() && !line.windows(4).any(|part| part.eq_ignore_ascii_case(b"http"))
}

/// The request line ends in something of the form `HTTP/<digit>.<digit>`.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let version = words.nth(2).unwrap_or_default();
    words.next().is_none()
        && matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn read_target(target: &str, limits: &Limits, head: &mut RequestHead) -> Result<(), HeadError> {
    if target.len() > limits.uri_bytes {
        return Err(HeadError::new(Code::UriTooLong, "the request target is longer than the gateway takes"));
    }
    if head.method == "CONNECT" {
        return Err(HeadError::new(Code::MethodNotAllowed, "the gateway opens no tunnels"));
    }
    if target == "*" && head.method == "OPTIONS" {
        head.target.push('*');
        head.path_end = 1;
        return Ok(());
    }
    let origin_form = if target.starts_with('/') {
        target
    } else {
        let (authority, rest) = split_absolute(target)?;
        head.authority.push_str(authority);
        rest
    };
    store_target(origin_form, head)
}

/// Splits an absolute-form target into authority and the rest, `/` if there is none.
fn split_absolute(target: &str) -> Result<(&str, &str), HeadError> {
    let scheme_end = target
        .find("://")
        .filter(|end| target[..*end].eq_ignore_ascii_case("http") || target[..*end].eq_ignore_ascii_case("https"));
    let Some(scheme_end) = scheme_end else {
        return Err(HeadError::malformed("the request target is neither a path nor an http URL"));
    };
    let rest = &target[scheme_end + 3..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(HeadError::new(Code::InvalidHost, "the request target's authority is not a host"));
    }
    Ok((authority, if path.is_empty() { "/" } else { path }))
}

/// Normalises the path of an origin-form target and keeps the query as it is.
pub(crate) fn store_target(target: &str, head: &mut RequestHead) -> Result<(), HeadError> {
    let (path, query) = match memchr::memchr(b'?', target.as_bytes()) {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let path = if path.is_empty() { "/" } else { path };
    if query.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err(HeadError::new(Code::InvalidPath, "the query holds a character that must be percent-encoded"));
    }
    let normal =
        routing::normalise(path.as_bytes()).map_err(|error| HeadError::new(Code::InvalidPath, error.words()))?;
    head.has_encoded_slash = normal.has_encoded_slash;
    head.target.push_str(&normal.path);
    head.path_end = head.target.len();
    head.target.push_str(query);
    Ok(())
}

fn read_host(head: &mut RequestHead) -> Result<(), HeadError> {
    let mut hosts = head.fields.get_all(Known::Host);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(HeadError::new(Code::InvalidHost, "there is more than one Host field"));
    }
    drop(hosts);
    let host = match host {
        None if head.version == Version::Http10 => return Ok(()),
        None => return Err(HeadError::new(Code::InvalidHost, "there is no Host field")),
        Some(host) => std::str::from_utf8(host).ok().filter(|host| is_authority(host)),
    };
    let Some(host) = host else {
        return Err(HeadError::new(Code::InvalidHost, "the Host field is not a host with an optional port"));
    };
    if head.authority.is_empty() {
        head.authority.push_str(host);
    } else if head.authority != host {
        // RFC 9112, section 3.2.2: the target's authority wins, and the next hop must see the same.
        let authority = std::mem::take(&mut head.authority);
        head.fields.set(Known::Host, "Host", authority.as_bytes());
        head.authority = authority;
    }
    Ok(())
}

/// A host with an optional port: a registered name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            (address.parse::<std::net::Ipv6Addr>().is_ok(), after)
        }
        None => {
            let (name, port) = text.split_at(memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len()));
            (is_registered_name(name.as_bytes()), port)
        }
    };
    is_host && port.strip_prefix(':').map_or(port.is_empty(), is_port)
}

/// Digits of a port, or none: RFC 3986, section 3.2.3, lets a colon stand alone.
fn is_port(digits: &str) -> bool {
    digits.len() <= 5
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.is_empty() || digits.parse::<u16>().is_ok())
}

/// RFC 3986, section 3.2.2, but for the comma, which would make a list of it.
fn is_registered_name(name: &[u8]) -> bool {
    let legal = |at: usize, byte: u8| match byte {
        b'%' => name.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte),
    };
    (1..=255).contains(&name.len()) && name.iter().enumerate().all(|(at, byte)| legal(at, *byte))
}

fn read_framing(head: &mut RequestHead) -> Result<(), HeadError> {
    let fields = &head.fields;
    let length = content_length(fields).map_err(HeadError::malformed)?;
    if !fields.may_have(Known::TransferEncoding) {
        head.body = match length {
            None | Some(0) => BodyLength::None,
            Some(length) => BodyLength::Exact(length),
        };
        return Ok(());
    }
    if length.is_some() {
        return Err(HeadError::malformed("there are both Content-Length and Transfer-Encoding"));
    }
    if head.version == Version::Http10 {
        return Err(HeadError::malformed("HTTP/1.0 has no Transfer-Encoding"));
    }
    let lines = fields.get_all(Known::TransferEncoding).count();
    let codings: SmallVec<[&[u8]; 4]> = fields.get_all(Known::TransferEncoding).flat_map(list_elements).collect();
    match codings.split_last() {
        Some((last, [])) if lines == 1 && last.eq_ignore_ascii_case(b"chunked") => {
            head.body = BodyLength::Unknown;
            Ok(())
        }
        Some((last, [first, more @ ..]))
            if last.eq_ignore_ascii_case(b"chunked")
                && is_compression(first)
                && more.iter().all(|coding| is_compression(coding)) =>
        {
            Err(HeadError::new(Code::NotImplemented, "the only transfer coding the gateway takes is chunked"))
        }
        _ => Err(HeadError::malformed("Transfer-Encoding is not exactly one \"chunked\"")),
    }
}

/// A transfer coding that exists and that nobody uses (RFC 9112, section 7.2).
fn is_compression(coding: &[u8]) -> bool {
    ["gzip", "deflate", "compress", "x-gzip", "x-compress"]
        .iter()
        .any(|name| coding.eq_ignore_ascii_case(name.as_bytes()))
}

/// The one `Content-Length`, if there is one.
pub(crate) fn content_length(fields: &Fields) -> Result<Option<u64>, &'static str> {
    let mut values = fields.get_all(Known::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("there is more than one Content-Length");
    }
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err("Content-Length is not a number of bytes");
    }
    Ok(Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))))
}

fn read_connection(head: &mut RequestHead) -> Result<(), HeadError> {
    let connection = ConnectionField::read(&head.fields).map_err(HeadError::malformed)?;
    if connection.named().any(must_reach_the_backend) {
        return Err(HeadError::malformed("Connection names a field that must reach the backend"));
    }
    head.close = connection.close || (head.version == Version::Http10 && !connection.keep_alive);
    connection.strip(&mut head.fields);
    head.takes_trailers =
        head.fields.get_all(Known::Te).flat_map(list_elements).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    if connection.upgrade && head.version == Version::Http11 && head.body == BodyLength::None {
        let mut protocols = head.fields.get_all(Known::Upgrade).flat_map(list_elements).peekable();
        head.upgrade = protocols.peek().is_some() && !protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
    }
    Ok(())
}

/// `Connection` must not name it: dropping it would change what the request means.
fn must_reach_the_backend(name: &[u8]) -> bool {
    const FORWARDED: &[u8] = b"x-forwarded-";
    END_TO_END.contains(&Known::classify(name))
        || name.get(..FORWARDED.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORWARDED))
}

pub(crate) fn read_expectation(head: &mut RequestHead) -> Result<(), HeadError> {
    let mut expectations = head.fields.get_all(Known::Expect).flat_map(list_elements);
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.eq_ignore_ascii_case(b"100-continue") => {
            drop(expectations);
            // RFC 9110, section 10.1.1: an HTTP/1.0 client's expectation is ignored, as is one without a body.
            if head.version == Version::Http10 || head.body == BodyLength::None {
                head.fields.remove(Known::Expect);
            } else {
                head.expects_continue = true;
            }
            Ok(())
        }
        _ => Err(HeadError::new(Code::ExpectationFailed, "the only expectation the gateway knows is 100-continue")),
    }
}

#[cfg(test)]
#[path = "request_head_tests.rs"]
mod tests;
