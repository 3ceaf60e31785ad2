//! A backend that does what a test tells it, one thread a connection, and remembers what it was sent.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::message::{Head, MessageReader, Request};
use super::{LIMIT, eventually, ports};

/// One connection that the gateway opened.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: MessageReader<TcpStream>,
    log: Arc<Log>,
    /// Which connection of the backend this is, from 1.
    pub(crate) number: usize,
}

#[derive(Debug, Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    ended: AtomicUsize,
    stop: AtomicBool,
}

impl Connection {
    /// The next request's head only; `None` when the gateway closed.
    pub(crate) fn head(&mut self) -> Option<Head> {
        self.reader.head().ok().flatten()
    }

    /// The next request, read whole and remembered; `None` when the gateway closed.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        let body = self.reader.body(&head, false).ok()?;
        if !body.complete {
            return None;
        }
        let request = Request { head, body: body.bytes, trailers: body.trailers };
        self.log.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        Some(request)
    }

    /// The next chunk of a request body under way; `None` when the gateway closed.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        self.reader.chunk().ok().flatten()
    }

    /// Exactly this many raw bytes; `None` when the gateway closed before.
    pub(crate) fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.reader.buffer.len() < count {
            if !self.reader.fill().ok()? {
                return None;
            }
        }
        Some(self.reader.buffer.drain(..count).collect())
    }

    /// Waits until the gateway closes or resets; `false` if it does not in time.
    pub(crate) fn is_abandoned(&mut self) -> bool {
        loop {
            match self.reader.fill() {
                Ok(true) => self.reader.buffer.clear(),
                Ok(false) => return true,
                Err(error) => {
                    return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                }
            }
        }
    }

    /// Sends bytes; says whether they left.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.reader.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// A plain 200 with this body.
    pub(crate) fn ok(&mut self, body: &str) -> bool {
        self.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Closes with a reset.
    pub(crate) fn reset(&mut self) {
        let socket = socket2::SockRef::from(&self.reader.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// A listening backend; ends with the test.
#[derive(Debug)]
pub(crate) struct FakeBackend {
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
}

impl FakeBackend {
    /// Runs the script on each connection; the connection closes when the script returns.
    pub(crate) fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            let script = Arc::new(script);
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::Acquire) {
                    return;
                }
                let stream = stream.expect("a connection");
                stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
                stream.set_nodelay(true).expect("no delay");
                let number = shared.connections.fetch_add(1, Ordering::AcqRel) + 1;
                let mut connection =
                    Connection { reader: MessageReader::new(stream), log: Arc::clone(&shared), number };
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    script(&mut connection);
                    connection.log.ended.fetch_add(1, Ordering::AcqRel);
                });
            }
        });
        Self { address, log }
    }

    /// Answers each request by what the function says; keep-alive.
    pub(crate) fn answering(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |connection| {
            while let Some(request) = connection.request() {
                if !connection.send(answer(&request)) {
                    return;
                }
            }
        })
    }

    /// Answers each request with a 200 whose body is the request target, so that mixed-up answers show.
    pub(crate) fn echoing() -> Self {
        Self::answering(|request| {
            let target = request.target();
            let body = if request.method() == "HEAD" { "" } else { target };
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", target.len())
        })
    }

    /// Answers each request's head with fixed bytes, then closes.
    pub(crate) fn answering_once(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |connection| {
            if connection.request().is_some() {
                connection.send(&bytes);
            }
        })
    }

    /// Every request that was read whole, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The only request there was.
    #[track_caller]
    pub(crate) fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// How many connections were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::Acquire)
    }

    /// Waits until so many connections' scripts have ended.
    pub(crate) fn await_ended(&self, count: usize) {
        eventually("connections to the backend end", || self.log.ended.load(Ordering::Acquire) >= count);
    }
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.log.stop.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// A port on which nobody listens.
pub(crate) fn refusing_port() -> SocketAddr {
    ports::free_address()
}

/// A listener whose queue is full, so that a further connect hangs; both ends must be kept.
pub(crate) fn full_backlog() -> (SocketAddr, socket2::Socket, Vec<socket2::Socket>) {
    let new_socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let listener = new_socket();
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let waiting = (0..4)
        .map(|_| {
            let socket = new_socket();
            socket.set_nonblocking(true).expect("non-blocking");
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    (address.as_socket().expect("an IP address"), listener, waiting)
}
