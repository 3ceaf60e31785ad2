//! A proxy between the gateway and a provider that spoils exchanges by seed, on both sides of what they cause.
//!
//! One exchange per connection: what it does to a connection, it does to one request. It knows nothing of payments.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Forwards,
    /// Hangs up before a byte is forwarded.
    HangsUp,
    /// Swallows the request.
    Swallows,
    /// Forwards, and hangs up before the answer.
    LosesAnswer,
    /// Forwards, and hangs up in the middle of the answer.
    CutsAnswer,
    /// Forwards at once, and answers late.
    Dawdles,
    /// Forwards late, when the caller may have gone.
    Delays,
    /// Answers 502 itself, and forwards nothing.
    FailsBefore,
    /// Forwards, and answers 502 instead.
    FailsAfter,
    /// Answers 429 itself, and forwards nothing.
    Refuses,
}

const FAULTS: [Does; 9] = [
    Does::HangsUp,
    Does::Swallows,
    Does::LosesAnswer,
    Does::CutsAnswer,
    Does::Dawdles,
    Does::Delays,
    Does::FailsBefore,
    Does::FailsAfter,
    Does::Refuses,
];

/// See the module's text; ends with the process.
pub(crate) struct FaultyProxy {
    pub(crate) address: SocketAddr,
    healed: Arc<AtomicBool>,
}

impl FaultyProxy {
    /// Before `provider`; `per_cent` of all exchanges are spoilt. What is late is late by `pause`.
    pub(crate) fn before(provider: SocketAddr, seed: u64, per_cent: u32, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let healed = Arc::new(AtomicBool::new(false));
        let (rng, is_healed) = (Mutex::new(fastrand::Rng::with_seed(seed)), Arc::clone(&healed));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let mut rng = rng.lock().expect("no test panicked in here");
                let struck = rng.u32(..100) < per_cent && !is_healed.load(Ordering::Relaxed);
                let does = if struck { FAULTS[rng.usize(..FAULTS.len())] } else { Does::Forwards };
                // Whoever hangs up on whom is what this is about: nothing here is a failure of the test.
                std::thread::spawn(move || exchange(connection, provider, does, pause).ok());
            }
        });
        Self { address, healed }
    }

    /// From now on it only forwards.
    pub(crate) fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }
}

fn exchange(mut caller: TcpStream, provider: SocketAddr, does: Does, pause: Duration) -> std::io::Result<()> {
    let request = read_message(&mut caller)?;
    let say = |caller: &mut TcpStream, status: &str| {
        caller.write_all(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").as_bytes())
    };
    match does {
        Does::HangsUp => return caller.shutdown(Shutdown::Both),
        Does::FailsBefore => return say(&mut caller, "502 Bad Gateway"),
        Does::Refuses => return say(&mut caller, "429 Too Many Requests"),
        Does::Swallows => return caller.read(&mut [0]).map(drop),
        Does::Delays => std::thread::sleep(pause),
        Does::Forwards | Does::LosesAnswer | Does::CutsAnswer | Does::Dawdles | Does::FailsAfter => {}
    }
    let mut forwarded = TcpStream::connect(provider)?;
    forwarded.write_all(&closing(&request))?;
    let mut answer = Vec::new();
    forwarded.read_to_end(&mut answer)?;
    match does {
        Does::LosesAnswer => return caller.shutdown(Shutdown::Both),
        Does::CutsAnswer => answer.truncate(answer.len() - 8),
        Does::FailsAfter => return say(&mut caller, "502 Bad Gateway"),
        Does::Dawdles => std::thread::sleep(pause),
        _ => {}
    }
    caller.write_all(&answer)?;
    caller.shutdown(Shutdown::Both)
}

/// The request with `connection: close`, so that its answer ends with the connection.
fn closing(request: &[u8]) -> Vec<u8> {
    let line = request.windows(2).position(|pair| pair == b"\r\n").map_or(0, |end| end + 2);
    [&request[..line], b"connection: close\r\n", &request[line..]].concat()
}

fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if read.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(read);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => read.extend_from_slice(&piece[..count]),
        }
    }
}
