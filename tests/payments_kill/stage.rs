//! Counts the steps of a run and kills the gateway at one of them, before the step is allowed to happen.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What can be seen of a gateway from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request has reached the provider, which has done nothing yet.
    Asked,
    /// The provider has done what it was asked for, and is about to say so.
    Done,
    /// The provider has answered.
    Answered,
    /// The log of the embedded ledger has grown.
    Logged,
    /// A statement is about to reach the database.
    Writing,
    /// The database has done it, and is about to say so.
    Written,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Kill at the step of this kind and number, from 1.
    at: (Step, u32),
    steps: AtomicU32,
    /// The process to kill; 0 before there is one and after it was killed.
    process: AtomicI32,
    killed: Mutex<bool>,
    told: AtomicBool,
    /// Providers that are at work, and may yet come to a step.
    at_work: AtomicU32,
    ended: AtomicBool,
}

/// A provider at work, until it is dropped.
#[derive(Debug)]
pub(crate) struct AtWork<'s>(&'s Stage);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stage {
    pub(crate) fn new(kind: Step, number: u32) -> Self {
        Self {
            at: (kind, number),
            steps: AtomicU32::new(0),
            process: AtomicI32::new(0),
            killed: Mutex::default(),
            told: AtomicBool::new(false),
            at_work: AtomicU32::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// From now on steps count.
    pub(crate) fn aim(&self, process: i32) {
        self.process.store(process, Ordering::SeqCst);
    }

    /// Something is about to happen. When this returns, the gateway may be dead.
    pub(crate) fn step(&self, kind: Step) {
        let (at, number) = self.at;
        let counts = kind == at && self.process.load(Ordering::SeqCst) != 0;
        if !counts || self.steps.fetch_add(1, Ordering::SeqCst) + 1 != number {
            return;
        }
        let mut killed = self.killed();
        // None: the run has ended meanwhile.
        let Some(process) = Pid::from_raw(self.process.swap(0, Ordering::SeqCst)) else { return };
        kill_process(process, Signal::KILL).expect("it was running");
        *killed = true;
    }

    /// A provider begins to work; the run does not end before it is done.
    pub(crate) fn work(&self) -> AtWork<'_> {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        AtWork(self)
    }

    /// Whether the gateway was killed and nobody has heard of it yet.
    pub(crate) fn has_just_killed(&self) -> bool {
        *self.killed() && !self.told.swap(true, Ordering::SeqCst)
    }

    /// Ends the run: nobody is killed any more. Whether the gateway was.
    pub(crate) fn end(&self) -> bool {
        // A client may have its answer before the provider's thread comes to say that it gave one.
        let limit = Instant::now() + Duration::from_secs(30);
        while self.at_work.load(Ordering::SeqCst) > 0 && Instant::now() < limit {
            thread::sleep(Duration::from_millis(1));
        }
        let killed = self.killed();
        self.process.store(0, Ordering::SeqCst);
        self.ended.store(true, Ordering::SeqCst);
        *killed
    }

    /// The run is over: nothing need be watched any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    fn killed(&self) -> MutexGuard<'_, bool> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
