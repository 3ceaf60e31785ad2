//! Figway.
fn main() {}
