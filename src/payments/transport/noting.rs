//! A stream that notes whether anything was written to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::Stream;

/// Whether bytes may have left since the note was last cleared.
#[derive(Debug, Clone, Default)]
pub(super) struct SentNote(Arc<AtomicBool>);

impl SentNote {
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A connection to a provider.
pub(super) struct NotingStream {
    stream: Stream,
    note: SentNote,
}

impl NotingStream {
    pub(super) fn new(stream: Stream, note: SentNote) -> Self {
        Self { stream, note }
    }

    /// A plain socket that refuses a write has taken nothing of it. TLS may have: it buffers, and
    /// fails on a later record.
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let refused = !matches!(written, Poll::Ready(Ok(_)));
        if !(refused && matches!(self.stream, Stream::Plain(_))) {
            self.note.0.store(true, Ordering::SeqCst);
        }
        written
    }
}

impl AsyncRead for NotingStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for NotingStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.note(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
