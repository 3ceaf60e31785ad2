//! A request's head from an h2 stream: what the library leaves to be judged.
//!
//! It has seen to pseudo-header fields, names in lower case and fields of one connection (RFC 9113,
//! section 8). A fragment in `:path` never gets here: the `http` crate cuts it off, so that what is
//! matched is still what is forwarded.

use http::request::Parts;

use crate::problem::Code;
use crate::proxy::convert;
use crate::proxy::http1::{METHOD, content_length, is_authority, read_expectation, store_target};
use crate::proxy::message::{BodyLength, HeadError, RequestHead, Version};
use crate::snapshot::Limits;
use crate::types::fields::Known;

/// Reads a request's head into `head`; `ended`: the stream ended with it.
pub(super) fn read(limits: &Limits, parts: &Parts, ended: bool, head: &mut RequestHead) -> Result<(), HeadError> {
    head.version = Version::Http2;
    head.method.push_str(parts.method.as_str());
    head.takes_trailers = parts.headers.get(http::header::TE).is_some_and(|coding| coding == "trailers");
    head.body = if ended { BodyLength::None } else { BodyLength::Unknown };
    convert::push_header_map(&parts.headers, &mut head.fields);
    head.authority.push_str(parts.uri.authority().map_or("", http::uri::Authority::as_str));
    if parts.method == http::Method::CONNECT {
        return Err(HeadError::new(Code::MethodNotAllowed, "the gateway opens no tunnels"));
    }
    if parts.method.as_str().len() > METHOD {
        return Err(HeadError::new(Code::NotImplemented, "the method is longer than the gateway takes"));
    }
    if parts.headers.len() > limits.header_lines {
        return Err(HeadError::new(Code::HeadersTooLarge, "the header section has too many lines"));
    }
    if parts.headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(HeadError::malformed("a header field's value begins or ends with white space"));
    }
    read_host(head)?;
    read_length(head)?;
    read_expectation(head)?;
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if target.len() > limits.uri_bytes {
        return Err(HeadError::new(Code::UriTooLong, "the request target is longer than the gateway takes"));
    }
    if target == "*" && parts.method == http::Method::OPTIONS {
        head.target.push('*');
        head.path_end = 1;
        return Ok(());
    }
    store_target(target, head)
}

/// Such a value makes the message malformed (RFC 9113, section 8.2.1).
fn is_padded(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_space(value.first()) || is_space(value.last())
}

/// `:authority` wins over `Host`; without either there is no host (RFC 9113, section 8.3.1).
fn read_host(head: &mut RequestHead) -> Result<(), HeadError> {
    if head.fields.get_all(Known::Host).count() > 1 {
        return Err(HeadError::new(Code::InvalidHost, "there is more than one Host field"));
    }
    if head.authority.is_empty() {
        let host = head.fields.get_str(Known::Host).unwrap_or_default();
        head.authority.push_str(host);
    }
    head.fields.remove(Known::Host);
    if is_authority(&head.authority) {
        Ok(())
    } else {
        Err(HeadError::new(Code::InvalidHost, "the authority is not a host with an optional port"))
    }
}

/// The library holds the stream's data against an announced length.
fn read_length(head: &mut RequestHead) -> Result<(), HeadError> {
    let length = content_length(&head.fields).map_err(HeadError::malformed)?;
    if let (BodyLength::Unknown, Some(length)) = (head.body, length) {
        head.body = BodyLength::Exact(length);
    }
    Ok(())
}
