//! A gateway before two providers, and customers who insist on an answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::simulators::{API_KEY, WEBHOOK_SECRET};
use crate::support::{RawClient, TestGateway};

/// How long everything may take to be settled once the proxies only forward.
const SETTLING: Duration = Duration::from_secs(60);
/// How often a customer's client comes back before the proxies are healed.
const TRIES: usize = 3;

/// See the module's text.
pub(crate) struct Shop {
    pub(crate) gateway: Arc<TestGateway>,
}

/// What a customer's client knows.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    order: String,
    token: String,
    document: Value,
}

impl Shop {
    /// With a shipped adapter (its file name) before both providers.
    pub(crate) fn open(adapter: &str, providers: [SocketAddr; 2]) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers").join(adapter);
        let adapter_text = std::fs::read_to_string(&shipped).expect("a shipped adapter");
        let provider = |name: &str, address: SocketAddr| {
            format!(
                "    - {{name: {name}, adapter: {adapter}, base_url: \"http://{address}\", weight: 1, quiesce: 2s,\n       \
                 timeouts: {{connect: 500ms, response: 600ms}}, credentials: {{secret_key: {{file: api-key}}}},\n       webhook: {{scheme: stripe, secrets: [{{file: webhook-secret}}]}}}}"
            )
        };
        let section = format!(
            "  path: /pay\n  auth: none\n  ledger: {{embedded: payments.db}}\n  deadline: 8s\n  providers:\n{}\n{}",
            provider("alpha", providers[0]),
            provider("beta", providers[1]),
        );
        let nobody = crate::support::refusing_port();
        let gateway = TestGateway::builder()
            .file(adapter, &adapter_text)
            .file("api-key", API_KEY)
            .file("webhook-secret", WEBHOOK_SECRET)
            .section("payments", section)
            .backend_with("nobody", &[nobody], "")
            .open_route("nobody")
            .start();
        Self { gateway: Arc::new(gateway) }
    }

    /// So many customers at once, each of whom tries a few times.
    pub(crate) fn serve(&self, customers: usize, token: &str) -> Vec<Told> {
        let begin = |number: usize| {
            let (gateway, token) = (Arc::clone(&self.gateway), token.to_owned());
            std::thread::spawn(move || {
                let mut told = Told { order: format!("order-{number}"), token, document: Value::Null };
                for _ in 0..TRIES {
                    if told.insist(&gateway) {
                        break;
                    }
                }
                told
            })
        };
        let running: Vec<_> = (0..customers).map(begin).collect();
        running.into_iter().map(|customer| customer.join().expect("a customer never panics")).collect()
    }

    /// Goes on until every customer has an answer: orders and how they stand.
    pub(crate) fn settle(&self, mut told: Vec<Told>) -> Vec<(String, String)> {
        let begun = Instant::now();
        loop {
            let open = told.iter_mut().filter_map(|told| (!told.insist(&self.gateway)).then_some(&*told));
            let open: Vec<_> = open.collect();
            if open.is_empty() {
                return told.iter().map(|told| (told.order.clone(), told.status().to_owned())).collect();
            }
            assert!(begun.elapsed() < SETTLING, "still open: {open:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Told {
    fn status(&self) -> &str {
        self.document["status"].as_str().unwrap_or("not_processed")
    }

    /// Asks once more; whether there is a last word by now.
    fn insist(&mut self, gateway: &TestGateway) -> bool {
        if !matches!(self.status(), "not_processed" | "pending") {
            return true;
        }
        let body = json!({
            "order_id": self.order, "amount": 1_234, "currency": "USD", "method": "card", "token": self.token,
            "metadata": {"order": self.order},
        })
        .to_string();
        let mut client = RawClient::connect(gateway.address);
        client.limit(Duration::from_secs(30)).send(format!(
            "POST /pay HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nIdempotency-Key: {}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.order,
            body.len()
        ));
        let answer = client.response();
        assert!(matches!(answer.status, 201 | 202 | 402 | 409 | 503), "{}", answer.text());
        if matches!(answer.status, 201 | 202 | 402) {
            self.document = serde_json::from_str(&answer.text()).expect("JSON");
        }
        !matches!(self.status(), "not_processed" | "pending")
    }
}
