//! How many files and sockets the process may have open: as many as the system lets it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system allows and says what it is; `None` if there is none.
pub(super) fn available() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files can't be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}
