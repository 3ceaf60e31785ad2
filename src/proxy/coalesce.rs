//! Gathers what an h2 connection writes until its core has nothing else to run, and writes it at once.
//!
//! The h2 library hands every DATA frame to the socket by itself. When several streams of a
//! connection are answered in one turn of the core, that is a system call each; here it is one.
//! A task of its own does the writing, so that only one task ever waits for room in the socket.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// With this many bytes gathered, the connection waits until the socket has taken them.
const FULL: usize = 64 << 10;

/// A stream whose writes are gathered.
#[derive(Debug)]
pub(crate) struct Coalesced<S: AsyncWrite + Unpin> {
    shared: Rc<RefCell<Shared<S>>>,
}

#[derive(Debug)]
struct Shared<S> {
    stream: S,
    gathered: Vec<u8>,
    written: usize,
    failed: Option<io::ErrorKind>,
    /// The connection is gone: the writer ends.
    dropped: bool,
    /// The writing task, unless it is about to run.
    writer: Option<Waker>,
    /// The connection, while it waits for room or for the last byte to leave.
    waiting: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Coalesced<S> {
    /// Wraps a stream; must run on the core that serves it.
    pub(crate) fn new(stream: S) -> Self {
        let shared = Rc::new(RefCell::new(Shared {
            stream,
            gathered: Vec::new(),
            written: 0,
            failed: None,
            dropped: false,
            writer: None,
            waiting: None,
        }));
        let writing = Rc::clone(&shared);
        tokio::task::spawn_local(std::future::poll_fn(move |cx| writing.borrow_mut().poll_write_out(cx)));
        Self { shared }
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    /// Writes whatever is gathered; ready when the connection is gone and everything has left.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.writer = Some(cx.waker().clone()); // also while the socket is full: the end of the connection must reach it
        while self.failed.is_none() && self.written < self.gathered.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.gathered[self.written..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(taken)) if taken > 0 => self.written += taken,
                Poll::Ready(Ok(_)) => self.failed = Some(io::ErrorKind::WriteZero),
                Poll::Ready(Err(error)) => self.failed = Some(error.kind()),
            }
        }
        if self.failed.is_none() {
            // TLS may hold bytes back.
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.failed = Some(error.kind()),
            }
        }
        self.gathered.clear();
        self.written = 0;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        if self.dropped { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Ready once no more than `most` bytes are gathered.
    fn poll_room(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        if let Some(failed) = self.failed {
            return Poll::Ready(Err(failed.into()));
        }
        if self.gathered.len() - self.written <= most {
            return Poll::Ready(Ok(()));
        }
        self.waiting = Some(cx.waker().clone());
        self.wake_writer();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.shared.borrow_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut shared = self.shared.borrow_mut();
        ready!(shared.poll_room(cx, FULL))?;
        shared.gathered.extend_from_slice(bytes);
        shared.wake_writer();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.shared.borrow_mut();
        ready!(shared.poll_room(cx, FULL))?;
        let before = shared.gathered.len();
        for slice in slices {
            shared.gathered.extend_from_slice(slice);
        }
        shared.wake_writer();
        Poll::Ready(Ok(shared.gathered.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing to wait for: the writer flushes when its turn comes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.shared.borrow().failed {
            None => Poll::Ready(Ok(())),
            Some(failed) => Poll::Ready(Err(failed.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.shared.borrow_mut();
        ready!(shared.poll_room(cx, 0))?;
        Pin::new(&mut shared.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> Drop for Coalesced<S> {
    fn drop(&mut self) {
        // Last words (GOAWAY) leave if the socket takes them at once; nobody waits for a client that does not read.
        let mut shared = self.shared.borrow_mut();
        let mut cx = Context::from_waker(Waker::noop());
        if shared.written < shared.gathered.len() {
            let Shared { stream, gathered, written, .. } = &mut *shared;
            let _ = Pin::new(stream).poll_write(&mut cx, &gathered[*written..]);
        }
        shared.failed = Some(io::ErrorKind::NotConnected);
        shared.dropped = true;
        shared.wake_writer();
    }
}
