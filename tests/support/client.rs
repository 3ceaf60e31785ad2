//! A client that sends exactly the bytes it is given, and does to its connection what clients do.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::LIMIT;
use super::message::{Head, MessageReader, Response, status_of};

/// One connection to the gateway.
#[derive(Debug)]
pub(crate) struct RawClient {
    reader: MessageReader<TcpStream>,
}

impl RawClient {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self { reader: MessageReader::new(stream) }
    }

    /// Sends bytes; a gateway that has already hung up is no failure here, its answer tells.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.reader.stream.write_all(bytes.as_ref());
        self
    }

    /// Limits each later read and write.
    pub(crate) fn limit(&mut self, limit: Duration) -> &mut Self {
        self.reader.stream.set_read_timeout(Some(limit)).expect("a time limit");
        self.reader.stream.set_write_timeout(Some(limit)).expect("a time limit");
        self
    }

    /// The next head, interim or final.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        let head = self.reader.head().unwrap_or_else(|error| panic!("no head: {error}; {}", self.received()));
        head.unwrap_or_else(|| panic!("closed without a head; {}", self.received()))
    }

    /// The next chunk of a body that is under way; empty for the last.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        self.reader.chunk().expect("a chunk in time").expect("a chunk before the end")
    }

    /// The next response with its body.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.read_response(false)
    }

    /// The next response to a HEAD request: no body whatever the head says.
    #[track_caller]
    pub(crate) fn response_to_head(&mut self) -> Response {
        self.read_response(true)
    }

    #[track_caller]
    fn read_response(&mut self, bodiless: bool) -> Response {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.head();
            if status_of(&head) >= 200 || status_of(&head) == 101 {
                break head;
            }
            interim.push(head);
            assert!(interim.len() < 10_000, "no end of interim answers");
        };
        let status = status_of(&head);
        if bodiless || matches!(status, 101 | 204 | 304) {
            return Response { status, head, interim, complete: true, ..Response::default() };
        }
        // A reset in the middle of a body is one more way to say that it is not complete.
        let body = self.reader.body(&head, true).unwrap_or_default();
        Response { status, head, interim, body: body.bytes, trailers: body.trailers, complete: body.complete }
    }

    /// Everything up to the end of the connection, which must come.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.reader.fill() {
                Ok(true) => {}
                Ok(false) => return std::mem::take(&mut self.reader.buffer),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return std::mem::take(&mut self.reader.buffer);
                }
                Err(error) => panic!("not closed: {error}; {}", self.received()),
            }
        }
    }

    /// Exactly this many bytes.
    #[track_caller]
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.reader.buffer.len() < count {
            assert!(self.reader.fill().expect("bytes in time"), "closed; {}", self.received());
        }
        self.reader.buffer.drain(..count).collect()
    }

    /// Nothing arrives, and the connection stays open, for this long.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.limit(time);
        let begun = Instant::now();
        let silent = self.reader.buffer.is_empty()
            && self
                .reader
                .fill()
                .is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        self.limit(LIMIT);
        silent && begun.elapsed() >= time
    }

    /// Counts the body's remaining bytes up to the end of the connection without keeping them.
    pub(crate) fn drain(&mut self) -> u64 {
        let mut count = std::mem::take(&mut self.reader.buffer).len() as u64;
        let mut chunk = vec![0; 256 << 10];
        loop {
            match self.reader.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return count,
                Ok(read) => count += read as u64,
            }
        }
    }

    /// Sends a byte; whether that is refused because the other end has refused one before: nobody reads there any more.
    pub(crate) fn is_refused(&mut self) -> bool {
        self.reader.stream.write_all(b"x").is_err()
    }

    /// Whether the connection ends with a reset, rather than as it ends when all is said.
    pub(crate) fn ends_with_reset(&mut self) -> bool {
        loop {
            match self.reader.fill() {
                Ok(true) => {}
                ended => return ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
            }
        }
    }

    /// Ends the sending side only.
    pub(crate) fn half_close(&mut self) -> &mut Self {
        match self.reader.stream.shutdown(Shutdown::Write) {
            // The gateway was faster and has closed both sides.
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {}
            closed => closed.expect("half closed"),
        }
        self
    }

    /// Vanishes with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::Socket::from(self.reader.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }

    fn received(&self) -> String {
        format!("received so far: {:?}", String::from_utf8_lossy(&self.reader.buffer))
    }
}
