//! What can be wrong with one word of a flag's definition.

/// Why a part of a flag's definition can't be read; each text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// Not a stage.
    #[error("{0:?} is not a stage; use legacy, canary, new or retired")]
    UnknownStage(String),
    /// Not something that a percentage can stick to.
    #[error("{0:?} is nothing to stick to; use user, claim:NAME, header:NAME, cookie:NAME or ip")]
    UnknownSubject(String),
    /// Not something that a rule can read.
    #[error("{0:?} is nothing that a rule can read; use claim.NAME, header.NAME or cookie.NAME")]
    UnknownAttribute(String),
    /// The name of a header or a cookie is empty or has a character that none can have.
    #[error("{0:?} can't be the name of a header or a cookie; use letters, digits and hyphens, e.g. \"x-tenant\"")]
    BadName(String),
    /// Not a number from 0 to 100 with at most two decimals.
    #[error("{0:?} is not a percentage; write a number from 0 to 100 with at most two decimals, e.g. 12.5")]
    BadPercent(String),
    /// A split without variants.
    #[error("a split needs at least one variant; write e.g. variants: {{plain: 50, bold: 50}}")]
    NoVariants,
    /// A split that names a variant twice.
    #[error("variant {0:?} is written twice; give each variant one weight")]
    DuplicateVariant(String),
    /// A split whose weights are all 0.
    #[error("all weights are 0; give at least one variant a weight of 1 or more")]
    NoWeight,
    /// A split whose weights add up to more than 32 bits.
    #[error("the weights add up to more than 4294967295; use smaller weights in the same proportion")]
    TooMuchWeight,
}
