//! HTTP/2 as bare frames, for peers that dawdle or break its rules. It judges nothing, and reads no
//! more of a header section than the status.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LIMIT;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a short payload").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The number that RST_STREAM and WINDOW_UPDATE consist of, and that a GOAWAY gives as its reason.
    pub(crate) fn number(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// The status that a header section begins with, if it is one of HPACK's table.
    pub(crate) fn status(&self) -> Option<u16> {
        let index = usize::from(self.payload.first()?.checked_sub(0x88)?);
        [200, 204, 206, 304, 400, 404, 500].get(index).copied()
    }
}

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Vec<u8> {
    Frame { kind, flags, stream, payload: payload.into() }.bytes()
}

/// A SETTINGS frame.
pub(crate) fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        pairs.iter().flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(SETTINGS, 0, 0, payload)
}

/// A header section in HPACK's plainest form.
pub(crate) fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("under 127 bytes")][..], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The header section of a request.
pub(crate) fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "shop.example"), (":path", path)];
    section(&[&pseudo, more].concat())
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct FramePeer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl FramePeer {
    /// Connects and says nothing.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).expect("the gateway accepts"))
    }

    /// Connects and greets, with these settings.
    pub(crate) fn greeting(address: SocketAddr, pairs: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(address);
        peer.send([PREFACE, &settings(pairs)].concat());
        peer
    }

    fn on(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes; a gateway that has hung up is no failure here.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// The preface alone.
    pub(crate) fn send_preface(&mut self) -> &mut Self {
        self.send(PREFACE)
    }

    /// A whole request without a body.
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> &mut Self {
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", path, &[])))
    }

    /// The next frame; `None` when the connection ends.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let header = self.exactly(9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        let payload = self.exactly(length)?;
        Some(Frame { kind: header[3], flags: header[4], stream, payload })
    }

    fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            let mut piece = [0; 16 << 10];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(read) => self.buffer.extend_from_slice(&piece[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("neither a frame nor the end")
                }
                Err(_) => return None,
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// Frames up to the first of this kind, which must come.
    pub(crate) fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("closed before a frame of type {kind}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The answer of a stream: the status it begins with, and its data.
    pub(crate) fn answer(&mut self, stream: u32) -> (Option<u16>, Vec<u8>) {
        let (mut status, mut data) = (None, Vec::new());
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("closed within stream {stream}"));
            assert!(!(frame.kind == GOAWAY && frame.number() != 0), "told to go away: {frame:?}");
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => status = status.or(frame.status()),
                DATA => data.extend_from_slice(&frame.payload),
                RST_STREAM => panic!("reset: {frame:?}"),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return (status, data);
            }
        }
    }

    /// The connection answers a ping.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.send(frame(PING, 0, 0, *b"are you?"));
        loop {
            match self.next() {
                None => return false,
                Some(frame) if frame.kind == PING && frame.flags & ACK != 0 => return true,
                Some(_) => {}
            }
        }
    }

    /// How long it takes the gateway to close the connection.
    pub(crate) fn closed_after(&mut self) -> Duration {
        let begun = Instant::now();
        while self.next().is_some() {}
        begun.elapsed()
    }
}

/// Listens as a backend, and runs the script on each connection once both sides have greeted; the
/// connection's number counts from 0.
pub(crate) fn frame_backend(script: impl Fn(&mut FramePeer, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let script = Arc::new(script);
        for (number, stream) in listener.incoming().enumerate() {
            let mut peer = FramePeer::on(stream.expect("a connection"));
            let script = Arc::clone(&script);
            std::thread::spawn(move || {
                peer.send(settings(&[]));
                if peer.exactly(PREFACE.len()).is_some() {
                    script(&mut peer, number);
                }
            });
        }
    });
    address
}
