//! How property tests run: few cases from a fixed seed in `make test`, as many as asked in `make fuzz`.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// `cases` from a fixed seed, or `FIGWAY_FUZZ_CASES` from a new seed each time.
///
/// # Panics
/// In a test that `make fuzz` would leave out, since it picks tests by the word "property" in their paths.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    // A single test thread is not named after the test.
    assert!(
        test == "main" || test.contains("property"),
        "`make fuzz` leaves {test} out: put \"property\" into its path"
    );
    let long = std::env::var("FIGWAY_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: long.unwrap_or(cases),
        rng_seed: if long.is_some() { RngSeed::Random } else { RngSeed::Fixed(2026) },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
