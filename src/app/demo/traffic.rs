//! A little traffic, so that there is something to see: a few shoppers who browse, and one who pays,
//! now and then with a card that its bank declines.
//!
//! Each shopper keeps one connection, as an app does, and takes whatever comes: an outage in the demo is part of it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::catalogue;
use super::providers::DECLINED_TOKEN;

/// Browsing shoppers; with [`BROWSE_EVERY`] they make 20 requests a second.
const SHOPPERS: u32 = 5;
const BROWSE_EVERY: Duration = Duration::from_millis(250);
const PAY_EVERY: Duration = Duration::from_secs(3);
/// Longer than the gateway's own deadlines: it is the gateway that gives up first.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a shopper does next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    method: &'static str,
    path: String,
    body: String,
    /// For payments.
    idempotency_key: Option<String>,
}

/// A signed-in customer.
#[derive(Debug, Clone)]
pub(super) struct Shopper {
    /// A bearer token.
    pub(super) token: String,
}

/// Sends traffic to the gateway until the returned set is dropped. `run` tells one demo's payments from another's.
pub(super) fn start(gateway: SocketAddr, shoppers: &[Shopper], run: &str) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..SHOPPERS {
        let shoppers = shoppers.to_vec();
        tasks.spawn(async move {
            let first = Instant::now() + BROWSE_EVERY * number / SHOPPERS;
            shop(gateway, &shoppers, first, BROWSE_EVERY, |_| browse()).await;
        });
    }
    let shoppers = shoppers.to_vec();
    let run = run.to_owned();
    tasks.spawn(async move {
        shop(gateway, &shoppers, Instant::now() + PAY_EVERY, PAY_EVERY, |number| pay(&run, number)).await;
    });
    tasks
}

async fn shop(
    gateway: SocketAddr,
    shoppers: &[Shopper],
    first: Instant,
    every: Duration,
    mut next: impl FnMut(u64) -> Call,
) {
    let mut ticks = interval_at(first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    for number in 1.. {
        ticks.tick().await;
        let Some(shopper) = fastrand::choice(shoppers) else { return };
        // A lost connection is a shopper who tries again at the next tick.
        connection = timeout(PATIENCE, call(connection, gateway, shopper, &next(number))).await.unwrap_or_default();
    }
}

/// Sends one call and reads the whole answer; gives the connection back if it can be used again.
async fn call(
    connection: Option<SendRequest<Full<Bytes>>>,
    gateway: SocketAddr,
    shopper: &Shopper,
    call: &Call,
) -> Option<SendRequest<Full<Bytes>>> {
    let mut connection = match connection {
        Some(connection) if connection.is_ready() => connection,
        _ => connect(gateway).await?,
    };
    let mut request = Request::builder()
        .method(call.method)
        .uri(&call.path)
        .header(header::HOST, gateway.to_string())
        .header(header::USER_AGENT, "figway-demo")
        .header(header::AUTHORIZATION, format!("Bearer {}", shopper.token));
    if !call.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(key) = &call.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Full::from(call.body.clone())).ok()?;
    let answer = connection.send_request(request).await.ok()?;
    answer.into_body().collect().await.ok()?;
    connection.ready().await.ok()?;
    Some(connection)
}

async fn connect(gateway: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(gateway).await.ok()?;
    let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.ok()?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(driver);
    Some(connection)
}

/// Mostly lists and details, as in a real shop.
fn browse() -> Call {
    let path = match fastrand::u32(0..100) {
        0..35 => format!("/api/v1/members/{}", fastrand::u32(1..=catalogue::MEMBERS)),
        35..55 => "/api/v1/items".into(),
        55..75 => format!("/api/v1/items/{}", fastrand::u32(1..=catalogue::ITEMS)),
        75..92 => format!("/api/v1/reviews?item={}", fastrand::u32(1..=catalogue::ITEMS)),
        92..97 => {
            let body = json!({"item": fastrand::u32(1..=catalogue::ITEMS)}).to_string();
            return Call { method: "POST", path: "/api/v1/orders".into(), body, idempotency_key: None };
        }
        _ => "/".into(),
    };
    Call { method: "GET", path, body: String::new(), idempotency_key: None }
}

fn pay(run: &str, number: u64) -> Call {
    let order = format!("demo-{run}-{number}");
    let body = json!({
        "order_id": order, "amount": 4_900 + 100 * fastrand::u64(0..500), "currency": "KRW", "method": "card",
        "token": if number.is_multiple_of(10) { DECLINED_TOKEN } else { "tok_demo" }, "metadata": {"order": order},
    });
    Call { method: "POST", path: "/api/v1/payments".into(), body: body.to_string(), idempotency_key: Some(order) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_has_its_own_key_and_order() {
        let (first, second) = (pay("x", 1), pay("x", 2));
        assert_eq!(first.idempotency_key.as_deref(), Some("demo-x-1"));
        assert_ne!(first.idempotency_key, second.idempotency_key);
        assert!(first.body.contains(r#""order_id":"demo-x-1""#));
    }

    #[test]
    fn browsing_touches_every_domain() {
        let paths: Vec<String> = (0..2_000).map(|_| browse().path).collect();
        for domain in ["/api/v1/members/", "/api/v1/items/", "/api/v1/reviews?", "/api/v1/orders"] {
            assert!(paths.iter().any(|path| path.starts_with(domain)), "{domain}");
        }
        assert!(paths.iter().any(|path| path == "/"));
    }
}
