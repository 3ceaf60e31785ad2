//! Mistakes in an adapter, with their place in the tree that was written.

/// A step down a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the value of a key.
    Key(String),
    /// Into an item of a list, from 0.
    Index(usize),
}

/// A place in an adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Step>);

impl Place {
    /// The value of a key here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.below(Step::Key(key.to_owned()))
    }

    /// An item here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.below(Step::Index(index))
    }

    fn below(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

/// Something wrong with an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What, and the mend.
    pub message: String,
}
