//! A provider that speaks the canonical protocol and keeps its own books. It ignores idempotency keys, so that
//! whatever is sent twice is charged twice; and before it does anything it asks the ledger for the intent.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::places::Tables;
use crate::stage::{Stage, Step};

/// What the provider does with a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charging {
    /// Charges and says so.
    Answers,
    /// Charges and closes the connection.
    HangsUpAfter,
    /// Closes the connection and charges nothing.
    HangsUpBefore,
}

/// A charge in the books.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) reference: String,
    captured: Instant,
    voided: Option<Instant>,
    pub(crate) refunds: Vec<u64>,
}

impl Entry {
    /// Captured and not taken back.
    pub(crate) fn stands(&self) -> bool {
        self.voided.is_none()
    }

    /// Whether at any moment both were captured.
    pub(crate) fn stood_beside(&self, other: &Self) -> bool {
        let before_end = |one: &Self, other: &Self| other.voided.is_none_or(|voided| one.captured < voided);
        before_end(self, other) && before_end(other, self)
    }
}

#[derive(Default)]
struct Pages {
    entries: Vec<Entry>,
    /// Requests with an effect, of which the ledger did not know beforehand.
    unannounced: Vec<Value>,
}

/// See the module's text.
#[derive(Clone)]
pub(crate) struct Books {
    address: SocketAddr,
    charging: Charging,
    pages: Arc<Mutex<Pages>>,
    stage: Arc<Stage>,
    tables: Tables,
}

impl Books {
    pub(crate) fn start(charging: Charging, stage: &Arc<Stage>, tables: &Tables) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let pages = Arc::new(Mutex::new(Pages::default()));
        let books = Self { address, charging, pages, stage: Arc::clone(stage), tables: tables.clone() };
        let server = books.clone();
        // Ends with the test's process: nobody connects once the gateway is gone.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        books
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.pages().entries.clone()
    }

    pub(crate) fn unannounced(&self) -> Vec<Value> {
        self.pages().unannounced.clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (method, target) = line.trim_end().strip_suffix(" HTTP/1.1")?.split_once(' ')?;
        let mut length = 0;
        loop {
            let mut field = String::new();
            reader.read_line(&mut field).ok()?;
            if field.trim_end().is_empty() {
                break;
            }
            if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.stage.step(Step::Asked);
        let _at_work = self.stage.work();
        let (status, answer) = self.answer(method, target, &body)?;
        self.stage.step(Step::Done);
        let text = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close");
        let stream = reader.get_mut();
        stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes()).ok()?;
        self.stage.step(Step::Answered);
        Some(())
    }

    /// Status and body; `None` to hang up.
    fn answer(&self, method: &str, target: &str, body: &Value) -> Option<(u16, Value)> {
        let steps: Vec<&str> = target.split(['/', '?']).skip(1).collect();
        match (method, steps.as_slice()) {
            ("POST", ["charges"]) => self.charge(body),
            ("GET", ["payments", query]) => Some(self.look(query.strip_prefix("order_reference=")?)),
            ("POST", ["payments", reference, "void"]) => Some(self.void(reference)),
            ("POST", ["payments", id, "refunds"]) => Some(self.refund(id, body)),
            _ => Some((404, json!({"error": {"code": "no_such_call", "call": target}}))),
        }
    }

    fn charge(&self, body: &Value) -> Option<(u16, Value)> {
        let reference = body["order_reference"].as_str()?.to_owned();
        self.expect_intent(&reference, body);
        if self.charging == Charging::HangsUpBefore {
            return None;
        }
        let number = {
            let mut pages = self.pages();
            pages.entries.push(Entry { reference, captured: Instant::now(), voided: None, refunds: Vec::new() });
            pages.entries.len() - 1
        };
        (self.charging == Charging::Answers).then(|| (201, self.shown(number)))
    }

    fn look(&self, reference: &str) -> (u16, Value) {
        let found = self.pages().entries.iter().position(|entry| entry.reference == reference);
        found.map_or_else(not_found, |number| (200, self.shown(number)))
    }

    fn void(&self, reference: &str) -> (u16, Value) {
        let mut pages = self.pages();
        let Some(entry) = pages.entries.iter_mut().find(|entry| entry.reference == reference) else {
            return not_found();
        };
        entry.voided = Some(Instant::now());
        (200, json!({"status": "voided", "order_reference": reference}))
    }

    fn refund(&self, id: &str, body: &Value) -> (u16, Value) {
        let reference = body["refund_reference"].as_str().unwrap_or_default();
        self.expect_intent(reference, body);
        let amount = body["amount"].as_u64().unwrap_or_default();
        let mut pages = self.pages();
        let number = id.strip_prefix("ch_").and_then(|number| number.parse::<usize>().ok());
        let Some(entry) = number.and_then(|number| pages.entries.get_mut(number)) else { return not_found() };
        entry.refunds.push(amount);
        let id = format!("re_{}", entry.refunds.len());
        let done = json!({"id": id, "status": "succeeded", "refund_reference": reference, "amount": amount, "currency": "EUR"});
        (201, done)
    }

    fn shown(&self, number: usize) -> Value {
        let entry = &self.pages().entries[number];
        json!({
            "id": format!("ch_{number}"),
            "status": if entry.stands() { "succeeded" } else { "voided" },
            "order_reference": entry.reference,
            "amount": 1234,
            "currency": "EUR",
            "refunded": entry.refunds.iter().sum::<u64>(),
        })
    }

    /// Notes a request whose intent is not in the ledger by now.
    fn expect_intent(&self, reference: &str, body: &Value) {
        if !self.tables.have_intent(reference) {
            self.pages().unannounced.push(body.clone());
        }
    }
}

fn not_found() -> (u16, Value) {
    (404, json!({"error": {"code": "not_found"}}))
}
