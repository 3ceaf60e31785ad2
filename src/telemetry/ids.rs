//! Request ids and W3C trace context.
//!
//! A request id made here is also the trace id of the `traceparent` begun with it, so that a log
//! line and a trace find each other.

/// An identifier of a request: made at the edge, or taken from a trusted peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(smallvec::SmallVec<[u8; 36]>);

impl RequestId {
    /// Longest id that is taken from a peer, in bytes.
    pub const MAX: usize = 128;

    /// Takes a trusted peer's id if it is short visible ASCII.
    #[must_use]
    pub fn from_peer(value: &[u8]) -> Option<Self> {
        let acceptable = (1..=Self::MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        acceptable.then(|| Self(value.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Makes ids; one per core. Not for secrets: ids are unique, not unguessable.
#[derive(Debug)]
pub struct IdSource {
    random: fastrand::Rng,
}

impl IdSource {
    /// A source with its own seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// 128 random bits as 32 hexadecimal digits, never all zero.
    pub fn request_id(&mut self) -> RequestId {
        let mut text = smallvec::SmallVec::new();
        push_hex(&mut text, self.random.u64(1..));
        push_hex(&mut text, self.random.u64(..));
        RequestId(text)
    }

    /// Begins a trace: version 00, this request's id (or a new one) as trace id, not sampled.
    pub fn traceparent(&mut self, id: &RequestId) -> smallvec::SmallVec<[u8; 56]> {
        let mut text = smallvec::SmallVec::new();
        text.extend_from_slice(b"00-");
        if is_trace_id(&id.0) {
            text.extend_from_slice(&id.0);
        } else {
            push_hex(&mut text, self.random.u64(1..));
            push_hex(&mut text, self.random.u64(..));
        }
        text.push(b'-');
        push_hex(&mut text, self.random.u64(1..));
        text.extend_from_slice(b"-00");
        text
    }

    /// A random number, for choices that need no secrecy.
    pub fn random(&mut self) -> u64 {
        self.random.u64(..)
    }
}

/// Whether a value is a `traceparent` that may be passed on (W3C Trace Context, section 3.2).
#[must_use]
pub fn is_traceparent(value: &[u8]) -> bool {
    let hex = |range: std::ops::Range<usize>| value[range].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let nonzero = |range: std::ops::Range<usize>| value[range].iter().any(|byte| *byte != b'0');
    value.len() >= 55
        && (value.len() == 55 || (value[55] == b'-' && &value[..2] != b"00"))
        && value[2] == b'-'
        && value[35] == b'-'
        && value[52] == b'-'
        && hex(0..2)
        && &value[..2] != b"ff"
        && hex(3..35)
        && nonzero(3..35)
        && hex(36..52)
        && nonzero(36..52)
        && hex(53..55)
}

fn is_trace_id(value: &[u8]) -> bool {
    value.len() == 32
        && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && value.iter().any(|byte| *byte != b'0')
}

fn push_hex<A: smallvec::Array<Item = u8>>(text: &mut smallvec::SmallVec<A>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0u8; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        *digit = DIGITS[((number >> (60 - 4 * place)) & 0xf) as usize];
    }
    text.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_a_trace_with_the_request_id() {
        let mut source = IdSource::new(7);
        let id = source.request_id();
        assert_eq!(id.as_str().len(), 32);
        let trace = source.traceparent(&id);
        assert!(is_traceparent(&trace));
        assert_eq!(&trace[3..35], id.as_str().as_bytes());
        assert_ne!(source.request_id(), id);
    }

    #[test]
    fn takes_only_short_visible_ids_from_peers() {
        assert!(RequestId::from_peer(b"abc-1").is_some());
        assert!(RequestId::from_peer(b"").is_none());
        assert!(RequestId::from_peer(b"a b").is_none());
        assert!(RequestId::from_peer(&[b'a'; 129]).is_none());
    }

    #[test]
    fn knows_a_traceparent_when_it_sees_one() {
        assert!(is_traceparent(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(is_traceparent(b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-future"));
        for bad in [
            &b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"[..],
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            b"",
        ] {
            assert!(!is_traceparent(bad));
        }
    }
}
