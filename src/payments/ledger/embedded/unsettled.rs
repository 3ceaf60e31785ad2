//! Which commits are in the log already, for everybody to read, and not known to be durable yet.
//!
//! Nothing is told of them before that: a power failure could take it back. Another process that shares the file does
//! not know of them; for the millisecond that a sync takes, it may read what is not durable.

use tokio::sync::watch;

/// The numbers of commits under way, and the latest number.
#[derive(Debug, Default)]
struct Commits {
    latest: u64,
    open: Vec<u64>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Unsettled(watch::Sender<Commits>);

impl Unsettled {
    /// To be called before anybody can read the commit, which is settled when what this returns is dropped.
    pub(super) fn begin(&self) -> Commit<'_> {
        let mut number = 0;
        self.0.send_if_modified(|commits| {
            commits.latest += 1;
            number = commits.latest;
            commits.open.push(number);
            false
        });
        Commit { of: self, number }
    }

    /// Ready once everything that can be read now is durable, or has failed to become so.
    pub(super) async fn settled(&self) {
        let mut commits = self.0.subscribe();
        let latest = commits.borrow().latest;
        let settled = commits.wait_for(|commits| commits.open.iter().all(|open| *open > latest)).await;
        settled.expect("the sender is borrowed");
    }
}

/// A commit that is not settled.
pub(super) struct Commit<'a> {
    of: &'a Unsettled,
    number: u64,
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        self.of.0.send_modify(|commits| commits.open.retain(|open| *open != self.number));
    }
}
