//! How long a client's connection may go without something: the rest of what the client began, a
//! request, or the end of what it was told to end.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::unfinished::UnfinishedSince;
use crate::proxy::core::Core;
use crate::proxy::deadline::Deadline;

/// A connection without a stream keeps its memory for this long.
const KEEP_MEMORY: Duration = Duration::from_secs(1);

/// What is due on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It has been quiet for a moment: it needs less memory.
    ReleaseMemory,
    /// It has been quiet for too long, or the process ends: the client is told to go.
    GoAway,
    /// The client finishes neither what it began nor the connection.
    End,
}

/// How far a quiet connection is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Lively,
    Quiet,
    Leaving,
}

/// A stream under way; its connection is not quiet.
pub(super) type UnderWay = Rc<()>;

/// The clocks of one connection.
#[derive(Debug)]
pub(super) struct Patience {
    /// Held by each stream as well.
    streams: UnderWay,
    unfinished_since: UnfinishedSince,
    /// Until what was begun must be finished.
    finish: Deadline,
    /// Runs while no stream is under way.
    quiet: Deadline,
    stage: Stage,
}

impl Patience {
    pub(super) fn new(unfinished_since: UnfinishedSince) -> Self {
        Self {
            streams: Rc::default(),
            unfinished_since,
            finish: Deadline::default(),
            quiet: Deadline::default(),
            stage: Stage::Lively,
        }
    }

    /// Counts a stream in until what is returned is dropped. The library wakes the connection's task
    /// when a stream's last handle goes.
    pub(super) fn begin_stream(&self) -> UnderWay {
        Rc::clone(&self.streams)
    }

    /// Ready when something is due; `ending`: the process is.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, core: &Core, ending: bool) -> Poll<Due> {
        let timeouts = || core.view().snapshot.server.timeouts;
        if let Some(since) = self.unfinished_since.get() {
            self.finish.set_at(since + timeouts().header);
            if self.finish.poll(cx).is_ready() {
                return Poll::Ready(Due::End);
            }
        }
        if ending && self.stage != Stage::Leaving {
            self.quiet.clear();
            self.stage = Stage::Leaving;
            return Poll::Ready(Due::GoAway);
        }
        if Rc::strong_count(&self.streams) > 1 {
            self.quiet.clear();
            if self.stage == Stage::Quiet {
                self.stage = Stage::Lively;
            }
            return Poll::Pending;
        }
        if !self.quiet.is_set() {
            self.quiet.set(match self.stage {
                Stage::Lively => timeouts().idle.min(KEEP_MEMORY),
                Stage::Quiet => timeouts().idle.saturating_sub(KEEP_MEMORY),
                Stage::Leaving => timeouts().answer,
            });
        }
        ready!(self.quiet.poll(cx));
        self.quiet.clear();
        let (stage, due) = match self.stage {
            Stage::Lively => (Stage::Quiet, Due::ReleaseMemory),
            Stage::Quiet => (Stage::Leaving, Due::GoAway),
            Stage::Leaving => (Stage::Leaving, Due::End),
        };
        self.stage = stage;
        Poll::Ready(due)
    }
}
