//! The header fields of a request on their way to a backend: what is dropped and what is made anew.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::message::{RequestHead, is_hop_by_hop};
use super::worker::Peer;
use crate::auth::Identity;
use crate::telemetry::{IdSource, RequestId, is_traceparent};
use crate::types::fields::{Known, list_elements};

/// Names that clients must not send: identity headers, the gateway's own, and their twins, which look the same to a
/// backend that turns `-` into `_`, or every other character than letters and digits (as older CGI servers do).
#[derive(Debug, Default)]
pub(crate) struct StripList {
    names: Vec<Arc<str>>,
    /// Bit n: a name of n bytes is in the list.
    lengths: u64,
}

impl StripList {
    pub(crate) fn new(names: &[Arc<str>]) -> Self {
        let lengths = names.iter().fold(0, |bits, name| bits | 1 << name.len().min(63));
        Self { names: names.to_vec(), lengths }
    }

    fn contains(&self, name: &[u8]) -> bool {
        self.lengths & (1 << name.len().min(63)) != 0 && self.names.iter().any(|listed| same_name(listed, name))
    }
}

/// Compares names as whoever takes twins for the same.
fn same_name(listed: &str, name: &[u8]) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    listed.len() == name.len() && listed.bytes().zip(name).all(|(a, b)| fold(a) == fold(*b))
}

fn has_prefix(name: &[u8], prefix: &str) -> bool {
    name.len() > prefix.len() && same_name(prefix, &name[..prefix.len()])
}

/// Who a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The connection's peer, as text.
    pub(crate) peer: Rc<str>,
    /// The peer's `X-Forwarded-*` are believed.
    pub(crate) trusted: bool,
    /// The connection is TLS.
    pub(crate) tls: bool,
    /// The client behind trusted proxies, else the peer.
    pub(crate) client: IpAddr,
}

impl Origin {
    /// Reads where a request really comes from.
    pub(crate) fn of(head: &RequestHead, peer: &Peer, trusts: impl Fn(IpAddr) -> bool) -> Self {
        let trusted = trusts(peer.ip);
        let client = if trusted { client_behind(head, &trusts).unwrap_or(peer.ip) } else { peer.ip };
        Self { peer: Rc::clone(&peer.text), trusted, tls: peer.tls, client }
    }
}

/// The last address in `X-Forwarded-For` that is not a trusted proxy itself.
fn client_behind(head: &RequestHead, trusts: &impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut hops = Vec::new();
    for field in head.fields.iter().filter(|field| field.name().eq_ignore_ascii_case("x-forwarded-for")) {
        hops.extend(
            list_elements(field.value)
                .map(|hop| Some(std::str::from_utf8(hop).ok()?.parse::<IpAddr>().ok()?.to_canonical())),
        );
    }
    let mut client = None;
    for hop in hops.into_iter().rev() {
        let hop = hop?; // what stands before something unreadable is not believed
        client = Some(hop);
        if !trusts(hop) {
            break;
        }
    }
    client
}

/// The request's id: the trusted peer's, or a new one.
pub(crate) fn request_id(head: &RequestHead, origin: &Origin, ids: &mut IdSource) -> RequestId {
    let believed =
        if origin.trusted { head.fields.get(Known::XRequestId).and_then(RequestId::from_peer) } else { None };
    believed.unwrap_or_else(|| ids.request_id())
}

/// Drops what clients must not send on, before anything looks at the request.
pub(crate) fn strip_client_claims(head: &mut RequestHead, origin: &Origin, strip: &StripList) {
    head.fields.remove_if(|field| match field.known {
        Known::Other => {
            let begins_with_x = matches!(field.name_bytes().first(), Some(b'x' | b'X'));
            strip.contains(field.name_bytes())
                || is_framing_twin(field.name_bytes())
                || begins_with_x
                    && (has_prefix(field.name_bytes(), "x-figway-")
                        || !is_from_trusted_proxy(field.name_bytes(), origin)
                            && (has_prefix(field.name_bytes(), "x-forwarded-") || has_twin(field.name_bytes())))
        }
        Known::XRealIp | Known::Forwarded => !origin.trusted,
        known => {
            strip.lengths != 0
                && known != Known::Authorization
                && known != Known::Host
                && strip.contains(field.name_bytes())
        }
    });
}

/// Drops trailers that would be taken for fields that only the gateway may set, or that frame, route or authenticate.
pub(crate) fn strip_trailers(trailers: &mut http::HeaderMap, strip: &StripList) {
    let forbidden: Vec<_> = trailers
        .keys()
        .filter(|name| {
            let name = name.as_str().as_bytes();
            let known = Known::classify(name);
            strip.contains(name)
                || is_framing_twin(name)
                || has_prefix(name, "x-figway-")
                || has_prefix(name, "x-forwarded-")
                || has_twin(name)
                || !matches!(known, Known::Other | Known::Date)
        })
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
}

/// A proxy that is trusted spells what it says with `-`; twins are its clients'.
fn is_from_trusted_proxy(name: &[u8], origin: &Origin) -> bool {
    origin.trusted && !may_be_twin(name)
}

/// The name of the field itself holds letters, digits and `-` only.
fn may_be_twin(name: &[u8]) -> bool {
    name.iter().any(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
}

/// `Content_Length` and `Transfer_Encoding` frame the message for some backends, and for nobody before them.
fn is_framing_twin(name: &[u8]) -> bool {
    matches!(name.len(), 14 | 17) && (same_name("content-length", name) || same_name("transfer-encoding", name))
}

/// `x_real_ip` and `x_request_id` are what some backends make of the names that the gateway sets.
fn has_twin(name: &[u8]) -> bool {
    may_be_twin(name)
        && (same_name("x-real-ip", name) || same_name("x-request-id", name) || same_name("x-forwarded-for", name))
}

/// Turns the client's fields into those of the request to the backend.
pub(crate) fn prepare(
    head: &mut RequestHead,
    origin: &Origin,
    id: &RequestId,
    identity: Option<&Identity>,
    ids: &mut IdSource,
) {
    // Lines of a list mean what one line of all its members means (RFC 9110, section 5.3).
    let upgrade = head.upgrade.then(|| head.fields.get_all(Known::Upgrade).collect::<Vec<_>>().join(&b", "[..]));
    for known in [
        Known::Connection,
        Known::KeepAlive,
        Known::Proxy,
        Known::ProxyConnection,
        Known::ProxyAuthorization,
        Known::Te,
        Known::TransferEncoding,
        Known::Upgrade,
        Known::Http2Settings,
    ] {
        debug_assert!(is_hop_by_hop(known), "only fields of one connection are dropped here");
        head.fields.remove(known);
    }
    if let Some(protocols) = upgrade {
        head.fields.push_known(Known::Upgrade, "Upgrade", &protocols);
    }
    if !head.fields.may_have(Known::Host) {
        let authority = std::mem::take(&mut head.authority);
        head.fields.push_known(Known::Host, "Host", authority.as_bytes());
        head.authority = authority;
    }
    forward(head, origin);
    head.fields.set(Known::XRequestId, "x-request-id", id.as_str().as_bytes());
    if !head.fields.get(Known::Traceparent).is_some_and(is_traceparent) {
        head.fields.remove(Known::Tracestate);
        head.fields.set(Known::Traceparent, "traceparent", &ids.traceparent(id));
    }
    for (name, value) in identity.iter().flat_map(|identity| &identity.headers) {
        head.fields.push(name, value.as_bytes());
    }
}

/// `X-Forwarded-For`, `-Proto` and `-Host`: continued for a trusted peer, begun for anybody else.
fn forward(head: &mut RequestHead, origin: &Origin) {
    let peer = origin.peer.as_bytes();
    let mut proto_known = false;
    let mut host_known = false;
    if origin.trusted {
        let mut chain = Vec::new();
        head.fields.remove_if(|field| {
            if field.known != Known::Other {
                return false;
            }
            proto_known |= field.name().eq_ignore_ascii_case("x-forwarded-proto");
            host_known |= field.name().eq_ignore_ascii_case("x-forwarded-host");
            let is_chain = field.name().eq_ignore_ascii_case("x-forwarded-for");
            if is_chain {
                chain.extend_from_slice(field.value);
                chain.extend_from_slice(b", ");
            }
            is_chain
        });
        chain.extend_from_slice(peer);
        head.fields.push_known(Known::Other, "x-forwarded-for", &chain);
    } else {
        head.fields.push_known(Known::Other, "x-forwarded-for", peer);
    }
    if !proto_known {
        head.fields.push_known(Known::Other, "x-forwarded-proto", if origin.tls { b"https" } else { b"http" });
    }
    if !host_known {
        let authority = std::mem::take(&mut head.authority);
        head.fields.push_known(Known::Other, "x-forwarded-host", authority.as_bytes());
        head.authority = authority;
    }
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
