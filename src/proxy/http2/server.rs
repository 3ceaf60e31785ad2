//! Serves a client's HTTP/2 connection: accepts its streams, each a task of its own.

use std::future::Future as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::server::Builder;

use super::coalesce::Coalesced;
use super::patience::{Due, Patience};
use super::stream;
use super::unfinished::Followed;
use crate::proxy::core::Core;
use crate::proxy::stream::Stream;
use crate::proxy::worker::Peer;
use crate::snapshot::Limits;

/// Streams at once on one connection.
const STREAMS: u32 = 100;
/// Receive windows of a stream and of the connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Answer bytes of one stream that may wait in the library's memory.
const SEND_BUFFER: usize = 64 << 10;
/// Memory for the bookkeeping of small DATA frames that nobody has read yet, some 256 bytes each: four
/// streams of 16-byte messages fill their windows within it. The library's own bound, half of the
/// connection's window, broke off clients that sent a burst of small gRPC messages.
const SMALL_FRAMES: usize = 4 << 20;

/// Serves the connection to its end; `first` was read from it already.
pub(crate) async fn serve(core: Rc<Core>, peer: Peer, stream: Stream, first: BytesMut) {
    let (followed, unfinished_since) = Followed::new(stream, first);
    let io = Coalesced::new(followed);
    let release_memory = io.memory_release();
    let mut patience = Patience::new(unfinished_since);
    let mut drained = pin!(core.drain.notified());
    let mut is_ending = |cx: &mut Context<'_>| core.draining.get() || drained.as_mut().poll(cx).is_ready();

    let mut greeting = pin!(builder(&core.view().snapshot.server.limits).handshake::<_, Bytes>(io));
    let greeted = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(greeted) = greeting.as_mut().poll(cx) {
                return Poll::Ready(greeted.ok());
            }
            let ending = is_ending(cx);
            match ready!(patience.poll(cx, &core, ending)) {
                Due::ReleaseMemory => {}
                Due::GoAway | Due::End => return Poll::Ready(None), // it has asked for nothing yet
            }
        }
    });
    let Some(mut connection) = greeted.await else { return };

    std::future::poll_fn(|cx| {
        loop {
            while let Poll::Ready(accepted) = connection.poll_accept(cx) {
                let Some(Ok((request, respond))) = accepted else { return Poll::Ready(()) };
                let (core, peer, under_way) = (Rc::clone(&core), peer.clone(), patience.begin_stream());
                tokio::task::spawn_local(async move {
                    stream::serve(core, peer, request, respond).await;
                    drop(under_way);
                });
            }
            let ending = is_ending(cx);
            match ready!(patience.poll(cx, &core, ending)) {
                Due::ReleaseMemory => release_memory(),
                Due::GoAway => connection.graceful_shutdown(),
                Due::End => {
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                    let _ = connection.poll_closed(cx); // says so if the socket has room; then all is dropped
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES);
    builder
}
