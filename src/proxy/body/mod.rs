//! Bodies on their way through: from a client to a backend, and back.

mod request;
mod response;

pub(crate) use request::RequestBody;
pub(crate) use response::ResponseBody;

use crate::problem::Code;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client closed or reset the connection, or the stream.
    #[error("the client is gone")]
    ClientGone,
    /// No byte of an announced body for too long.
    #[error("the client stopped sending the body")]
    ClientStalled,
    /// Framing that is not acceptable.
    #[error("the client's body is malformed: {0}")]
    ClientMalformed(&'static str),
    /// Over the limit.
    #[error("the client's body is too large")]
    TooLarge,
    /// The backend closed or reset the connection within the body.
    #[error("the backend closed the connection within the answer")]
    UpstreamClosed,
    /// The backend's framing is not acceptable.
    #[error("the backend's body is malformed: {0}")]
    UpstreamMalformed(&'static str),
    /// The backend stopped sending.
    #[error("the backend stopped sending the answer")]
    UpstreamStalled,
}

impl BodyError {
    /// What the client is told if it can still be told, for failures that are its own.
    pub(crate) fn client_code(self) -> Option<Code> {
        match self {
            Self::ClientStalled => Some(Code::RequestTimeout),
            Self::ClientMalformed(_) => Some(Code::MalformedRequest),
            Self::TooLarge => Some(Code::BodyTooLarge),
            _ => None,
        }
    }

    /// The word for the access log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClientGone => "client-gone",
            Self::ClientStalled => "client-stalled",
            Self::ClientMalformed(_) => "client-malformed",
            Self::TooLarge => "body-too-large",
            Self::UpstreamClosed => "upstream-closed",
            Self::UpstreamMalformed(_) => "upstream-malformed",
            Self::UpstreamStalled => "upstream-stalled",
        }
    }
}
