//! Keys: what makes a repetition recognisable, to us and to providers.
//!
//! All of them are HMAC-SHA-256 under one secret of the ledger, so that neither the ledger nor a
//! provider holds what a client sent, and nobody without the secret can make one. Each purpose has
//! its own label and every part its length, so that no two inputs look alike.

use aws_lc_rs::hmac;

use super::id::PaymentId;
use super::request::ChargeRequest;
use crate::types::ProviderName;

/// 32 bytes that identify a repetition.
pub(super) type Digest = [u8; 32];

/// Makes every key; holds the ledger's secret.
pub(super) struct Keyring(hmac::Key);

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// A key ring with the ledger's secret.
    #[must_use]
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Who a payment belongs to, as the ledger keeps it.
    #[must_use]
    pub(super) fn client(&self, client: &str) -> Digest {
        self.sign("client", &[client])
    }

    /// An `Idempotency-Key` as the ledger keeps it; the same key of two clients gives two.
    #[must_use]
    pub(super) fn client_key(&self, client: &str, key: &str) -> Digest {
        self.sign("key", &[client, key])
    }

    /// What a charge asks for: equal for equal content, however the JSON was written.
    #[must_use]
    pub(super) fn fingerprint(&self, charge: &ChargeRequest) -> Digest {
        let amount = charge.money.amount.to_string();
        let capture = if charge.capture { "capture" } else { "prepare" };
        let mut parts =
            vec![&*charge.order_id, &amount, charge.money.currency.code(), &charge.method, &charge.token, capture];
        for (key, value) in &charge.metadata {
            parts.extend([key.as_str(), value.as_str()]);
        }
        self.sign("charge", &parts)
    }

    /// What a confirmation asks for.
    #[must_use]
    pub(super) fn confirm_fingerprint(&self, payment: &PaymentId, token: Option<&str>) -> Digest {
        let parts: Vec<_> = std::iter::once(payment.as_str()).chain(token).collect();
        self.sign("confirm", &parts)
    }

    /// What a cancellation asks for.
    #[must_use]
    pub(super) fn cancel_fingerprint(&self, payment: &PaymentId) -> Digest {
        self.sign("cancel", &[payment.as_str()])
    }

    /// What a refund asks for; without an amount: all that is left.
    #[must_use]
    pub(super) fn refund_fingerprint(&self, payment: &PaymentId, amount: Option<u64>) -> Digest {
        let amount = amount.map(|amount| amount.to_string());
        let parts: Vec<_> = std::iter::once(payment.as_str()).chain(amount.as_deref()).collect();
        self.sign("refund", &parts)
    }

    /// The key that a provider sees for one operation of one attempt: 64 hexadecimal characters.
    #[must_use]
    pub(super) fn provider_key(
        &self,
        payment: &PaymentId,
        operation: &str,
        attempt: u32,
        provider: &ProviderName,
    ) -> String {
        let digest = self.sign("provider", &[payment.as_str(), operation, &attempt.to_string(), provider.as_str()]);
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(nibble.into(), 16).expect("a nibble is below 16"));
            }
            text
        })
    }

    fn sign(&self, label: &str, parts: &[&str]) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&label).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

/// Whether a client may use this as its `Idempotency-Key`: 1–255 visible ASCII characters.
#[must_use]
pub(super) fn is_client_key(key: &[u8]) -> bool {
    (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::payments::request::parse_charge;

    fn ring() -> Keyring {
        Keyring::new(&[7; 32])
    }

    fn fingerprint(body: &str) -> Digest {
        ring().fingerprint(&parse_charge(body.as_bytes()).expect("valid"))
    }

    #[test]
    fn the_same_content_written_otherwise_has_the_same_fingerprint() {
        let one =
            r#"{"order_id":"o","amount":1,"currency":"EUR","method":"card","token":"t","metadata":{"a":"1","b":"2"}}"#;
        let two = r#" {"metadata":{"b":"2","a":"\u0031"}, "token":"t","capture":true,"method":"card","currency":"EUR","amount":1,"order_id":"o"}"#;
        assert_eq!(fingerprint(one), fingerprint(two));
    }

    #[test]
    fn any_other_content_has_another_fingerprint() {
        let one = r#"{"order_id":"ox","amount":11,"currency":"EUR","method":"card","token":"t","metadata":{"a":"1"}}"#;
        for (find, replace) in [
            ("ox", "oy"),
            ("11", "12"),
            ("EUR", "USD"),
            ("card", "cash"),
            (":\"t\"", ":\"u\""),
            ("\"a\":\"1\"", "\"a\":\"2\""),
            ("\"metadata\"", "\"capture\":false,\"metadata\""),
        ] {
            assert_ne!(fingerprint(one), fingerprint(&one.replace(find, replace)), "{replace}");
        }
    }

    #[test]
    fn follow_ups_differ_in_kind_payment_and_content() {
        let (one, other) = (PaymentId::new(Timestamp(1), [0; 10]), PaymentId::new(Timestamp(1), [1; 10]));
        let ring = ring();
        let fingerprints = [
            ring.confirm_fingerprint(&one, None),
            ring.confirm_fingerprint(&one, Some("t")),
            ring.confirm_fingerprint(&other, None),
            ring.cancel_fingerprint(&one),
            ring.refund_fingerprint(&one, None),
            ring.refund_fingerprint(&one, Some(1)),
            ring.refund_fingerprint(&one, Some(2)),
        ];
        for (index, fingerprint) in fingerprints.iter().enumerate() {
            assert!(!fingerprints[..index].contains(fingerprint), "{index}");
        }
    }

    #[test]
    fn keys_of_two_clients_never_meet() {
        assert_ne!(ring().client_key("a", "bc"), ring().client_key("ab", "c"));
        assert_ne!(ring().client_key("a", "k"), ring().client_key("b", "k"));
        assert_ne!(ring().client_key("a", "k"), Keyring::new(&[8; 32]).client_key("a", "k"));
    }

    #[test]
    fn a_provider_key_is_new_for_each_attempt_and_provider() {
        let id = PaymentId::new(Timestamp(1), [0; 10]);
        let key = |operation, attempt, provider: &str| ring().provider_key(&id, operation, attempt, &provider.into());
        let keys =
            [key("charge", 1, "alpha"), key("charge", 2, "alpha"), key("charge", 1, "beta"), key("void", 1, "alpha")];
        for (index, one) in keys.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(!keys[..index].contains(one));
        }
    }

    #[test]
    fn a_client_key_is_visible_and_bounded() {
        assert!(is_client_key(b"a") && is_client_key(&[b'~'; 255]));
        for key in [&b""[..], b"a b", b"\xc3\xa4", b"a\t", &[b'a'; 256]] {
            assert!(!is_client_key(key));
        }
    }
}
