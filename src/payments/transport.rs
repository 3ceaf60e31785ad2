//! Calls to providers over HTTP/1.1, exact about one question: had any byte of the request left?
//!
//! The stream itself notes whether bytes were handed to the socket, and a call that failed ends its
//! connection before that note is read; so "not sent" is proof. Connections are kept for a short
//! while, to spare the handshake. Deliberately absent: retries, redirects, TLS early data, pipelining.
//! A kept connection that turns out dead before a byte left gives way to a new one; that is no retry.

mod noting;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::adapter::{Answer, WireRequest};
use super::settings::{BaseUrl, Provider};
use super::verdict::{Doubt, Proof};
use crate::client::{ConnectError, connect};
use crate::tls::ClientTls;
use noting::{NotingStream, SentNote};

/// Largest answer that is read.
const MAX_ANSWER: usize = 256 << 10;
/// How long a connection is kept unused: less than the 5 s after which common servers close it.
const KEEP: Duration = Duration::from_secs(4);
/// Connections kept per provider.
const KEEP_AT_MOST: usize = 64;
/// How long a kept connection may take to show that it is ready.
const READY: Duration = Duration::from_millis(20);

/// What [`Transport::call`] returns.
pub(super) type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<Answer, CallError>> + Send + 'a>>;

/// Carries a request to a provider and its answer back.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Calls the provider once, within its timeouts and until `deadline` at most.
    fn call<'a>(&'a self, provider: &'a Provider, request: WireRequest, deadline: Instant) -> CallFuture<'a>;
}

/// Why there is no answer. Texts never contain anything of the request or the answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Provably no byte of the request left.
    #[error("not sent: {detail}")]
    NotSent {
        /// How that is known.
        proof: Proof,
        /// For the log.
        detail: String,
    },
    /// The request may have arrived.
    #[error("in doubt: {detail}")]
    InDoubt {
        /// What is known.
        doubt: Doubt,
        /// For the log.
        detail: String,
    },
}

/// The transport over sockets.
#[derive(Debug, Default)]
pub struct HttpTransport {
    kept: Mutex<HashMap<BaseUrl, Vec<Connection>>>,
}

impl Transport for HttpTransport {
    fn call<'a>(&'a self, provider: &'a Provider, request: WireRequest, deadline: Instant) -> CallFuture<'a> {
        Box::pin(self.call_once(provider, request, deadline))
    }
}

impl HttpTransport {
    async fn call_once(
        &self,
        provider: &Provider,
        request: WireRequest,
        deadline: Instant,
    ) -> Result<Answer, CallError> {
        while let Some(connection) = self.take(provider).await {
            match self.exchange(provider, connection, &request, deadline).await {
                Err(CallError::NotSent { proof: Proof::NotSent, .. }) => {}
                sent => return sent,
            }
        }
        let connection = open(provider, deadline).await?;
        self.exchange(provider, connection, &request, deadline).await
    }

    async fn exchange(
        &self,
        provider: &Provider,
        mut connection: Connection,
        request: &WireRequest,
        deadline: Instant,
    ) -> Result<Answer, CallError> {
        let request = assemble(&provider.base_url, request)?;
        let until = deadline.min(Instant::now() + provider.timeouts.response);
        connection.sent.clear();
        let (doubt, detail) = match timeout_at(until, connection.send(request)).await {
            Ok(Ok(answer)) => {
                self.keep(&provider.base_url, connection);
                return Ok(answer);
            }
            Ok(Err(failed)) => failed,
            Err(_) => (Doubt::Timeout, "no whole answer in time".to_owned()),
        };
        if connection.end().await.is_sent() {
            Err(CallError::InDoubt { doubt, detail })
        } else {
            Err(CallError::NotSent { proof: Proof::NotSent, detail })
        }
    }

    async fn take(&self, provider: &Provider) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.get_mut(&provider.base_url)?.pop()?
            };
            let usable = connection.since.elapsed() < KEEP && connection.is_with(provider.tls.as_ref());
            if usable && matches!(timeout(READY, connection.sender.ready()).await, Ok(Ok(()))) {
                return Some(connection);
            }
        }
    }

    fn keep(&self, place: &BaseUrl, mut connection: Connection) {
        connection.since = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for connections in kept.values_mut() {
            connections.retain(|kept| kept.since.elapsed() < KEEP && !kept.sender.is_closed());
        }
        kept.retain(|_, connections| !connections.is_empty());
        let connections = kept.entry(place.clone()).or_default();
        if connections.len() < KEEP_AT_MOST {
            connections.push(connection);
        }
    }
}

/// One connection and the task that drives it; dropping it ends both.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    sent: SentNote,
    tls: Option<ClientTls>,
    since: Instant,
}

impl Connection {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, (Doubt, String)> {
        let response = self.sender.send_request(request).await.map_err(|error| (Doubt::Lost, error.to_string()))?;
        let (head, body) = response.into_parts();
        let too_large = || (Doubt::Unreadable, format!("the answer is larger than {MAX_ANSWER} bytes"));
        if body.size_hint().lower() > MAX_ANSWER as u64 {
            return Err(too_large());
        }
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { too_large() } else { (Doubt::Lost, error.to_string()) }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Ends the connection; after that, no further byte can leave.
    async fn end(mut self) -> SentNote {
        self.driver.abort();
        // Whether it had ended already makes no difference.
        let _ = (&mut self.driver).await;
        self.sent.clone()
    }

    /// Whether it was made under these trust roots: a reload may bring others.
    fn is_with(&self, tls: Option<&ClientTls>) -> bool {
        match (&self.tls, tls) {
            (None, None) => true,
            (Some(own), Some(other)) => std::sync::Arc::ptr_eq(&own.config, &other.config),
            _ => false,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn open(provider: &Provider, deadline: Instant) -> Result<Connection, CallError> {
    let url = &provider.base_url;
    let left = deadline.saturating_duration_since(Instant::now());
    let tls = provider.tls.as_ref().map(|tls| (tls, url.host()));
    let stream = connect(url.host(), url.port(), tls, provider.timeouts.connect.min(left)).await.map_err(|error| {
        let proof = match error {
            ConnectError::Lookup { .. } => Proof::NameLookup,
            ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. } => Proof::Connect,
            ConnectError::ServerName(_) | ConnectError::Tls { .. } => Proof::Tls,
        };
        CallError::NotSent { proof, detail: error.to_string() }
    })?;
    let sent = SentNote::default();
    let stream = NotingStream::new(stream, sent.clone());
    let (sender, driver) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| CallError::NotSent { proof: Proof::Connect, detail: error.to_string() })?;
    // How the connection ends, the call in it hears itself.
    let driver = tokio::spawn(async move { drop(driver.await) });
    Ok(Connection { sender, driver, sent, tls: provider.tls.clone(), since: Instant::now() })
}

fn assemble(url: &BaseUrl, request: &WireRequest) -> Result<Request<Full<Bytes>>, CallError> {
    let unwritable = |what: &str| CallError::NotSent { proof: Proof::NotBuilt, detail: format!("no valid {what}") };
    let host = HeaderValue::from_str(&url.authority()).map_err(|_| unwritable("host"))?;
    let mut assembled = Request::builder()
        .method(request.method.clone())
        .uri(url.target(&request.path))
        .body(Full::new(request.body.clone()))
        .map_err(|_| unwritable("request target"))?;
    let headers = assembled.headers_mut();
    headers.insert(HOST, host);
    for (name, value) in &request.headers {
        headers.append(name, value.clone());
    }
    Ok(assembled)
}

#[cfg(test)]
mod tests;
