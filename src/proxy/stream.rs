//! What the data plane asks of a connection, plain or inside TLS, besides reading and writing.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

pub(crate) use crate::client::Stream;

thread_local! {
    /// What a core reads into, so that a connection that waits for bytes needs no memory for them.
    static READ_SPACE: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 << 10].into_boxed_slice());
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Reads more bytes behind those in `buffer`; 0 at the end of input.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        READ_SPACE.with_borrow_mut(|space| {
            let mut space = ReadBuf::new(space);
            ready!(Pin::new(self).poll_read(cx, &mut space))?;
            buffer.extend_from_slice(space.filled());
            Poll::Ready(Ok(space.filled().len()))
        })
    }

    /// An idle connection is still open and has nothing to say. Costs no system call while nothing happened.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        Pin::new(self).poll_read(&mut cx, &mut buffer).is_pending()
    }

    /// What a client that only waits has done meanwhile. Must not be called while somebody else reads.
    pub(crate) fn poll_peer(&self, cx: &mut Context<'_>) -> Poll<PeerState> {
        let mut byte = [0u8; 1];
        match self.tcp().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(PeerState::HalfClosed),
            Poll::Ready(Ok(_)) => Poll::Ready(PeerState::Sending),
            Poll::Ready(Err(_)) => Poll::Ready(PeerState::Gone),
        }
    }

    /// An error waits on the socket: the peer reset the connection.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.tcp().take_error(), Ok(None))
    }
}

/// What a waiting peer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerState {
    /// It sends no more but may still read: it is answered.
    HalfClosed,
    /// It has sent more already.
    Sending,
    /// It reset the connection: nobody is there to be answered.
    Gone,
}
