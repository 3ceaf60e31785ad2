//! How property tests run: few cases from a fixed seed in `make test`, as many as asked in `make fuzz`.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// `cases` from a fixed seed, or `FIGWAY_FUZZ_CASES` from a new seed each time.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let long = std::env::var("FIGWAY_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: long.unwrap_or(cases),
        rng_seed: if long.is_some() { RngSeed::Random } else { RngSeed::Fixed(2026) },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
