//! Reads a body out of a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, HeaderName};
use http_body::Frame;

use super::Gone;
use crate::proxy::message::may_be_trailer;
use crate::types::fields::Known;

/// The next piece of the body, its trailers, or its end. A stream that is reset before its end is
/// broken, whatever the reason: half a body must not pass for a whole one.
pub(crate) fn poll_frame(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
    match ready!(stream.poll_data(cx)) {
        Some(Ok(data)) => {
            // Whoever asks for a piece passes it on before asking for the next: that is the back pressure.
            give_room(stream, data.len());
            Poll::Ready(Some(Ok(Frame::data(data))))
        }
        Some(Err(_)) => Poll::Ready(Some(Err(Gone))),
        None => match ready!(stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(without_misplaced(trailers))))),
            Err(_) => Poll::Ready(Some(Err(Gone))),
        },
    }
}

/// Drops what a trailer must not say: on HTTP/1, somebody might take it for what frames the message.
fn without_misplaced(trailers: HeaderMap) -> HeaderMap {
    let stays = |name: &HeaderName| may_be_trailer(Known::classify(name.as_str().as_bytes()));
    if trailers.keys().all(stays) {
        return trailers;
    }
    let all = trailers.iter().filter(|(name, _)| stays(name));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Lets the peer send so many bytes more.
pub(crate) fn give_room(stream: &mut RecvStream, bytes: usize) {
    // It fails for more than was received only.
    let _ = stream.flow_control().release_capacity(bytes);
}
