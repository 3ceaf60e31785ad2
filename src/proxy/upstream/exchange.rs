//! A request under way at a backend, whatever HTTP version the backend speaks.

use std::task::{Context, Poll};

use crate::proxy::body::BodyError;
use crate::proxy::deadline::Deadline;
use crate::proxy::message::ResponseHead;

/// Interim answers before a backend is taken for mad.
pub(crate) const INTERIM_LIMIT: u32 = 32;

/// A request on its way to a backend, until the answer's head.
pub(crate) trait Exchange {
    /// The next head from the backend; sends what there is to send meanwhile.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, ExchangeError>>;

    /// Bytes that left so far; tells whether an upload makes progress.
    fn sent(&self) -> u64;

    /// More of the client's body is awaited and everything that came was sent.
    fn waits_for_body(&self) -> bool;

    /// For the answer's head.
    fn response_deadline(&mut self) -> &mut Deadline;
}

/// A head from the backend.
#[derive(Debug)]
pub(crate) enum Event {
    /// 1xx: more will come.
    Interim(ResponseHead),
    /// The answer.
    Final(ResponseHead),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// Closed or reset before the first byte of an answer.
    #[error("the backend closed the connection before it answered")]
    ClosedBeforeAnswer {
        /// The request had no effect: not a byte of it had left, or the backend says so.
        unsent: bool,
    },
    /// Closed or reset within the answer's head.
    #[error("the backend closed the connection within the answer's head")]
    ClosedWithinHead,
    /// The connection is fine; the backend broke this stream of it off.
    #[error("the backend reset the stream before it answered")]
    StreamReset,
    /// Not acceptable HTTP.
    #[error("the backend's answer is not acceptable: {0}")]
    Invalid(&'static str),
    /// The client's body failed.
    #[error(transparent)]
    Client(BodyError),
}
