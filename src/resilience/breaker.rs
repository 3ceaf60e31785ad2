//! A circuit breaker: `closed` passes, `open` refuses, `half-open` probes.
//!
//! It looks at calls that are still under way as well as at finished ones: behind a partner that
//! swallows requests, the first failure is only known after the whole timeout, and by then many
//! more calls are lost. A call counts as failed as soon as it is *overdue*: out for much longer than
//! the partner's usual latency.
//!
//! Pure: time comes in as a span since any fixed moment, and must not go back. What a failure is
//! decides the caller. Deliberately not here: timers (every question brings the time), locks, names.

use std::collections::VecDeque;
use std::time::Duration;

/// When a breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Latest outcomes that count, overdue calls included (20).
    pub samples: usize,
    /// Fewest outcomes to judge by (5).
    pub min_samples: usize,
    /// How long an outcome counts (60 s).
    pub window: Duration,
    /// Share of failures, in percent, at which it opens (50).
    pub failure_percent: usize,
    /// No call is overdue before this, however quick the partner usually is (1 s).
    pub overdue_at_least: Duration,
    /// When a call is overdue as long as no latency is known (1.5 s).
    pub overdue_unknown: Duration,
    /// Every call is overdue after this, however slow the partner usually is (the call's timeout).
    pub overdue_at_most: Duration,
    /// How long it stays open at first (5 s); doubles each time that a probe fails.
    pub open_first: Duration,
    /// Longest time that it stays open (60 s).
    pub open_most: Duration,
    /// While half-open, one call in so many is a probe (10) …
    pub probe_every: u32,
    /// … or, where calls are rare, one after this time (5 s).
    pub probe_interval: Duration,
    /// Probes in a row that must succeed to close it (3).
    pub probes_to_close: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            samples: 20,
            min_samples: 5,
            window: Duration::from_secs(60),
            failure_percent: 50,
            overdue_at_least: Duration::from_secs(1),
            overdue_unknown: Duration::from_millis(1500),
            overdue_at_most: Duration::from_secs(5),
            open_first: Duration::from_secs(5),
            open_most: Duration::from_secs(60),
            probe_every: 10,
            probe_interval: Duration::from_secs(5),
            probes_to_close: 3,
        }
    }
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Passes.
    Closed,
    /// Refuses.
    Open,
    /// Probes.
    HalfOpen,
}

impl BreakerState {
    /// As logs and metrics write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// How much the caller needs this partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// There are others: half-open admits its small share only.
    Usual,
    /// There is no other: half-open admits whenever no probe is out.
    LastResort,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Well, or badly through no fault of the partner.
    Good,
    /// Badly, and the partner is to blame.
    Failed,
    /// In a way that says nothing about the partner, such as being full.
    Neutral,
}

/// An admitted call; handed back to [`Breaker::begin`] and [`Breaker::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// A call was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When to ask again.
    pub retry_after: Duration,
}

/// The breaker of one partner.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    phase: Phase,
    /// Outcomes while closed: when, and whether it failed.
    outcomes: VecDeque<(Duration, bool)>,
    /// Admitted calls; those that began stand in the order in which they did.
    calls: VecDeque<Call>,
    latency: Latency,
    next_ticket: u64,
    /// Probes that failed since it was last closed: decides how long it stays open.
    openings: u32,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    ticket: u64,
    /// When it began; `None` while the caller still prepares it.
    since: Option<Duration>,
    /// It was judged before it ended, so that its end counts no more.
    judged: bool,
    probe: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open { until: Duration },
    HalfOpen { good: u32, asked: u32, last_probe: Option<Duration> },
}

impl Breaker {
    /// A closed breaker that knows nothing yet.
    #[must_use]
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            phase: Phase::Closed,
            outcomes: VecDeque::new(),
            calls: VecDeque::new(),
            latency: Latency::default(),
            next_ticket: 0,
            openings: 0,
        }
    }

    /// Other rules from now on; what was seen so far stays.
    pub fn set_rules(&mut self, rules: BreakerRules) {
        self.rules = rules;
    }

    /// What it does now.
    pub fn state(&mut self, now: Duration) -> BreakerState {
        self.step(now);
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Asks to make a call now.
    ///
    /// # Errors
    /// [`Refused`] says when to ask again.
    pub fn admit(&mut self, now: Duration, need: Need) -> Result<Ticket, Refused> {
        self.step(now);
        let probe = match &mut self.phase {
            Phase::Closed => false,
            Phase::Open { until } => return Err(Refused { retry_after: until.saturating_sub(now) }),
            Phase::HalfOpen { asked, last_probe, .. } => {
                let out = self.calls.iter().any(|call| call.probe);
                *asked += 1;
                let due = last_probe.is_none_or(|last| {
                    *asked >= self.rules.probe_every || now.saturating_sub(last) >= self.rules.probe_interval
                });
                if out || !(due || need == Need::LastResort) {
                    return Err(Refused { retry_after: Duration::from_secs(1) });
                }
                (*asked, *last_probe) = (0, Some(now));
                true
            }
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.calls.push_back(Call { ticket, since: None, judged: false, probe });
        Ok(Ticket(ticket))
    }

    /// Takes notice that an admitted call begins now: its latency counts from here, so that what the
    /// caller does before it (a durable write) is not held against the partner.
    pub fn begin(&mut self, now: Duration, ticket: Ticket) {
        if let Some(mut call) = self.take(ticket) {
            call.since = Some(now);
            self.calls.push_back(call);
        }
    }

    /// Takes notice that a call ended.
    pub fn end(&mut self, now: Duration, ticket: Ticket, ended: Ended) {
        self.step(now);
        let Some(call) = self.take(ticket) else { return };
        if let (Ended::Good, Some(since)) = (ended, call.since) {
            self.latency.learn(now.saturating_sub(since));
        }
        if call.judged || ended == Ended::Neutral {
            return;
        }
        self.judge(now, call.probe, ended == Ended::Failed);
    }

    /// Takes an admission back: the call was never made.
    pub fn withdraw(&mut self, ticket: Ticket) {
        let withdrawn = self.take(ticket);
        if let (Some(Call { probe: true, .. }), Phase::HalfOpen { last_probe, .. }) = (withdrawn, &mut self.phase) {
            *last_probe = None;
        }
    }

    /// How long a call may be out before it counts as failed.
    #[must_use]
    pub fn overdue_after(&self) -> Duration {
        let usual = self.latency.generous().unwrap_or(self.rules.overdue_unknown);
        usual.max(self.rules.overdue_at_least).min(self.rules.overdue_at_most)
    }

    fn take(&mut self, ticket: Ticket) -> Option<Call> {
        let place = self.calls.iter().position(|call| call.ticket == ticket.0)?;
        self.calls.remove(place)
    }

    /// Lets time pass: finds overdue calls, ends the open time.
    fn step(&mut self, now: Duration) {
        let limit = self.overdue_after();
        let mut overdue = Vec::new();
        for call in &mut self.calls {
            let Some(since) = call.since else { continue };
            if now.saturating_sub(since) < limit {
                break;
            }
            if !call.judged {
                call.judged = true;
                overdue.push(call.probe);
            }
        }
        for probe in overdue {
            self.judge(now, probe, true);
        }
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.phase = Phase::HalfOpen { good: 0, asked: 0, last_probe: None };
        }
    }

    fn judge(&mut self, now: Duration, probe: bool, failed: bool) {
        match &mut self.phase {
            Phase::Closed => {
                self.outcomes.push_back((now, failed));
                if self.outcomes.len() > self.rules.samples {
                    self.outcomes.pop_front();
                }
                let oldest = now.saturating_sub(self.rules.window);
                self.outcomes.retain(|(when, _)| *when >= oldest);
                let failures = self.outcomes.iter().filter(|(_, failed)| *failed).count();
                let enough = self.outcomes.len() >= self.rules.min_samples;
                if enough && failures * 100 >= self.outcomes.len() * self.rules.failure_percent {
                    self.open(now);
                }
            }
            // Calls from before it opened say nothing new.
            Phase::HalfOpen { .. } | Phase::Open { .. } if !probe => {}
            Phase::Open { .. } => {}
            Phase::HalfOpen { .. } if failed => self.open(now),
            Phase::HalfOpen { good, .. } => {
                *good += 1;
                if *good >= self.rules.probes_to_close {
                    self.phase = Phase::Closed;
                    self.openings = 0;
                    self.outcomes.clear();
                }
            }
        }
    }

    fn open(&mut self, now: Duration) {
        let doubled = 1_u32.checked_shl(self.openings).and_then(|factor| self.rules.open_first.checked_mul(factor));
        let span = doubled.unwrap_or(self.rules.open_most).min(self.rules.open_most);
        self.openings = self.openings.saturating_add(1);
        self.phase = Phase::Open { until: now + span };
        // A call that was admitted before says nothing about what happens after.
        for call in &mut self.calls {
            call.judged = true;
            call.probe = false;
        }
        self.outcomes.clear();
    }
}

/// The usual latency, estimated as TCP does it (RFC 6298, section 2): mean and mean deviation.
#[derive(Debug, Default)]
struct Latency {
    mean: Option<Duration>,
    deviation: Duration,
}

impl Latency {
    fn learn(&mut self, took: Duration) {
        match self.mean {
            None => {
                self.mean = Some(took);
                self.deviation = took / 2;
            }
            Some(mean) => {
                self.deviation = (self.deviation * 3 + mean.abs_diff(took)) / 4;
                self.mean = Some((mean * 7 + took) / 8);
            }
        }
    }

    /// A span that nearly all good calls keep to.
    fn generous(&self) -> Option<Duration> {
        self.mean.map(|mean| mean + self.deviation * 4)
    }
}

#[cfg(test)]
mod tests;
