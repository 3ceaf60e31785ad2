//! Signatures of webhooks: which bytes are signed, how, and where the signature stands.
//!
//! Pure: bytes, secrets and the time in, a judgement out. The body is used as it came. Every
//! comparison with something secret takes the same time wherever the difference stands.
//!
//! - `stripe`: `Stripe-Signature: t=1492774577,v1=5257…,v1=…`; HMAC-SHA-256 of `t.body`, in hexadecimal
//!   digits, at most 300 s old or early.
//! - `hmac`: HMAC of the body under a header of any name.
//! - `toss`: `TossPayments-Webhook-Signature: v1:…,v1:…`; HMAC-SHA-256 of `body:time`, in Base64, where
//!   the time stands in `TossPayments-Webhook-Transmission-Time`. Events that come without the header
//!   carry a secret in the body instead; what carries neither can't be told from a forgery.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName};

use super::message::{self, Pointer};
use crate::clock::Timestamp;

/// How much older or newer than now a signed time may be.
const TOLERANCE: Duration = Duration::from_secs(300);
/// More signatures than any provider sends at once; the rest is not looked at.
const MOST_SIGNATURES: usize = 16;

/// How webhooks are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// A signed time and one or several hexadecimal HMACs in one header.
    Stripe {
        /// `stripe-signature`, unless the provider has another name for it.
        header: HeaderName,
    },
    /// An HMAC of the body.
    Hmac {
        /// Where it stands.
        header: HeaderName,
        /// Of which hash.
        algorithm: Algorithm,
        /// How it is written.
        encoding: Encoding,
        /// What stands before it, e.g. `sha256=`; may be empty.
        prefix: String,
    },
    /// A signed transmission time and Base64 HMACs, or a secret in the body.
    Toss {
        /// `tosspayments-webhook-signature`.
        header: HeaderName,
        /// `tosspayments-webhook-transmission-time`.
        time: HeaderName,
        /// Where the body has its secret, of events without the header.
        secret: Vec<Pointer>,
    },
}

/// Hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, of either case.
    Hex,
    /// Base64, with or without padding.
    Base64,
}

/// What provider and gateway both know; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// A secret as the provider hands it out.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a webhook is refused; for the log, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("there is no signature")]
    Missing,
    #[error("its signature can't be read")]
    Malformed,
    #[error("its signature is wrong")]
    Wrong,
    #[error("it is signed well, for a time more than 300 s away")]
    Stale,
}

impl Scheme {
    /// Judges a delivery by any of the secrets.
    pub(super) fn verify(
        &self,
        secrets: &[Secret],
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejection> {
        match self {
            Self::Stripe { header } => verify_stripe(secrets, single(headers, header)?, body, now),
            Self::Hmac { header, algorithm, encoding, prefix } => {
                let written = single(headers, header)?.strip_prefix(prefix.as_str()).ok_or(Rejection::Malformed)?;
                let signature = encoding.decode(written).ok_or(Rejection::Malformed)?;
                matches(secrets, *algorithm, &[body], &[signature]).then_some(()).ok_or(Rejection::Wrong)
            }
            // A signature that is there must be right, whatever the body says.
            Self::Toss { header, time, .. } if headers.contains_key(header) => {
                verify_toss(secrets, single(headers, header)?, single(headers, time)?, body, now)
            }
            Self::Toss { secret, .. } => {
                let document = message::read(body);
                let texts = message::texts(document.as_ref(), secret);
                if texts.is_empty() {
                    return Err(Rejection::Missing);
                }
                let known = |text: &&str| secrets.iter().any(|secret| same(text.as_bytes(), secret.0.as_bytes()));
                // Each is compared, so that how long it takes tells nothing of the first.
                let found = texts.iter().filter(|text| known(text)).count();
                if found > 0 { Ok(()) } else { Err(Rejection::Wrong) }
            }
        }
    }
}

fn verify_stripe(secrets: &[Secret], header: &str, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", written)) if time.is_none() => time = Some(written),
            Some(("t", _)) | None => return Err(Rejection::Malformed),
            Some(("v1", written)) if signatures.len() < MOST_SIGNATURES => {
                signatures.extend(Encoding::Hex.decode(written))
            }
            // Signatures of other versions stand beside those of this one.
            Some(_) => {}
        }
    }
    let time = time.ok_or(Rejection::Malformed)?;
    let digits = time.len() <= 12 && !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = time.parse().ok().filter(|_| digits).ok_or(Rejection::Malformed)?;
    if signatures.is_empty() {
        return Err(Rejection::Missing);
    }
    if !matches(secrets, Algorithm::Sha256, &[time.as_bytes(), b".", body], &signatures) {
        return Err(Rejection::Wrong);
    }
    in_time(Timestamp(seconds * 1000), now)
}

fn verify_toss(secrets: &[Secret], header: &str, time: &str, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
    let parts = header.split(',').map(str::trim).take(MOST_SIGNATURES);
    let signatures: Vec<_> =
        parts.filter_map(|part| Encoding::Base64.decode(part.strip_prefix("v1:").unwrap_or(part).trim())).collect();
    let sent = Timestamp::parse(time).ok_or(Rejection::Malformed)?;
    if signatures.is_empty() {
        return Err(Rejection::Malformed);
    }
    if !matches(secrets, Algorithm::Sha256, &[body, b":", time.as_bytes()], &signatures) {
        return Err(Rejection::Wrong);
    }
    in_time(sent, now)
}

fn in_time(signed: Timestamp, now: Timestamp) -> Result<(), Rejection> {
    // One of the two is zero.
    if now.since(signed) + signed.since(now) <= TOLERANCE { Ok(()) } else { Err(Rejection::Stale) }
}

/// The header's value; it must stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Rejection> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map(str::trim).map_err(|_| Rejection::Malformed),
        (None, _) => Err(Rejection::Missing),
        (Some(_), Some(_)) => Err(Rejection::Malformed),
    }
}

/// Whether one of the signatures is the HMAC of these parts under one of the secrets.
fn matches(secrets: &[Secret], algorithm: Algorithm, parts: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
    let algorithm = match algorithm {
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    };
    secrets.iter().any(|secret| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret.0.as_bytes()));
        parts.iter().for_each(|part| context.update(part));
        let expected = context.sign();
        signatures.iter().any(|signature| verify_slices_are_equal(expected.as_ref(), signature).is_ok())
    })
}

/// Compares without telling where two texts differ, nor how long the secret one is.
fn same(one: &[u8], other: &[u8]) -> bool {
    let digest = |text| digest::digest(&digest::SHA256, text);
    verify_slices_are_equal(digest(one).as_ref(), digest(other).as_ref()).is_ok()
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => {
                let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
                pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
            }
            Self::Base64 => STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok(),
        }
        .filter(|bytes: &Vec<u8>| !bytes.is_empty())
    }
}

#[cfg(test)]
mod tests;
