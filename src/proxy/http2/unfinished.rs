//! Notices a client that leaves a header section, or its greeting, unfinished.
//!
//! The `h2` library tells of a request when its head is whole. Of one that began and does not end, or
//! of a preface that no SETTINGS follow, it says nothing, and such a connection would be held for as
//! long as another stream of it is under way. So the frames are followed on their way in, by their
//! nine bytes of header only. Nothing is judged here: a wrong frame is the library's business.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::stream::Stream;

/// Length of what an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Length of a frame's header.
const HEADER: usize = 9;
/// Frames that carry a part of a header section.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// The flag of the frame that ends a header section.
const END_HEADERS: u8 = 4;

/// Where the bytes that came so far end.
#[derive(Debug)]
enum Place {
    /// In the preface, so many bytes before its end.
    Preface(usize),
    /// In a frame's header, of which so many bytes are here.
    Header([u8; HEADER], usize),
    /// In a frame's payload, so many bytes before its end.
    Payload(usize),
}

/// Follows a client's frames.
#[derive(Debug)]
struct Frames {
    place: Place,
    /// Something has begun that must end soon: the greeting (preface and first frame), or a header section.
    unfinished: bool,
    /// It ends with the frame that is under way.
    ends_with_frame: bool,
}

impl Frames {
    fn new() -> Self {
        Self { place: Place::Preface(PREFACE), unfinished: false, ends_with_frame: false }
    }

    /// Follows further bytes; says whether what is unfinished after them began within them.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        let mut began = false;
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Preface(left) => {
                    began |= !self.unfinished;
                    self.unfinished = true;
                    if skip(&mut bytes, left) {
                        self.place = Place::Header([0; HEADER], 0);
                        self.ends_with_frame = true;
                    }
                }
                Place::Header(header, filled) => {
                    let taken = bytes.len().min(HEADER - *filled);
                    header[*filled..*filled + taken].copy_from_slice(&bytes[..taken]);
                    *filled += taken;
                    bytes = &bytes[taken..];
                    if *filled == HEADER {
                        let [high, middle, low, kind, flags, ..] = *header;
                        if matches!(kind, HEADERS | CONTINUATION) {
                            began |= !self.unfinished;
                            self.unfinished = true;
                            self.ends_with_frame |= flags & END_HEADERS != 0;
                        }
                        self.enter_payload(u32::from_be_bytes([0, high, middle, low]) as usize);
                    }
                }
                Place::Payload(left) => {
                    if skip(&mut bytes, left) {
                        self.enter_payload(0);
                    }
                }
            }
        }
        began && self.unfinished
    }

    fn enter_payload(&mut self, length: usize) {
        if length > 0 {
            self.place = Place::Payload(length);
            return;
        }
        self.place = Place::Header([0; HEADER], 0);
        if std::mem::take(&mut self.ends_with_frame) {
            self.unfinished = false;
        }
    }
}

/// Skips up to `left` bytes; says whether none of them is left.
fn skip(bytes: &mut &[u8], left: &mut usize) -> bool {
    let skipped = bytes.len().min(*left);
    *bytes = &bytes[skipped..];
    *left -= skipped;
    *left == 0
}

/// Since when a client owes the rest of what it has begun.
pub(super) type UnfinishedSince = Rc<Cell<Option<Instant>>>;

/// A client's connection whose frames are followed, from those on that were read before it was known to speak HTTP/2.
#[derive(Debug)]
pub(super) struct Followed {
    stream: Stream,
    first: BytesMut,
    frames: Frames,
    since: UnfinishedSince,
}

impl Followed {
    pub(super) fn new(stream: Stream, first: BytesMut) -> (Self, UnfinishedSince) {
        let since = UnfinishedSince::default();
        (Self { stream, first, frames: Frames::new(), since: Rc::clone(&since) }, since)
    }
}

impl AsyncRead for Followed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.first.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let taken = this.first.len().min(buf.remaining());
            buf.put_slice(&this.first.split_to(taken));
            if this.first.is_empty() {
                this.first = BytesMut::new(); // its memory is of no use any more
            }
        }
        if this.frames.follow(&buf.filled()[before..]) {
            this.since.set(Some(Instant::now()));
        } else if !this.frames.unfinished {
            this.since.set(None);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Followed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::property;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let length_bytes = u32::try_from(length).expect("a short frame").to_be_bytes();
        let mut frame = length_bytes[1..].to_vec();
        frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        frame.resize(HEADER + length, 0xff);
        frame
    }

    fn greeted() -> Frames {
        let mut frames = Frames::new();
        frames.follow(&[0; PREFACE]);
        frames.follow(&frame(4, 0, 6));
        frames
    }

    #[test]
    fn greeting_lasts_until_the_first_frame_ends() {
        let mut frames = Frames::new();
        assert!(!frames.unfinished, "nothing has begun");
        assert!(frames.follow(b"PRI"), "it began here");
        assert!(!frames.follow(&[0; PREFACE - 3]), "it began before");
        let settings = frame(4, 0, 6);
        assert!(!frames.follow(&settings[..10]));
        assert!(frames.unfinished);
        frames.follow(&settings[10..]);
        assert!(!frames.unfinished);
    }

    #[test]
    fn header_section_lasts_until_its_last_frame_ends() {
        let mut frames = greeted();
        assert!(frames.follow(&frame(HEADERS, 1, 20)));
        assert!(!frames.follow(&frame(CONTINUATION, 0, 0)), "it began before");
        assert!(frames.unfinished);
        let last = frame(CONTINUATION, END_HEADERS, 5);
        frames.follow(&last[..last.len() - 1]);
        assert!(frames.unfinished);
        frames.follow(&last[last.len() - 1..]);
        assert!(!frames.unfinished);
    }

    #[test]
    fn section_that_begins_behind_a_whole_one_is_a_new_one() {
        let mut frames = greeted();
        assert!(frames.follow(&frame(HEADERS, 0, 20)));
        let next = [frame(CONTINUATION, END_HEADERS, 3), frame(HEADERS, 0, 4)].concat();
        assert!(frames.follow(&next));
        assert!(frames.unfinished);
    }

    #[test]
    fn other_frames_may_take_their_time() {
        let mut frames = greeted();
        for kind in [0, 2, 3, 4, 6, 8, 200] {
            let whole = frame(kind, 0xff, 300);
            assert!(!frames.follow(&whole[..100]));
            assert!(!frames.unfinished, "type {kind}");
            frames.follow(&whole[100..]);
        }
    }

    proptest! {
        #![proptest_config(property::config(64))]

        #[test]
        fn property_pieces_do_not_matter(
            kinds in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..40), 0..12),
            size in 1_usize..30,
        ) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, *length)).collect();
            let (mut whole, mut pieces) = (greeted(), greeted());
            whole.follow(&bytes);
            for piece in bytes.chunks(size) {
                pieces.follow(piece);
            }
            prop_assert_eq!(whole.unfinished, pieces.unfinished);
        }
    }
}
