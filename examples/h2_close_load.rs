//! Load with one new HTTP/2 connection per request, which neither wrk nor h2load can make.
//!
//! Usage: `h2_close_load ADDRESS PATH SECONDS CONNECTIONS [NAME:VALUE...]`, prior knowledge, no TLS.
//! Prints one line of JSON: `{"requests", "errors", "seconds", "p50_ms", "p99_ms"}`. The client's bytes
//! are the same each time, so they are made once; of the answer only frame headers and the status are
//! looked at. SETTINGS are not acknowledged: the connection ends before anybody could miss it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;
/// HPACK's static entry `:status: 200`.
const STATUS_200: u8 = 0x88;

#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    errors: usize,
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame made here is a few KB long").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    bytes.extend_from_slice(payload);
    bytes
}

/// HPACK's string without Huffman coding (RFC 7541 section 5.2).
fn hpack_string(text: &str, block: &mut Vec<u8>) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("under 127"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).expect("a remainder of 128") | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).expect("under 128"));
    }
    block.extend_from_slice(text.as_bytes());
}

fn request(authority: &str, path: &str, headers: &[String]) -> Vec<u8> {
    // `:method: GET` and `:scheme: http` are static entries 2 and 6; names 1 and 4 are `:authority`, `:path`.
    let mut block = vec![0x82, 0x86, 0x01];
    hpack_string(authority, &mut block);
    block.push(0x04);
    hpack_string(path, &mut block);
    for header in headers {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        block.push(0);
        hpack_string(&name.to_ascii_lowercase(), &mut block);
        hpack_string(value.trim(), &mut block);
    }
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    bytes
}

fn status_is_200(flags: u8, payload: &[u8]) -> bool {
    let skipped = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
    // A block may begin with changes of the table's size, whose top bits are 001.
    payload.get(skipped..).and_then(|block| block.iter().find(|byte| **byte >> 5 != 1)) == Some(&STATUS_200)
}

async fn exchange(address: &str, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    buffer.clear();
    let (mut at, mut ok) = (0, false);
    loop {
        while let Some(header) = buffer.get(at..at + FRAME_HEADER_BYTES) {
            let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            let (kind, flags, on_stream) = (header[3], header[4], header[8] == 1);
            let Some(payload) = buffer.get(at + FRAME_HEADER_BYTES..at + FRAME_HEADER_BYTES + length) else { break };
            if kind == HEADERS && on_stream {
                ok = status_is_200(flags, payload);
            }
            if matches!(kind, HEADERS | DATA) && on_stream && flags & END_STREAM != 0 {
                return Ok(ok);
            }
            at += FRAME_HEADER_BYTES + length;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
}

async fn client(address: String, request: Rc<Vec<u8>>, until: Instant, tally: Rc<RefCell<Tally>>) {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let begun = Instant::now();
        if begun >= until {
            return;
        }
        let outcome = exchange(&address, &request, &mut buffer).await;
        let mut tally = tally.borrow_mut();
        match outcome {
            Ok(true) => tally.latencies.push(begun.elapsed()),
            Ok(false) | Err(_) => tally.errors += 1,
        }
    }
}

fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, seconds, connections, headers @ ..] = arguments.as_slice() else {
        return Err("usage: h2_close_load ADDRESS PATH SECONDS CONNECTIONS [NAME:VALUE...]".into());
    };
    let request = Rc::new(request(address, path, headers));
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds.parse()?);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let tasks = LocalSet::new();
    for _ in 0..connections.parse::<usize>()? {
        tasks.spawn_local(client(address.clone(), Rc::clone(&request), until, Rc::clone(&tally)));
    }
    tasks.await;
    let seconds = begun.elapsed().as_secs_f64();
    let mut tally = tally.take();
    tally.latencies.sort_unstable();
    let report = serde_json::json!({
        "requests": tally.latencies.len(),
        "errors": tally.errors,
        "seconds": seconds,
        "p50_ms": percentile_ms(&tally.latencies, 50),
        "p99_ms": percentile_ms(&tally.latencies, 99),
    });
    println!("{report}");
    Ok(())
}
