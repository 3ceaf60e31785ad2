//! One run as data: who pays when and how, what goes wrong where, which gateway dies at which write.
//!
//! Drawn from a seed as a whole before anything happens, so that it can be printed, run again and
//! made smaller piece by piece.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dialects::Speaks;
use crate::payments::ledger::in_memory::Side;
use crate::simulator::Fault;

/// How long after an attempt a provider may still act on it or not show it, as the gateway is told: the latest effect
/// of [`Fault::draw`] and the longest lag of lookups together.
pub(super) const QUIESCE: Duration = Duration::from_secs(6);

/// See the module's text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    /// Drawn from; also seeds what is random within the gateways.
    pub(super) seed: u64,
    /// Gateways on the one ledger.
    pub(super) gateways: usize,
    pub(super) providers: Vec<Place>,
    pub(super) errands: Vec<Errand>,
    pub(super) crashes: Vec<Crash>,
    /// From when to when no gateway can read or write the ledger.
    pub(super) ledger_down: Option<(Duration, Duration)>,
}

/// A provider and what goes wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) speaks: Speaks,
    pub(super) lookup_lag: Duration,
    /// Whether a void of something unheard-of keeps a charge away that comes later.
    pub(super) remembers_voids: bool,
    /// By number of the request.
    pub(super) script: BTreeMap<usize, Fault>,
    /// From, until, and what every request meets.
    pub(super) outages: Vec<(Duration, Duration, Fault)>,
    /// Whether it tells of what it did, and how badly.
    pub(super) webhooks: Webhooks,
}

/// How a provider's messages reach the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Webhooks {
    /// It sends none.
    None,
    /// Soon, once, in order.
    Proper,
    /// Late, twice, in any order, and with forged ones in between.
    Messy,
}

/// One customer's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Errand {
    pub(super) at: Duration,
    pub(super) amount: u64,
    /// Charged at once, or confirmed later.
    pub(super) capture: bool,
    /// The card's issuer refuses.
    pub(super) declined: bool,
    /// So many send the first request at once.
    pub(super) twins: u32,
    /// The client of the first request leaves after so long.
    pub(super) hangs_up: Option<Duration>,
    /// What the client does once the payment is prepared.
    pub(super) ending: Ending,
    /// What the client asks back after it succeeded; `None`: all that is left.
    pub(super) refunds: Vec<Option<u64>>,
}

/// What becomes of a prepared payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Confirmed,
    Cancelled,
    Forgotten,
}

/// The end of a gateway's process, and its next beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crash {
    pub(super) gateway: usize,
    /// At which of its writes, from 1, counted from its latest start.
    pub(super) write: u64,
    pub(super) side: Side,
    pub(super) down_for: Duration,
}

/// How bad a time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Climate {
    /// Faults of providers, impatient clients.
    Stormy,
    /// The same, and gateways that die.
    Deadly,
    /// Requests that arrive when nobody expects them any more, past all promises.
    Late,
}

impl Schedule {
    /// One gateway that lives, on a ledger that works.
    pub(super) fn calm(seed: u64, providers: Vec<Place>, errands: Vec<Errand>) -> Self {
        Self { seed, gateways: 1, providers, errands, crashes: Vec::new(), ledger_down: None }
    }

    pub(super) fn draw(seed: u64, climate: Climate) -> Self {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let gateways = 1 + usize::from(rng.u32(..3) == 0);
        let providers = (0..rng.usize(2..4)).map(|_| Place::draw(climate, rng)).collect();
        let errands = (0..rng.usize(1..4)).map(|_| Errand::draw(rng)).collect();
        let deaths = if climate == Climate::Deadly { rng.usize(1..4) } else { 0 };
        let crashes = (0..deaths).map(|_| Crash::draw(gateways, rng)).collect();
        let ledger_down = (climate == Climate::Deadly && rng.u32(..4) == 0).then(|| {
            let from = Duration::from_millis(rng.u64(..15_000));
            (from, from + Duration::from_millis(rng.u64(10..20_000)))
        });
        Self { seed, gateways, providers, errands, crashes, ledger_down }
    }

    /// Every schedule that is this one with one thing less in it.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut offer = |change: &dyn Fn(&mut Self)| {
            let mut simpler = self.clone();
            change(&mut simpler);
            if simpler != *self {
                found.push(simpler);
            }
        };
        for index in 0..self.errands.len() {
            offer(&|schedule| {
                schedule.errands.remove(index);
            });
        }
        for index in 0..self.crashes.len() {
            offer(&|schedule| {
                schedule.crashes.remove(index);
            });
        }
        offer(&|schedule| schedule.ledger_down = None);
        for index in 0..self.providers.len() {
            for outage in 0..self.providers[index].outages.len() {
                offer(&|schedule| {
                    schedule.providers[index].outages.remove(outage);
                });
            }
            for nth in self.providers[index].script.keys() {
                offer(&|schedule| {
                    schedule.providers[index].script.remove(nth);
                });
            }
            offer(&|schedule| schedule.providers[index].lookup_lag = Duration::ZERO);
            offer(&|schedule| schedule.providers[index].webhooks = Webhooks::None);
        }
        for index in 0..self.errands.len() {
            offer(&|schedule| schedule.errands[index].twins = 1);
            offer(&|schedule| schedule.errands[index].hangs_up = None);
            offer(&|schedule| {
                schedule.errands[index].refunds.pop();
            });
            offer(&|schedule| schedule.errands[index].capture = true);
        }
        offer(&|schedule| {
            if schedule.crashes.iter().all(|crash| crash.gateway == 0) {
                schedule.gateways = 1;
            }
        });
        found
    }
}

impl Place {
    /// A provider at which nothing goes wrong.
    pub(super) fn calm() -> Self {
        Self {
            speaks: Speaks::Canonical,
            lookup_lag: Duration::ZERO,
            remembers_voids: true,
            script: BTreeMap::new(),
            outages: Vec::new(),
            webhooks: Webhooks::None,
        }
    }

    fn draw(climate: Climate, rng: &mut fastrand::Rng) -> Self {
        let speaks = Speaks::ALL[rng.usize(..4)];
        let per_cent = [0, 10, 25, 50][rng.usize(..4)];
        let mut script = BTreeMap::new();
        for nth in 0..30 {
            if rng.u32(..100) < per_cent {
                script.insert(nth, Fault::draw(rng));
            }
        }
        if climate == Climate::Late {
            // The first request of all is a charge or prepares one.
            script.insert(rng.usize(..2), Fault::LateCapture(Duration::from_millis(rng.u64(8_000..400_000))));
        }
        let mut outages = Vec::new();
        if rng.u32(..4) == 0 {
            let from = Duration::from_millis(rng.u64(..20_000));
            let fault = loop {
                match Fault::draw(rng) {
                    // For every request alike these would be no outage but another provider.
                    Fault::Spoilt(_) | Fault::Shrugs => {}
                    fault => break fault,
                }
            };
            outages.push((from, from + Duration::from_millis(rng.u64(1_000..60_000)), fault));
        }
        let lookup_lag = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1_500)][rng.usize(..3)];
        let webhooks = [Webhooks::None, Webhooks::Proper, Webhooks::Messy][rng.usize(..3)];
        // Only where requests come later than promised does it matter; there nothing else can help.
        let remembers_voids = climate != Climate::Late;
        Self { speaks, lookup_lag, remembers_voids, script, outages, webhooks }
    }
}

impl Errand {
    /// One that pays at once, and no more.
    pub(super) const PAYS: Self = Self {
        at: Duration::ZERO,
        amount: 1_000,
        capture: true,
        declined: false,
        twins: 1,
        hangs_up: None,
        ending: Ending::Confirmed,
        refunds: Vec::new(),
    };

    fn draw(rng: &mut fastrand::Rng) -> Self {
        let amount = rng.u64(100..100_000);
        let refunds = match rng.u32(..6) {
            0 => vec![None],
            1 => vec![Some(amount / 3), Some(amount / 3)],
            2 => vec![Some(amount / 2), None],
            _ => Vec::new(),
        };
        Self {
            at: Duration::from_millis(rng.u64(..8_000)),
            amount,
            capture: rng.u32(..3) > 0,
            declined: rng.u32(..8) == 0,
            twins: if rng.u32(..4) == 0 { rng.u32(2..5) } else { 1 },
            hangs_up: (rng.u32(..4) == 0).then(|| Duration::from_millis(rng.u64(1..3_000))),
            ending: [Ending::Confirmed, Ending::Confirmed, Ending::Confirmed, Ending::Cancelled, Ending::Forgotten]
                [rng.usize(..5)],
            refunds,
        }
    }
}

impl Crash {
    fn draw(gateways: usize, rng: &mut fastrand::Rng) -> Self {
        Self {
            gateway: rng.usize(..gateways),
            write: rng.u64(1..14),
            side: if rng.bool() { Side::Before } else { Side::After },
            down_for: Duration::from_millis(rng.u64(..20_000)),
        }
    }
}
