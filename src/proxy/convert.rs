//! Between our header sections and the `http` crate's, for the h2 sides.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::message::{ResponseHead, is_hop_by_hop};
use crate::types::fields::{Fields, Known};

/// A `HeaderMap` of the fields that HTTP/2 may carry (RFC 9113, section 8.2.2).
pub(crate) fn header_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields.iter() {
        if is_hop_by_hop(field.known) || field.known == Known::Host {
            continue;
        }
        // Names and values were checked when they were parsed; what http refuses all the same is left out.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name_bytes()), HeaderValue::from_bytes(field.value))
        {
            map.append(name, value);
        }
    }
    map
}

/// An answer's head.
pub(crate) fn response(head: &ResponseHead) -> Response<()> {
    let mut response = Response::new(());
    // A status is three digits on either version.
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = header_map(&head.fields);
    response
}

/// Appends a `HeaderMap` to a header section; several cookies become one field again (section 8.2.3).
pub(crate) fn push_header_map(map: &HeaderMap, fields: &mut Fields) {
    let mut cookies: Option<Vec<u8>> = None;
    for (name, value) in map {
        let value = value.as_bytes().trim_ascii(); // as on HTTP/1, where space around a value is none of it
        if name == http::header::COOKIE {
            match &mut cookies {
                None => cookies = Some(value.to_vec()),
                Some(all) => {
                    all.extend_from_slice(b"; ");
                    all.extend_from_slice(value);
                }
            }
        } else {
            fields.push(name.as_str(), value);
        }
    }
    if let Some(cookies) = cookies {
        fields.push_known(Known::Cookie, "cookie", &cookies);
    }
}
