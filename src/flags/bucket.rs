//! From a subject to a bucket: the hash that makes a percentage stick.
//!
//! The hash is MurmurHash3_x86_32 with seed 0 over salt and subject without a separator, as Austin
//! Appleby published it; other systems that share a salt therefore put a subject into the same
//! bucket. It is streamed, so that salt and subject are never joined in memory.

/// The bucket of a subject: from 0 to `total` − 1, or 0 when `total` is 0.
///
/// `(murmur3_x86_32(salt ++ subject) × total) >> 32` spreads the 32 bits of the hash over `total`
/// without the bias that a remainder has.
#[must_use]
pub fn bucket(salt: &str, subject: &str, total: u32) -> u32 {
    let mut hash = Murmur3::default();
    hash.write(salt.as_bytes());
    hash.write(subject.as_bytes());
    hash.bucket(total)
}

/// MurmurHash3_x86_32 with seed 0, fed piece by piece.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Murmur3 {
    state: u32,
    /// Bytes that do not fill a block yet, little-endian.
    tail: u32,
    tail_bits: u32,
    length: u32,
}

impl Murmur3 {
    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        while self.tail_bits > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return };
            self.push(byte);
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks::<4>();
        for block in blocks {
            self.mix(u32::from_le_bytes(*block));
        }
        self.length = self.length.wrapping_add(4 * blocks.len() as u32);
        for &byte in rest {
            self.push(byte);
        }
    }

    /// The bucket out of `total` that the bytes so far fall into.
    pub(super) fn bucket(self, total: u32) -> u32 {
        ((u64::from(self.finish()) * u64::from(total)) >> 32) as u32
    }

    fn push(&mut self, byte: u8) {
        self.tail |= u32::from(byte) << self.tail_bits;
        self.tail_bits += 8;
        self.length = self.length.wrapping_add(1);
        if self.tail_bits == 32 {
            self.mix(self.tail);
            self.tail = 0;
            self.tail_bits = 0;
        }
    }

    fn mix(&mut self, block: u32) {
        self.state ^= scramble(block);
        self.state = self.state.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }

    fn finish(self) -> u32 {
        let mut hash = self.state ^ scramble(self.tail) ^ self.length;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

/// Lets a value be hashed by its printed form without printing it into memory first.
impl std::fmt::Write for Murmur3 {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn murmur3(bytes: &[u8]) -> u32 {
        let mut hash = Murmur3::default();
        hash.write(bytes);
        hash.finish()
    }

    #[test]
    fn hashes_as_published() {
        let vectors: [(&[u8], u32); 12] = [
            (b"", 0),
            (b"test", 0xba6b_d213),
            (b"Hello, world!", 0xc036_3e43),
            (b"The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
            (b"\xff\xff\xff\xff", 0x7629_3b50),
            (b"\x21\x43\x65\x87", 0xf55b_516b),
            (b"\x21\x43\x65", 0x7e4a_8634),
            (b"\x21\x43", 0xa0f7_b07a),
            (b"\x21", 0x7266_1cf4),
            (b"\0\0\0\0", 0x2362_f9de),
            (b"\0\0\0", 0x85f0_b427),
            (b"\0", 0x514e_28b7),
        ];
        for (input, expect) in vectors {
            assert_eq!(murmur3(input), expect, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn salt_and_subject_are_joined_without_a_separator() {
        assert_eq!(bucket("member-", "api42", 10_000), bucket("member-api", "42", 10_000));
        // 0xba6bd213 of "test", scaled to 10,000.
        assert_eq!(bucket("te", "st", 10_000), 7282);
    }

    #[test]
    fn the_largest_and_the_smallest_total_stay_in_range() {
        assert_eq!(bucket("a", "b", 0), 0);
        assert_eq!(bucket("a", "b", 1), 0);
        assert!(bucket("te", "st", u32::MAX) > u32::MAX / 2);
    }

    mod property {
        use proptest::prelude::*;

        use super::*;
        use crate::types::property::config;

        proptest! {
            #![proptest_config(config(256))]

            #[test]
            fn pieces_hash_like_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..40), cuts in (0usize..40, 0usize..40)) {
                let (a, b) = (cuts.0.min(cuts.1).min(bytes.len()), cuts.0.max(cuts.1).min(bytes.len()));
                let mut hash = Murmur3::default();
                for piece in [&bytes[..a], &bytes[a..b], &bytes[b..]] {
                    hash.write(piece);
                }
                prop_assert_eq!(hash.finish(), murmur3(&bytes));
            }
        }
    }
}
