//! Which endpoint gets a request: of two chosen at random, the one with fewer requests under way.
//!
//! Two random choices come close to the best balance without looking at every endpoint, and without
//! all cores running to the same one (Mitzenmacher, "The Power of Two Choices", 2001). An endpoint
//! whose connect just failed is avoided for a second: it is chosen only when nothing else is left.
//!
//! Deliberately not here: counting requests and keeping the marks, which belong to the pool.

use std::time::{Duration, Instant};

/// How long an endpoint is avoided after a failed connect.
pub const AVOID_AFTER_FAILED_CONNECT: Duration = Duration::from_secs(1);

/// What the choice looks at, of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Requests under way.
    pub in_flight: u32,
    /// Until when it is chosen last.
    pub avoid_until: Option<Instant>,
    /// This very request failed there already: it is not chosen again.
    pub tried: bool,
}

/// How willingly an endpoint is chosen; the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Good,
    Avoided,
    Tried,
}

impl Load {
    fn standing(&self, now: Instant) -> Standing {
        match self.avoid_until {
            _ if self.tried => Standing::Tried,
            Some(until) if now < until => Standing::Avoided,
            _ => Standing::Good,
        }
    }
}

/// Chooses among the endpoints `0..count`; `None` only if there is none or all of them were tried.
///
/// `random` is 64 fresh random bits; `load` is asked for two endpoints, and for all of them only when one
/// of the two is not in good standing.
#[must_use]
pub fn pick(count: usize, random: u64, now: Instant, load: impl Fn(usize) -> Load) -> Option<usize> {
    if count == 0 {
        return None;
    }
    let (one, other) = two_of(count, random);
    if load(one).standing(now) == Standing::Good && load(other).standing(now) == Standing::Good {
        return Some(lighter(one, other, &load));
    }
    let best = (0..count).map(|at| load(at).standing(now)).min()?;
    if best == Standing::Tried {
        return None;
    }
    let best_ones = || (0..count).filter(|&at| load(at).standing(now) == best);
    let (one, other) = two_of(best_ones().count(), random);
    Some(lighter(best_ones().nth(one)?, best_ones().nth(other)?, &load))
}

fn lighter(one: usize, other: usize, load: &impl Fn(usize) -> Load) -> usize {
    if load(other).in_flight < load(one).in_flight { other } else { one }
}

/// Two different numbers below `count`, which is at least 1; the same twice only if `count` is 1.
fn two_of(count: usize, random: u64) -> (usize, usize) {
    // Scaling 32 bits has no bias worth the name up to millions of endpoints, and needs no division.
    let below = |bits: u64, count: usize| ((bits * count as u64) >> 32) as usize;
    let one = below(random >> 32, count);
    let other = one + 1 + below(random & 0xffff_ffff, count.saturating_sub(1));
    (one, if other < count { other } else { other - count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(loads: &[Load], now: Instant) -> Vec<usize> {
        let mut counts = vec![0; loads.len()];
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..6000 {
            counts[pick(loads.len(), random.u64(..), now, |at| loads[at]).expect("something to choose")] += 1;
        }
        counts
    }

    fn busy(in_flight: u32) -> Load {
        Load { in_flight, ..Load::default() }
    }

    #[test]
    fn equal_endpoints_get_equal_shares() {
        for count in [2, 3, 6] {
            for share in chosen(&vec![busy(7); count], Instant::now()) {
                assert!(share.abs_diff(6000 / count) < 200, "{share} of 6000 among {count}");
            }
        }
    }

    #[test]
    fn the_busiest_gets_nothing_and_the_least_busy_the_most() {
        let shares = chosen(&[busy(9), busy(1), busy(5), busy(5)], Instant::now());
        assert_eq!(shares[0], 0);
        assert!(shares[1].abs_diff(3000) < 200, "the least busy wins whenever it is looked at: {shares:?}");
    }

    #[test]
    fn an_avoided_endpoint_is_chosen_only_when_nothing_else_is_left() {
        let now = Instant::now();
        let avoided = |in_flight| Load { avoid_until: Some(now + AVOID_AFTER_FAILED_CONNECT), ..busy(in_flight) };
        let shares = chosen(&[avoided(0), busy(100), busy(100), avoided(0)], now);
        assert_eq!((shares[0], shares[3]), (0, 0));
        assert!(shares[1].abs_diff(shares[2]) < 400, "the others share evenly: {shares:?}");
        assert_eq!(chosen(&[avoided(3), avoided(2)], now), [0, 6000]);
        assert_eq!(chosen(&[avoided(0), busy(5)], now + AVOID_AFTER_FAILED_CONNECT), [6000, 0], "the mark ends");
    }

    #[test]
    fn a_tried_endpoint_is_never_chosen_again() {
        let now = Instant::now();
        let tried = Load { tried: true, ..Load::default() };
        let avoided = Load { avoid_until: Some(now + AVOID_AFTER_FAILED_CONNECT), ..busy(9) };
        assert_eq!(chosen(&[tried, avoided, tried], now), [0, 6000, 0]);
        assert_eq!(pick(2, 1, now, |_| tried), None);
    }

    #[test]
    fn one_endpoint_or_none_is_no_special_case() {
        for random in [0, 1, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            assert_eq!(pick(1, random, Instant::now(), |_| busy(9)), Some(0));
            assert_eq!(pick(0, random, Instant::now(), |_| busy(9)), None);
            for count in 2..9 {
                let (one, other) = two_of(count, random);
                assert!(one < count && other < count && one != other, "{one} and {other} of {count}");
            }
        }
    }
}
