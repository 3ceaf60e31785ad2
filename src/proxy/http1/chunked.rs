//! The chunked transfer coding (RFC 9112, section 7.1), read strictly: CR LF and nothing else ends
//! a line, sizes are plain hexadecimal, and extensions, which nobody uses, are bounded.

use bytes::{Buf, Bytes, BytesMut};

use crate::proxy::message::may_be_trailer;
use crate::types::fields::{Fields, Known};

/// Longest line of a chunk's size with its extensions.
const LINE: usize = 256;
/// Bytes of extensions in one message before it is taken for a flood.
const EXTENSIONS: usize = 8 << 10;
/// Bytes of a trailer section.
const TRAILERS: usize = 8 << 10;

/// What a look at the buffered bytes brought.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Body bytes.
    Data(Bytes),
    /// Nothing more until more bytes arrive.
    NeedMore,
    /// The body is over; its trailers, if any.
    End(Option<Fields>),
    /// More is announced than the limit allows.
    OverLimit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// Where the reading of one chunked body stands.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    scanned: usize,
    extensions: usize,
    /// Bytes that further chunks may announce.
    room: u64,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size, scanned: 0, extensions: 0, room: u64::MAX }
    }
}

impl Chunked {
    /// Takes chunks of `limit` bytes in all from now on.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.room = limit;
    }

    /// Takes the next piece out of `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Piece, &'static str> {
        loop {
            match self.state {
                State::Size => {
                    let Some(end) = self.line_end(buffer)? else { return Ok(Piece::NeedMore) };
                    let size = self.size(&buffer[..end])?;
                    buffer.advance(end + 2);
                    let Some(room) = self.room.checked_sub(size) else { return Ok(Piece::OverLimit) };
                    self.room = room;
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Piece::NeedMore);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    let data = buffer.split_to(take).freeze();
                    let left = left - take as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Piece::Data(data));
                }
                State::DataEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Piece::NeedMore),
                    _ => return Err("a chunk is longer than its size says"),
                },
                State::Trailers => {
                    let Some(length) = trailers_end(buffer)? else { return Ok(Piece::NeedMore) };
                    let trailers = trailers(&buffer[..length])?;
                    buffer.advance(length);
                    self.state = State::Done;
                    return Ok(Piece::End(trailers));
                }
                State::Done => return Ok(Piece::End(None)),
            }
        }
    }

    fn line_end(&mut self, buffer: &BytesMut) -> Result<Option<usize>, &'static str> {
        match memchr::memchr(b'\n', &buffer[self.scanned..]) {
            Some(at) => {
                let at = self.scanned + at;
                self.scanned = 0;
                if at == 0 || buffer[at - 1] != b'\r' {
                    return Err("a chunk's size line does not end in CR LF");
                }
                if at > LINE {
                    return Err("a chunk's size line is too long");
                }
                Ok(Some(at - 1))
            }
            None if buffer.len() > LINE => Err("a chunk's size line is too long"),
            None => {
                self.scanned = buffer.len();
                Ok(None)
            }
        }
    }

    fn size(&mut self, line: &[u8]) -> Result<u64, &'static str> {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        if digits == 0 || digits > 16 {
            return Err("a chunk's size is not a hexadecimal number");
        }
        if !extension.is_empty() {
            let starts = extension.trim_ascii_start().first() == Some(&b';');
            let clean = extension.iter().all(|byte| *byte == b'\t' || (b' '..0x7f).contains(byte) || *byte >= 0x80);
            if !starts || !clean {
                return Err("a chunk's size is followed by something that is no extension");
            }
            self.extensions += extension.len();
            if self.extensions > EXTENSIONS {
                return Err("too many chunk extensions");
            }
        }
        let size = line[..digits]
            .iter()
            .fold(0u64, |sum, digit| sum << 4 | u64::from((*digit as char).to_digit(16).unwrap_or_default()));
        if size > i64::MAX as u64 { Err("a chunk's size is too large") } else { Ok(size) }
    }
}

fn trailers_end(buffer: &BytesMut) -> Result<Option<usize>, &'static str> {
    let mut line_start = 0;
    for at in memchr::memchr_iter(b'\n', buffer) {
        if at == 0 || buffer[at - 1] != b'\r' {
            return Err("a trailer line does not end in CR LF");
        }
        if at - 1 == line_start {
            return if at < TRAILERS { Ok(Some(at + 1)) } else { Err("the trailers are too large") };
        }
        line_start = at + 1;
    }
    if buffer.len() >= TRAILERS { Err("the trailers are too large") } else { Ok(None) }
}

fn trailers(section: &[u8]) -> Result<Option<Fields>, &'static str> {
    if section.len() <= 2 {
        return Ok(None);
    }
    let mut slots = [httparse::EMPTY_HEADER; 64];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(section, &mut slots) else {
        return Err("the trailers are not well-formed");
    };
    let mut fields = Fields::new();
    for header in headers {
        if may_be_trailer(Known::classify(header.name.as_bytes())) {
            fields.push(header.name, header.value.trim_ascii());
        }
    }
    Ok(Some(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(input: &[u8], piece: usize) -> Result<(Vec<u8>, Option<Fields>), &'static str> {
        let mut chunked = Chunked::default();
        let mut buffer = BytesMut::new();
        let mut body = Vec::new();
        for part in input.chunks(piece) {
            buffer.extend_from_slice(part);
            loop {
                match chunked.read(&mut buffer)? {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::NeedMore => break,
                    Piece::End(trailers) => return Ok((body, trailers)),
                    Piece::OverLimit => return Err("over the limit"),
                }
            }
        }
        Err("incomplete")
    }

    #[test]
    fn reads_the_same_whatever_the_pieces() {
        let input = b"4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\nContent-Length: 4\r\n\r\n";
        for piece in 1..=input.len() {
            let (body, trailers) = read_all(input, piece).expect("valid");
            assert_eq!(body, b"wikipedia");
            let trailers = trailers.expect("trailers");
            assert_eq!(trailers.find("x-sum"), Some(&b"9"[..]));
            assert_eq!(trailers.len(), 1, "framing has no place in a trailer");
        }
    }

    #[test]
    fn refuses_what_two_readers_may_frame_differently() {
        for input in [
            &b"4\nwiki\r\n0\r\n\r\n"[..],
            b"4\r\nwiki\n0\r\n\r\n",
            b"4\r\nwikix\r\n0\r\n\r\n",
            b"0x4\r\nwiki\r\n0\r\n\r\n",
            b"+4\r\nwiki\r\n0\r\n\r\n",
            b" 4\r\nwiki\r\n0\r\n\r\n",
            b"-1\r\n",
            b"\r\n",
            b"10000000000000004\r\nwiki",
            b"ffffffffffffffff\r\nwiki",
            b"4 x\r\nwiki\r\n0\r\n\r\n",
            b"4;a=\x00\r\nwiki\r\n0\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n bad: b\r\n\r\n",
        ] {
            let error = read_all(input, 1).expect_err("refused");
            assert_ne!(error, "incomplete", "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn a_chunk_past_the_limit_is_known_by_its_size() {
        let mut chunked = Chunked::default();
        chunked.set_limit(6);
        let mut buffer = BytesMut::from(&b"4\r\nwiki\r\n3\r\n"[..]);
        assert!(matches!(chunked.read(&mut buffer), Ok(Piece::Data(_))));
        assert!(matches!(chunked.read(&mut buffer), Ok(Piece::OverLimit)));
    }

    #[test]
    fn floods_of_extensions_and_trailers_are_cut_off() {
        let flood = b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(1000);
        assert_eq!(read_all(&flood, 4096).expect_err("refused"), "too many chunk extensions");
        let trailers = [&b"0\r\n"[..], &b"a: bbbb\r\n".repeat(1000), b"\r\n"].concat();
        for piece in [1, trailers.len()] {
            assert_eq!(read_all(&trailers, piece).expect_err("refused"), "the trailers are too large");
        }
        assert_eq!(read_all(&[b'1'; 300], 300).expect_err("refused"), "a chunk's size line is too long");
    }
}
