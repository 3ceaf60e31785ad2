//! A payment provider on loopback that speaks the canonical protocol and keeps its own books: the judge.

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the provider does with a charge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Does {
    /// Charges and says so.
    Charges,
    /// Declines.
    Declines,
    /// Charges, and answers only once [`Provider::release`] is called.
    Waits,
    /// Charges, and closes the connection.
    ChargesAndCloses,
    /// Charges, and answers with this status and body.
    ChargesAndSays(u16, &'static str),
    /// Charges nothing, and answers with this status and body.
    Says(u16, &'static str),
    /// Charges another amount.
    ChargesTooMuch,
}

/// One charge in the books.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Charged {
    pub(crate) key: String,
    pub(crate) order_reference: String,
    pub(crate) amount: u64,
}

#[derive(Debug)]
struct State {
    does: Does,
    charged: Vec<Charged>,
    requests: usize,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    port: u16,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
    arrived: Arc<Notify>,
}

impl Provider {
    pub(crate) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let provider = Self {
            port: listener.local_addr().expect("bound").port(),
            state: Arc::new(Mutex::new(State { does, charged: vec![], requests: 0 })),
            released: Arc::new(Notify::new()),
            arrived: Arc::new(Notify::new()),
        };
        let server = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        provider
    }

    /// A provider on whose port nobody listens.
    pub(crate) fn down() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        Self {
            port: listener.local_addr().expect("bound").port(),
            state: Arc::new(Mutex::new(State { does: Does::Charges, charged: vec![], requests: 0 })),
            released: Arc::new(Notify::new()),
            arrived: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The books.
    pub(crate) fn charged(&self) -> Vec<Charged> {
        self.state().charged.clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    /// Ready when a request has arrived since this was last awaited.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(crate) fn release(&self) {
        self.released.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked in here")
    }

    async fn serve(&self, mut stream: TcpStream) {
        while let Some((head, body)) = read_request(&mut stream).await {
            let Some((status, answer)) = self.answer(&head, &body).await else { return };
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, head: &str, body: &str) -> Option<(u16, String)> {
        assert!(head.starts_with("post /charges http/1.1\r\n"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).expect("a key").to_owned();
        let asked: Value = serde_json::from_str(body).expect("JSON");
        let reference = asked["order_reference"].as_str().expect("text").to_owned();
        let amount = asked["amount"].as_u64().expect("an integer");
        let does = {
            let mut state = self.state();
            state.requests += 1;
            if !matches!(state.does, Does::Declines | Does::Says(..)) {
                state.charged.push(Charged { key, order_reference: reference.clone(), amount });
            }
            state.does.clone()
        };
        let released = self.released.notified();
        self.arrived.notify_one();
        let id = format!("ch_{}", self.requests());
        let document = |status: &str, amount: u64| {
            json!({"id": id, "status": status, "order_reference": reference, "amount": amount,
                "currency": asked["currency"], "decline_code": "do_not_honor"})
            .to_string()
        };
        match does {
            Does::Charges => Some((201, document("succeeded", amount))),
            Does::Declines => Some((402, document("declined", amount))),
            Does::Waits => {
                released.await;
                Some((201, document("succeeded", amount)))
            }
            Does::ChargesAndCloses => None,
            Does::ChargesAndSays(status, body) | Does::Says(status, body) => Some((status, body.to_owned())),
            Does::ChargesTooMuch => Some((201, document("succeeded", amount * 10))),
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().ok()?;
            if read.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&read[end + 4..]).into_owned();
                return Some((head, body));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => read.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}
