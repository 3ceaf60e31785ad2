//! Where random bytes come from: the system, or in tests a generator that a seed makes repeatable.
//!
//! Names of payments decide which provider is drawn, so a simulation that is to be played again needs
//! the same names. Waits are spread with `fastrand` itself: nobody gains by guessing those.

/// Fills the bytes at random.
#[cfg(not(test))]
pub(super) fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system's random source never fails once it is seeded");
}

/// Fills the bytes from this thread's generator: `fastrand::seed` repeats a run.
#[cfg(test)]
pub(super) fn fill(bytes: &mut [u8]) {
    fastrand::fill(bytes);
}
