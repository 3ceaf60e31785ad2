//! Splices two connections after an upgrade: bytes both ways, each side closed when the other is,
//! over when both are, or when neither has said anything for the idle time.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite;

use super::deadline::Deadline;
use super::http1::ClientIo;
use super::stream::Stream;

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    /// Read and not yet written: one read at most.
    held: BytesMut,
    moved: u64,
    input_ended: bool,
    done: bool,
}

impl Direction {
    /// Moves bytes until nothing more can be moved now.
    fn poll(&mut self, from: &mut Stream, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.held.is_empty() {
                let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
                if taken == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.held.advance(taken);
                self.moved += taken as u64;
            }
            if self.input_ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            if matches!(to, Stream::Tls(_)) {
                let _ = Pin::new(&mut *to).poll_flush(cx)?;
            }
            match from.poll_fill(cx, &mut self.held) {
                Poll::Ready(read) => self.input_ended = read? == 0,
                Poll::Pending => {
                    self.held = BytesMut::new(); // a silent tunnel needs no memory
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Splices until both sides have closed. Returns bytes from and to the client, and the access log's
/// word for an end that was none of theirs.
pub(crate) async fn splice(
    client: &RefCell<ClientIo>,
    upstream: &mut Stream,
    from_upstream: BytesMut,
    idle: Duration,
) -> (u64, u64, &'static str) {
    let first = std::mem::take(&mut client.borrow_mut().buffer);
    let mut up = Direction { held: first, ..Direction::default() };
    let mut down = Direction { held: from_upstream, ..Direction::default() };
    let mut quiet = Deadline::after(idle);
    let mut moved = 0;
    let ended = std::future::poll_fn(|cx| {
        let client = &mut client.borrow_mut().stream;
        if !up.done && matches!(up.poll(client, upstream, cx), Poll::Ready(Err(_))) {
            return Poll::Ready("tunnel-broken");
        }
        if !down.done && matches!(down.poll(upstream, client, cx), Poll::Ready(Err(_))) {
            return Poll::Ready("tunnel-broken");
        }
        if up.done && down.done {
            return Poll::Ready("");
        }
        if up.moved + down.moved != moved {
            moved = up.moved + down.moved;
            quiet.set(idle);
        }
        quiet.poll(cx).map(|()| "tunnel-idle")
    })
    .await;
    (up.moved, down.moved, ended)
}
