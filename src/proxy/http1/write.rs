//! Writes heads and chunks as HTTP/1.1 bytes.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

use crate::proxy::message::{BodyLength, RequestHead, ResponseHead};
use crate::types::fields::{Fields, Known};

/// Writes a request's head for a backend. `fields` hold only what is to be forwarded.
pub(crate) fn request_head(out: &mut Vec<u8>, head: &RequestHead) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    head.fields.write_lines(out);
    if head.body == BodyLength::Unknown {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if head.upgrade {
        out.extend_from_slice(b"connection: Upgrade\r\n");
    } else if head.takes_trailers {
        out.extend_from_slice(b"te: trailers\r\nconnection: TE\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// How a response's body is delimited towards a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delimiter {
    /// By its length, or there is none.
    Length,
    /// Chunked.
    Chunked,
    /// By the connection's end.
    Close,
}

/// Writes a status line.
pub(crate) fn status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |place: u16| b'0' + u8::try_from(status / place % 10).unwrap_or(0);
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    let reason = if reason.is_empty() { canonical_reason(status) } else { reason };
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn canonical_reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// Writes a final response's head for a client.
pub(crate) fn response_head(out: &mut Vec<u8>, head: &ResponseHead, delimiter: Delimiter, connection: Option<&str>) {
    status_line(out, head.status, &head.reason);
    head.fields.write_lines(out);
    if delimiter == Delimiter::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if let Some(connection) = connection {
        out.extend_from_slice(b"connection: ");
        out.extend_from_slice(connection.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a chunk's size line.
pub(crate) fn chunk_size(out: &mut Vec<u8>, length: usize) {
    let mut digits = [0u8; 18];
    let mut at = 16;
    digits[16..].copy_from_slice(b"\r\n");
    let mut rest = length;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the last chunk and the trailers.
pub(crate) fn last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write_lines(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Bytes on their way to a socket: a gathered part and, behind it, one large piece that is not copied.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    gathered: Vec<u8>,
    written: usize,
    large: Bytes,
    tail: &'static [u8],
}

/// A piece up to this size is copied behind the gathered bytes; a larger one is sent from where it is.
const COPIED: usize = 4 << 10;

impl WriteQueue {
    /// The gathered part; only to be extended while no large piece waits behind it.
    pub(crate) fn gather(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.large.is_empty(), "a large piece waits behind the gathered bytes");
        &mut self.gathered
    }

    /// Adds body bytes, framed as a chunk if asked.
    pub(crate) fn push(&mut self, data: Bytes, chunked: bool) {
        if chunked {
            chunk_size(&mut self.gathered, data.len());
        }
        if data.len() <= COPIED {
            self.gathered.extend_from_slice(&data);
            if chunked {
                self.gathered.extend_from_slice(b"\r\n");
            }
        } else {
            self.large = data;
            self.tail = if chunked { b"\r\n" } else { b"" };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.gathered.len() && self.large.is_empty() && self.tail.is_empty()
    }

    /// No further piece may be added before a flush.
    pub(crate) fn is_full(&self) -> bool {
        !self.large.is_empty() || !self.tail.is_empty() || self.gathered.len() - self.written >= 32 << 10
    }

    /// Frees the memory of an empty queue.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.gathered = Vec::new();
            self.written = 0;
        }
    }

    /// Writes until everything is with the kernel; adds to `progress` the bytes that were taken.
    pub(crate) fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        mut to: W,
        cx: &mut Context<'_>,
        progress: &mut u64,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let gathered = &self.gathered[self.written..];
            let pin = Pin::new(&mut to);
            let taken = if self.large.is_empty() && self.tail.is_empty() {
                ready!(pin.poll_write(cx, gathered))?
            } else {
                let slices = [IoSlice::new(gathered), IoSlice::new(&self.large), IoSlice::new(self.tail)];
                ready!(pin.poll_write_vectored(cx, &slices))?
            };
            if taken == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            *progress += taken as u64;
            self.consume(taken);
        }
        self.gathered.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn consume(&mut self, taken: usize) {
        let gathered = taken.min(self.gathered.len() - self.written);
        self.written += gathered;
        let large = (taken - gathered).min(self.large.len());
        self.large.advance(large);
        self.tail = &self.tail[taken - gathered - large..];
    }
}

/// Sets the `Content-Length` of a body of known length.
pub(crate) fn set_content_length(fields: &mut Fields, length: u64) {
    fields.set(Known::ContentLength, "content-length", length.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes at most three bytes at a time.
    struct Slow(Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn large_pieces_keep_their_place_behind_the_gathered_bytes() {
        let mut queue = WriteQueue::default();
        queue.gather().extend_from_slice(b"head");
        queue.push(Bytes::from(vec![b'x'; COPIED + 1]), true);
        assert!(queue.is_full());
        let mut sink = Slow(Vec::new());
        let mut progress = 0;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(queue.poll_flush(&mut sink, &mut cx, &mut progress), Poll::Ready(Ok(()))));
        let expected = [b"head1001\r\n".to_vec(), vec![b'x'; COPIED + 1], b"\r\n".to_vec()].concat();
        assert_eq!(sink.0, expected);
        assert_eq!(progress, expected.len() as u64);
        assert!(queue.is_empty() && !queue.is_full());
    }

    #[test]
    fn chunk_sizes_are_plain_hexadecimal() {
        for (length, text) in [(1, "1\r\n"), (255, "ff\r\n"), (65_536, "10000\r\n")] {
            let mut out = Vec::new();
            chunk_size(&mut out, length);
            assert_eq!(out, text.as_bytes());
        }
    }
}
