//! What happened in one run, line by line, so that a failure can be read like a short story.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Lines with the virtual time at which they happened.
#[derive(Debug)]
pub(super) struct Story {
    begun: Instant,
    lines: Mutex<Vec<(Duration, String)>>,
}

impl Story {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), lines: Mutex::default() }
    }

    /// Time since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn tell(&self, line: impl Into<String>) {
        self.lines.lock().expect("no test panicked in here").push((self.elapsed(), line.into()));
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines.lock().expect("no test panicked in here").iter() {
            writeln!(f, "  {:>9.3}s  {line}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
