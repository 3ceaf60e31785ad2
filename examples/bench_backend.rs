//! The backend of the benchmark: answers any GET with a canned 1 KB or 10 KB body, faster than any proxy can ask.
//!
//! Usage: `bench_backend ADDRESS...`. A request whose target contains `10k` gets 10 KB, any other one
//! 1 KB; `x-served-by` names the port, so that a flag's effect can be seen. One thread; keep-alive,
//! pipelining and `Connection: close` are honoured. Request bodies are deliberately not: the
//! benchmark sends none, and a real parser would cost what this program exists to save.

use std::rc::Rc;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Longest request head that is understood; the benchmark's are about 1 KB with their token.
const BUFFER_BYTES: usize = 32 << 10;

/// The answers of one listener, ready to be written: to keep-alive requests and to those that ask to close.
struct Answers {
    kept: [Vec<u8>; 2],
    closed: [Vec<u8>; 2],
}

impl Answers {
    fn new(port: u16) -> Self {
        let both = |connection| [answer(port, connection, 1 << 10), answer(port, connection, 10 << 10)];
        Self { kept: both(""), closed: both("connection: close\r\n") }
    }

    fn to(&self, head: &[u8], closes: bool) -> &[u8] {
        let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
        let answers = if closes { &self.closed } else { &self.kept };
        &answers[usize::from(memmem::find(line, b"10k").is_some())]
    }
}

fn answer(port: u16, connection: &str, body_bytes: usize) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\
         content-length: {body_bytes}\r\nx-served-by: {port}\r\n{connection}\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'x');
    bytes
}

async fn serve(mut stream: TcpStream, answers: Rc<Answers>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut done = 0;
        while let Some(length) = memmem::find(&buffer[done..filled], b"\r\n\r\n") {
            let head = &buffer[done..done + length];
            let closes = memmem::find(head, b"onnection: close").is_some();
            stream.write_all(answers.to(head, closes)).await?;
            if closes {
                return stream.shutdown().await;
            }
            done += length + 4;
        }
        buffer.copy_within(done..filled, 0);
        filled -= done;
    }
}

async fn accept(listener: TcpListener) -> std::io::Result<()> {
    let answers = Rc::new(Answers::new(listener.local_addr()?.port()));
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks is the proxy's affair; the load generator counts what fails.
        tokio::task::spawn_local(serve(stream, Rc::clone(&answers)));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let tasks = LocalSet::new();
    for address in std::env::args().skip(1) {
        let listener = TcpListener::bind(&address).await?;
        tasks.spawn_local(accept(listener));
    }
    tasks.await;
    Ok(())
}
