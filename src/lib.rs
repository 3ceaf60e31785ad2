//! Figway.
