//! A split: variants with weights, in the order written.

use super::FlagError;
use crate::types::VariantName;

/// Variants and their weights.
///
/// There is at least one variant, no name comes twice, and the weights add up to something between
/// 1 and `u32::MAX`, so that every bucket belongs to a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    names: Box<[VariantName]>,
    weights: Box<[u32]>,
    total: u32,
}

impl Split {
    /// A split of these variants; a weight of 0 is one that only rules (or a kill) lead to.
    ///
    /// # Errors
    /// No variant, a name written twice, weights that are all 0 or too large in sum.
    pub fn new(variants: Vec<(VariantName, u32)>) -> Result<Self, FlagError> {
        let (names, weights): (Vec<_>, Vec<_>) = variants.into_iter().unzip();
        if names.is_empty() {
            return Err(FlagError::NoVariants);
        }
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(FlagError::DuplicateVariant(name.to_string()));
            }
        }
        let sum = weights.iter().map(|&weight| u64::from(weight)).sum::<u64>();
        match u32::try_from(sum) {
            Ok(0) => Err(FlagError::NoWeight),
            Ok(total) => Ok(Self { names: names.into(), weights: weights.into(), total }),
            Err(_) => Err(FlagError::TooMuchWeight),
        }
    }

    /// Names, in the order written.
    #[must_use]
    pub fn names(&self) -> &[VariantName] {
        &self.names
    }

    /// Weights, in the order of the names.
    #[must_use]
    pub fn weights(&self) -> &[u32] {
        &self.weights
    }

    /// Sum of the weights.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Index of the variant that owns a bucket: the first owns the lowest buckets, and so on.
    #[must_use]
    pub fn variant_of(&self, bucket: u32) -> usize {
        let mut end = 0;
        let owner = self.weights.iter().position(|weight| {
            end += weight;
            bucket < end
        });
        owner.unwrap_or(self.names.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(variants: &[(&str, u32)]) -> Result<Split, FlagError> {
        Split::new(variants.iter().map(|&(name, weight)| (name.into(), weight)).collect())
    }

    #[test]
    fn buckets_belong_to_variants_in_the_order_written() {
        let split = split(&[("plain", 3), ("never", 0), ("bold", 2)]).expect("valid");
        let owners: Vec<_> = (0..split.total()).map(|bucket| split.variant_of(bucket)).collect();
        assert_eq!(owners, [0, 0, 0, 2, 2]);
    }

    #[test]
    fn refuses_splits_in_which_a_bucket_has_no_owner() {
        assert_eq!(split(&[]), Err(FlagError::NoVariants));
        assert_eq!(split(&[("a", 0), ("b", 0)]), Err(FlagError::NoWeight));
        assert_eq!(split(&[("a", u32::MAX), ("b", 1)]), Err(FlagError::TooMuchWeight));
        assert_eq!(split(&[("a", 1), ("a", 1)]), Err(FlagError::DuplicateVariant("a".into())));
    }
}
