//! Verified tokens, found again by their full text; bounded by size.
//!
//! A hit costs a short hash, one comparison of the text and two clocks' worth of comparisons. It is a hit only if
//! - the whole text is the same: the table beneath keeps 64-bit hashes and would confuse two tokens that share one;
//! - the token is still in time;
//! - the issuer's keys have not changed since it was verified. Entries from older keys are not removed, they just never
//!   match again and are overwritten or evicted.
//!
//! Refused tokens are not remembered: there is no end of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tinyufo::TinyUfo;

use super::Identity;
use crate::clock::Timestamp;

/// Hashing the end of a signature is enough to spread tokens, and as cheap for 8 KiB as for 200 bytes. Whoever aims at
/// a collision gains a miss: the text is compared, and only verified tokens are ever put in.
const HASHED_BYTES: usize = 32;

/// One verified token.
#[derive(Debug)]
pub(super) struct Entry {
    /// The whole text.
    pub(super) token: Box<str>,
    /// Who it is.
    pub(super) identity: Arc<Identity>,
    /// First moment at which the token holds, leeway included.
    pub(super) from: Timestamp,
    /// First moment at which it no longer holds, leeway included.
    pub(super) until: Timestamp,
    /// Index of its issuer.
    pub(super) issuer: usize,
    /// Generation of the keys that it was verified with.
    pub(super) generation: u64,
}

/// Bounded memory of verified tokens.
pub(super) struct TokenCache {
    entries: TinyUfo<u64, Arc<Entry>>,
    hasher: RandomState,
}

impl TokenCache {
    /// `capacity` is in KiB of token text; a token counts as one at least.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: TinyUfo::new(capacity, capacity), hasher: RandomState::new() }
    }

    /// The caller behind a token that was verified before and still holds. `generation_of` gives an issuer's present one.
    pub(super) fn get(
        &self,
        token: &str,
        now: Timestamp,
        generation_of: impl FnOnce(usize) -> u64,
    ) -> Option<Arc<Identity>> {
        let entry = self.entries.get(&self.key(token))?;
        let holds = *entry.token == *token
            && entry.from <= now
            && now < entry.until
            && entry.generation == generation_of(entry.issuer);
        holds.then(|| Arc::clone(&entry.identity))
    }

    /// Remembers a verified token.
    pub(super) fn put(&self, entry: Entry) {
        let weight = u16::try_from(entry.token.len().div_ceil(1024).max(1)).unwrap_or(u16::MAX);
        self.entries.put(self.key(&entry.token), Arc::new(entry), weight);
    }

    fn key(&self, token: &str) -> u64 {
        let bytes = token.as_bytes();
        self.hasher.hash_one(&bytes[bytes.len().saturating_sub(HASHED_BYTES)..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: &str, from: i64, until: i64, generation: u64) -> Entry {
        let identity = Identity {
            subject: token.into(),
            issuer: "issuer".into(),
            claims: serde_json::Map::new(),
            headers: Vec::new(),
            expires: Timestamp(until),
        };
        Entry {
            token: token.into(),
            identity: Arc::new(identity),
            from: Timestamp(from),
            until: Timestamp(until),
            issuer: 0,
            generation,
        }
    }

    fn get(cache: &TokenCache, token: &str, now: i64, generation: u64) -> Option<String> {
        cache.get(token, Timestamp(now), |_| generation).map(|identity| identity.subject.to_string())
    }

    #[test]
    fn a_hit_needs_the_time_and_the_keys_to_be_right() {
        let cache = TokenCache::new(100);
        cache.put(entry("h.p.s", 10, 20, 1));
        assert_eq!(get(&cache, "h.p.s", 10, 1).as_deref(), Some("h.p.s"));
        assert_eq!(get(&cache, "h.p.s", 19, 1).as_deref(), Some("h.p.s"));
        assert_eq!(get(&cache, "h.p.s", 9, 1), None, "not yet");
        assert_eq!(get(&cache, "h.p.s", 20, 1), None, "no longer");
        assert_eq!(get(&cache, "h.p.s", 15, 2), None, "other keys");
    }

    #[test]
    fn tokens_with_one_hash_are_told_apart() {
        let cache = TokenCache::new(100);
        let signature = "s".repeat(HASHED_BYTES);
        let (mine, forged) = (format!("h.mine.{signature}"), format!("h.forged.{signature}"));
        assert_eq!(cache.key(&mine), cache.key(&forged));
        cache.put(entry(&mine, 0, 100, 1));
        assert_eq!(get(&cache, &forged, 1, 1), None);
        assert_eq!(get(&cache, &mine, 1, 1), Some(mine));
    }

    #[test]
    fn a_token_verified_again_takes_its_old_place() {
        let cache = TokenCache::new(100);
        cache.put(entry("h.p.s", 0, 100, 1));
        cache.put(entry("h.p.s", 0, 100, 2));
        assert!(get(&cache, "h.p.s", 1, 2).is_some());
    }

    #[test]
    fn size_bounds_the_memory() {
        let cache = TokenCache::new(64);
        let tokens: Vec<_> = (0..1000).map(|number| format!("{}.p.{number:032}", "h".repeat(3000))).collect();
        for token in &tokens {
            cache.put(entry(token, 0, 100, 1));
        }
        let kept = tokens.iter().filter(|token| get(&cache, token, 1, 1).is_some()).count();
        assert!((1..=64 / 3).contains(&kept), "{kept} tokens of 3 KiB in 64 KiB");
    }
}
