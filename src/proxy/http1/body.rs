//! Reads a body out of a connection's bytes as its framing says.

use bytes::BytesMut;

use super::chunked::{Chunked, Piece};
use crate::proxy::message::BodyLength;

/// Where the reading of a body stands.
#[derive(Debug, Default)]
pub(crate) enum BodyReader {
    /// Read to its end.
    #[default]
    Done,
    /// So many bytes to come.
    Exact(u64),
    /// Chunked.
    Chunked(Chunked),
    /// Until the connection closes.
    UntilClose,
}

impl BodyReader {
    pub(crate) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::None | BodyLength::Exact(0) => Self::Done,
            BodyLength::Exact(length) => Self::Exact(length),
            BodyLength::Unknown => Self::Chunked(Chunked::default()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Refuses a chunked body of more than `limit` bytes as soon as its chunks announce it.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        if let Self::Chunked(chunked) = self {
            chunked.set_limit(limit);
        }
    }

    /// Takes the next piece out of `buffer`; after [`Piece::End`] the reader is done.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Piece, &'static str> {
        let piece = match self {
            Self::Done => Piece::End(None),
            Self::Exact(_) | Self::UntilClose if buffer.is_empty() => Piece::NeedMore,
            Self::Exact(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= take as u64;
                let data = buffer.split_to(take).freeze();
                if *left == 0 {
                    *self = Self::Done;
                }
                return Ok(Piece::Data(data));
            }
            Self::UntilClose => Piece::Data(buffer.split().freeze()),
            Self::Chunked(chunked) => chunked.read(buffer)?,
        };
        if matches!(piece, Piece::End(_)) {
            *self = Self::Done;
        }
        Ok(piece)
    }

    /// The connection ended; whether the body may end there.
    pub(crate) fn end_of_input(&mut self) -> bool {
        if matches!(self, Self::UntilClose) {
            *self = Self::Done;
        }
        self.is_done()
    }
}
