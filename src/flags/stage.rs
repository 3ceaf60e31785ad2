//! How far a migration is.

use super::FlagError;

/// Stage of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The monolith answers.
    Legacy,
    /// The monolith answers; copies go to the new side.
    Shadow,
    /// A share goes to the new side.
    Canary,
    /// The new side answers.
    New,
    /// The new side answers; the way back is gone.
    Retired,
}

impl Stage {
    /// Every stage, in the order in which a migration passes them.
    pub const ALL: [Self; 5] = [Self::Legacy, Self::Shadow, Self::Canary, Self::New, Self::Retired];

    /// The word in a flag's definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::New => "new",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for Stage {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        let known = Self::ALL.into_iter().find(|stage| stage.as_str() == text);
        known.ok_or_else(|| FlagError::UnknownStage(text.into()))
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_read_as_it_is_written() {
        for stage in Stage::ALL {
            assert_eq!(stage.to_string().parse(), Ok(stage));
        }
        assert!("Canary".parse::<Stage>().is_err(), "stages are written in lower case");
    }
}
