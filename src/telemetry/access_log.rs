//! The access log: one JSON object a line, formatted on the core that served the request, written elsewhere.
//!
//! A core collects lines in its own buffer and hands the buffer over when it is large or a moment
//! old; one thread writes. When that thread is behind, whole buffers are dropped and counted: the
//! log never slows a request. Never in a line: tokens, bodies, queries, subjects.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::clock::Timestamp;

/// Buffers under way to the writer before further ones are dropped.
const QUEUE: usize = 64;
/// A buffer of this many bytes is handed over at once: each hand-over wakes the writer, so not too small.
const FULL: usize = 256 << 10;
/// How long a caller waits for a writer that is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

enum Message {
    Lines(Vec<u8>),
    Reopen(Destination),
    Flush(SyncSender<()>),
}

/// What one line says.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are the line's keys")]
pub struct AccessLine<'a> {
    pub request_id: &'a str,
    pub client: std::net::IpAddr,
    pub protocol: &'a str,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub status: u16,
    /// Body bytes from the client.
    pub received_bytes: u64,
    /// Body bytes to the client.
    pub sent_bytes: u64,
    pub duration: Duration,
    pub route: &'a str,
    pub backend: &'a str,
    pub endpoint: &'a str,
    pub flag: &'a str,
    pub variant: &'a str,
    pub reason: &'a str,
    pub revision: u64,
    /// Tries at the backend.
    pub tries: u32,
    /// The gateway's error code, or empty.
    pub error: &'a str,
    /// How the exchange ended early (`client-gone`, `upstream-closed`), or empty.
    pub aborted: &'a str,
}

/// One core's lines on their way to the writer.
#[derive(Debug)]
pub struct LineBuffer {
    lines: Vec<u8>,
    writer: SyncSender<Message>,
    second: i64,
    second_text: String,
    /// The address of the line before, as text: callers in front of us are few.
    client: (std::net::IpAddr, String),
    dropped: prometheus::IntCounter,
}

impl LineBuffer {
    /// Adds a line.
    pub fn push(&mut self, now: Timestamp, line: &AccessLine<'_>) {
        self.push_time(now);
        let out = &mut self.lines;
        text(out, b",\"request_id\":\"", line.request_id);
        if line.client != self.client.0 {
            self.client = (line.client, line.client.to_string());
        }
        text(out, b",\"client\":\"", &self.client.1);
        text(out, b",\"protocol\":\"", line.protocol);
        text(out, b",\"method\":\"", line.method);
        text(out, b",\"host\":\"", line.host);
        text(out, b",\"path\":\"", line.path);
        number(out, b",\"status\":", u64::from(line.status));
        number(out, b",\"received_bytes\":", line.received_bytes);
        number(out, b",\"sent_bytes\":", line.sent_bytes);
        let micros = u64::try_from(line.duration.as_micros()).unwrap_or(u64::MAX);
        number(out, b",\"duration_ms\":", micros / 1000);
        let thousandths = micros % 1000;
        let digit = |place: u64| b'0' + u8::try_from(thousandths / place % 10).unwrap_or(0);
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
        text(out, b",\"route\":\"", line.route);
        text(out, b",\"backend\":\"", line.backend);
        text(out, b",\"endpoint\":\"", line.endpoint);
        if !line.flag.is_empty() {
            text(out, b",\"flag\":\"", line.flag);
            text(out, b",\"variant\":\"", line.variant);
            text(out, b",\"reason\":\"", line.reason);
        }
        number(out, b",\"revision\":", line.revision);
        number(out, b",\"tries\":", u64::from(line.tries));
        if !line.error.is_empty() {
            text(out, b",\"error\":\"", line.error);
        }
        if !line.aborted.is_empty() {
            text(out, b",\"aborted\":\"", line.aborted);
        }
        out.extend_from_slice(b"}\n");
        if out.len() >= FULL {
            self.hand_over();
        }
    }

    /// Hands collected lines to the writer; called when a moment has passed.
    pub fn hand_over(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let room = self.lines.len();
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(room));
        if let Err(TrySendError::Full(Message::Lines(lines))) = self.writer.try_send(Message::Lines(lines)) {
            self.dropped.inc_by(lines.iter().filter(|byte| **byte == b'\n').count() as u64);
            self.lines = lines;
            self.lines.clear();
        }
    }

    fn push_time(&mut self, now: Timestamp) {
        if now.seconds() != self.second || self.second_text.is_empty() {
            self.second = now.seconds();
            self.second_text = Timestamp(self.second * 1000).rfc3339();
            self.second_text.truncate("2026-11-21T20:00:00".len());
        }
        let millis = now.0.rem_euclid(1000);
        let digit = |place: i64| b'0' + u8::try_from(millis / place % 10).unwrap_or(0);
        self.lines.extend_from_slice(b"{\"time\":\"");
        self.lines.extend_from_slice(self.second_text.as_bytes());
        self.lines.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z', b'"']);
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// The thread that writes, and the way to it.
#[derive(Debug, Clone)]
pub struct AccessLogWriter {
    sender: SyncSender<Message>,
    dropped: prometheus::IntCounter,
}

impl AccessLogWriter {
    /// Starts the writer.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn start(destination: Destination, metrics: &super::Metrics) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        std::thread::Builder::new().name("access-log".into()).spawn(move || run(&receiver, destination))?;
        Ok(Self { sender, dropped: metrics.access_log_dropped.clone() })
    }

    /// A buffer for one core.
    #[must_use]
    pub fn buffer(&self) -> LineBuffer {
        LineBuffer {
            lines: Vec::new(),
            writer: self.sender.clone(),
            second: 0,
            second_text: String::new(),
            client: (std::net::Ipv4Addr::UNSPECIFIED.into(), "0.0.0.0".into()),
            dropped: self.dropped.clone(),
        }
    }

    /// Opens the destination anew: after a rotation (SIGHUP) or a change of configuration.
    pub fn reopen(&self, destination: Destination) {
        if !self.send(Message::Reopen(destination), Instant::now() + PATIENCE) {
            tracing::error!("the access log is not opened anew, because what it was written to so far takes nothing");
        }
    }

    /// Waits until everything handed over so far is written; at most two seconds.
    pub fn flush(&self) {
        let end = Instant::now() + PATIENCE;
        let (done, wait) = sync_channel(1);
        if self.send(Message::Flush(done), end) {
            let _ = wait.recv_timeout(end.saturating_duration_since(Instant::now()));
        }
    }

    /// Waits for room in the queue: whoever reads the other end of a pipe may have stopped.
    fn send(&self, mut message: Message, until: Instant) -> bool {
        loop {
            message = match self.sender.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < until => back,
                Err(_) => return false,
            };
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn run(receiver: &Receiver<Message>, destination: Destination) {
    let mut sink = open(&destination);
    let mut failing = false;
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Lines(lines) => {
                let result = sink.as_mut().map_or(Ok(()), |sink| sink.write_all(&lines));
                if let Err(error) = &result
                    && !failing
                {
                    tracing::error!(%error, "the access log can't be written; lines are lost until it can");
                }
                failing = result.is_err();
            }
            Message::Reopen(destination) => sink = open(&destination),
            Message::Flush(done) => {
                if let Some(sink) = sink.as_mut() {
                    let _ = sink.flush();
                }
                let _ = done.send(());
            }
        }
    }
}

fn open(destination: &Destination) -> Option<Box<dyn std::io::Write>> {
    match destination {
        Destination::Stdout => Some(Box::new(std::io::stdout())),
        Destination::Off => None,
        Destination::File(path) => match std::fs::OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Some(Box::new(file)),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the access log can't be opened; requests are not logged");
                None
            }
        },
    }
}

/// `key` with its comma, quotes and colon.
fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `key` with its comma, quotes and colon, and the value's first quote.
fn text(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f);
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>() -> AccessLine<'a> {
        AccessLine {
            request_id: "abc",
            client: std::net::IpAddr::from([127, 0, 0, 1]),
            protocol: "HTTP/1.1",
            method: "GET",
            host: "shop\"\n",
            path: "/api/v1/members/7",
            status: 200,
            received_bytes: 0,
            sent_bytes: 1024,
            duration: Duration::from_micros(12_034),
            route: "member-detail",
            backend: "member",
            endpoint: "127.0.0.1:7002",
            flag: "member-api",
            variant: "new",
            reason: "PERCENTAGE",
            revision: 7,
            tries: 1,
            error: "",
            aborted: "",
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        let directory = tempfile::tempdir().expect("temporary folder");
        let path = directory.path().join("access.log");
        let writer =
            AccessLogWriter::start(Destination::File(path.clone()), &crate::telemetry::Metrics::new()).expect("thread");
        let mut buffer = writer.buffer();
        buffer.push(Timestamp(1_795_291_200_123), &line());
        buffer.hand_over();
        writer.flush();
        let written = std::fs::read_to_string(path).expect("log");
        let value: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        assert_eq!(value["time"], "2026-11-21T20:00:00.123Z");
        assert_eq!(value["host"], "shop\"\n");
        assert_eq!(value["duration_ms"], 12.034);
        assert_eq!(value["revision"], 7);
        assert_eq!(written.lines().count(), 1);
    }

    #[test]
    fn a_writer_that_is_behind_loses_lines_and_counts_them_and_holds_nobody_up() {
        let metrics = crate::telemetry::Metrics::new();
        let (sender, _never_read) = sync_channel(1);
        let writer = AccessLogWriter { sender, dropped: metrics.access_log_dropped.clone() };
        let mut buffer = writer.buffer();
        for _ in 0..3 {
            buffer.push(Timestamp(0), &line());
            buffer.hand_over();
        }
        assert_eq!(metrics.access_log_dropped.get(), 2);
        assert!(!writer.send(Message::Reopen(Destination::Off), Instant::now() + Duration::from_millis(20)));
    }
}
