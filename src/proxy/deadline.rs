//! A deadline that is cheap to move.
//!
//! A connection sets one for every request and almost none is ever reached. Moving it later does not
//! touch the timer that is already running: when that one fires too early, the rest is waited for.
//! A deadline that outlives its request (with its connection) therefore starts a timer every few
//! seconds, not for each request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// A moment after which something is over.
#[derive(Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    running: Option<(Instant, Sleep)>,
}

impl std::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.at.fmt(f)
    }
}

impl Deadline {
    pub(crate) fn after(span: Duration) -> Self {
        let mut deadline = Self::default();
        deadline.set(span);
        deadline
    }

    pub(crate) fn set(&mut self, span: Duration) {
        self.at = Some(Instant::now() + span);
    }

    pub(crate) fn set_at(&mut self, at: Instant) {
        self.at = Some(at);
    }

    pub(crate) fn clear(&mut self) {
        self.at = None;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// So long, but not beyond this moment.
    pub(crate) fn limit(&self, span: Duration) -> Duration {
        self.at.map_or(span, |at| span.min(at.saturating_duration_since(Instant::now())))
    }

    /// Time spent elsewhere does not count.
    pub(crate) fn extend(&mut self, span: Duration) {
        self.at = self.at.map(|at| at + span);
    }

    /// This one is over before the other.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.at.is_some_and(|at| other.at.is_none_or(|other| at < other))
    }

    /// Ready once the moment has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        loop {
            if self.running.as_ref().is_none_or(|(end, _)| *end > at) {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Poll::Ready(());
                }
                self.running = Some((at, Box::pin(pingora_timeout::sleep(left))));
            }
            let Some((_, sleep)) = &mut self.running else { return Poll::Pending };
            std::task::ready!(sleep.as_mut().poll(cx));
            self.running = None;
        }
    }
}
