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

    /// Frees, when called, the memory that a connection without traffic does not need.
    pub(super) fn memory_release(&self) -> impl Fn() + use<S> {
        let shared = Rc::clone(&self.shared);
        move || {
            let mut shared = shared.borrow_mut();
            if shared.gathered.is_empty() {
                shared.gathered = Vec::new();
            }
        }
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

    /// Adds bytes behind those that wait, in their room if enough of them have left: a client that is
    /// always a little behind would let them grow without end.
    fn gather(&mut self, bytes: &[u8]) {
        if self.written >= FULL {
            self.gathered.drain(..self.written);
            self.written = 0;
        }
        self.gathered.extend_from_slice(bytes);
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
        shared.gather(bytes);
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
        let mut taken = 0;
        for slice in slices {
            shared.gather(slice);
            taken += slice.len();
        }
        shared.wake_writer();
        Poll::Ready(Ok(taken))
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// A socket that takes as many bytes as it has room for, and counts how often it was asked to.
    #[derive(Debug, Default)]
    struct Socket {
        taken: Vec<u8>,
        room: usize,
        writes: usize,
        writer: Option<Waker>,
    }

    #[derive(Debug, Clone, Default)]
    struct Handle(Rc<RefCell<Socket>>);

    impl Handle {
        fn with_room(room: usize) -> Self {
            let handle = Self::default();
            handle.0.borrow_mut().room = room;
            handle
        }

        fn give_room(&self, room: usize) {
            let mut socket = self.0.borrow_mut();
            socket.room += room;
            if let Some(writer) = socket.writer.take() {
                writer.wake();
            }
        }
    }

    impl AsyncRead for Handle {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Handle {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let mut socket = self.0.borrow_mut();
            if socket.room == 0 {
                socket.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let taken = bytes.len().min(socket.room);
            socket.taken.extend_from_slice(&bytes[..taken]);
            socket.room -= taken;
            socket.writes += 1;
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn on_a_core(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn writes_of_one_turn_leave_at_once() {
        on_a_core(async {
            let socket = Handle::with_room(usize::MAX);
            let mut connection = Coalesced::new(socket.clone());
            for word in ["one", "two", "three"] {
                connection.write_all(word.as_bytes()).await.expect("room");
            }
            assert_eq!(socket.0.borrow().writes, 0, "the turn is not over");
            tokio::task::yield_now().await;
            assert_eq!((socket.0.borrow().taken.as_slice(), socket.0.borrow().writes), (&b"onetwothree"[..], 1));
        });
    }

    #[test]
    fn connection_waits_while_the_socket_is_full() {
        on_a_core(async {
            let socket = Handle::default();
            let mut connection = Coalesced::new(socket.clone());
            connection.write_all(&vec![b'x'; FULL + 1]).await.expect("room");
            let mut further = std::pin::pin!(connection.write_all(b"y"));
            for _ in 0..3 {
                tokio::task::yield_now().await;
                let waits = std::future::poll_fn(|cx| Poll::Ready(further.as_mut().poll(cx).is_pending())).await;
                assert!(waits, "more than is allowed would be gathered");
            }
            socket.give_room(usize::MAX);
            further.await.expect("room again");
        });
    }

    /// A download to a client that was always a little behind once stayed in memory as a whole.
    #[test]
    fn socket_that_never_catches_up_does_not_let_the_memory_grow() {
        on_a_core(async {
            const PIECE: usize = 16 << 10;
            let socket = Handle::default();
            let mut connection = Coalesced::new(socket.clone());
            for number in 0_u8..=255 {
                connection.write_all(&[number; PIECE]).await.expect("room");
                socket.give_room(if number == 0 { PIECE / 2 } else { PIECE });
                tokio::task::yield_now().await;
                assert!(connection.shared.borrow().gathered.capacity() <= 4 * FULL);
            }
            drop(connection);
            socket.give_room(PIECE);
            let taken = &socket.0.borrow().taken;
            assert!((0_u8..255).all(|number| taken[usize::from(number) * PIECE..][..PIECE] == [number; PIECE]));
        });
    }

    #[test]
    fn last_words_leave_and_the_writer_ends() {
        on_a_core(async {
            let socket = Handle::with_room(usize::MAX);
            let mut connection = Coalesced::new(socket.clone());
            connection.write_all(b"goodbye").await.expect("room");
            drop(connection);
            assert_eq!(socket.0.borrow().taken, b"goodbye");
            tokio::task::yield_now().await;
            assert_eq!(Rc::strong_count(&socket.0), 1, "nobody holds the socket any more");
        });
    }
}
