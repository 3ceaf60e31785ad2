//! Names that the distributor makes: of payments, and of their attempts towards providers.

use crate::clock::Timestamp;

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "pay_";
/// 48 bits of time and 80 of randomness, five bits a character.
const DIGITS: usize = 26;

/// Name of a payment: `pay_` and 26 characters that sort by time of creation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(Box<str>);

impl PaymentId {
    /// A new name. With 80 random bits, two payments of one millisecond collide once in 10²⁴ pairs.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let time = u128::from(u64::try_from(now.0).unwrap_or(0)) & ((1 << 48) - 1);
        let bits = random.iter().fold(time, |bits, byte| (bits << 8) | u128::from(*byte));
        let mut text = String::with_capacity(PREFIX.len() + DIGITS);
        text.push_str(PREFIX);
        for digit in (0..DIGITS).rev() {
            text.push(char::from(ALPHABET[(bits >> (5 * digit)) as usize & 31]));
        }
        Self(text.into())
    }

    /// Reads a name; `None` if no payment can have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let plausible = digits.len() == DIGITS && digits.iter().all(|digit| ALPHABET.contains(digit));
        plausible.then(|| Self(text.into()))
    }

    /// The payment whose attempt or refund has this reference; `None` if none can have it.
    #[must_use]
    pub fn of_reference(reference: &str) -> Option<Self> {
        let (digits, number) = reference.split_once('-')?;
        let id = Self::parse(&format!("{PREFIX}{digits}"))?;
        let is_ours = match number.strip_prefix('r') {
            Some(refund) => id.refund_reference(refund.parse().ok()?) == reference,
            None => id.order_reference(number.parse().ok()?) == reference,
        };
        is_ours.then_some(id)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Our name for an attempt towards its provider: 28 to 36 characters of `[A-Za-z0-9_-]`, unique.
    #[must_use]
    pub fn order_reference(&self, attempt: u32) -> String {
        format!("{}-{attempt}", &self.0[PREFIX.len()..])
    }

    /// Our name for a refund towards its provider, as unique and as long.
    #[must_use]
    pub fn refund_reference(&self, refund: u32) -> String {
        format!("{}-r{refund}", &self.0[PREFIX.len()..])
    }
}

impl std::fmt::Display for PaymentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_reads_back_and_sorts_by_time() {
        let early = PaymentId::new(Timestamp(1_795_291_200_123), [255; 10]);
        let late = PaymentId::new(Timestamp(1_795_291_200_124), [0; 10]);
        assert_eq!(PaymentId::parse(early.as_str()), Some(early.clone()));
        assert!(early < late);
        assert_eq!(early.as_str().len(), 30);
    }

    #[test]
    fn what_no_payment_is_called_is_refused() {
        for text in [
            "",
            "pay_",
            "pay_01ARZ3NDEKTSV4RRFFQ69G5FA",
            "pay_01arz3ndektsv4rrffq69g5fav",
            "PAY_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert_eq!(PaymentId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_reference_leads_back_to_its_payment() {
        let payment = PaymentId::new(Timestamp(1_795_291_200_123), [9; 10]);
        for attempt in [1, 2, u32::MAX] {
            assert_eq!(PaymentId::of_reference(&payment.order_reference(attempt)), Some(payment.clone()));
            assert_eq!(PaymentId::of_reference(&payment.refund_reference(attempt)), Some(payment.clone()));
        }
        let reference = payment.order_reference(1);
        for other in ["", "-1", "pi_123", &reference[1..], &format!("{reference}x"), &reference.replace("-1", "-01")] {
            assert_eq!(PaymentId::of_reference(other), None, "{other}");
        }
    }

    #[test]
    fn an_order_reference_is_what_providers_take() {
        let reference = PaymentId::new(Timestamp(0), [7; 10]).order_reference(u32::MAX);
        assert!((6..=64).contains(&reference.len()));
        assert!(reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{reference}");
    }
}
