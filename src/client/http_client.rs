//! A client for small documents: one GET, one connection, one answer, within a time and a size.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::load_shed::error::Overloaded;
use tower::timeout::Timeout;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::{ConnectError, connect};
use crate::tls::ClientTls;
use crate::units::format_duration;

/// Fetches at once; more are refused rather than queued behind a slow server.
const MAX_CONCURRENT: usize = 16;

/// About the longest head of an answer, in bytes; the reader may take in one more buffer before it notices.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL that can be fetched.
    #[error("{url:?} can't be fetched: {reason}")]
    Url {
        /// As asked for.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, or the answer is not HTTP.
    #[error("no proper answer: {0}")]
    Http(#[from] hyper::Error),
    /// Another status than 200.
    #[error("the answer has status {0}, not 200{note}", note = redirect_note(*.0))]
    Status(StatusCode),
    /// A content coding that was not asked for.
    #[error("the answer is encoded ({0}), though no encoding was accepted")]
    Encoded(String),
    /// A body over the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The whole did not end in time.
    #[error("no complete answer within {}", format_duration(*.0))]
    TimedOut(Duration),
    /// Too many fetches at once.
    #[error("more than {MAX_CONCURRENT} fetches at once")]
    Busy,
}

fn redirect_note(status: StatusCode) -> &'static str {
    if status.is_redirection() { "; redirects are not followed, write the final URL" } else { "" }
}

/// Fetches small documents over HTTP/1.1; clones share one limit on fetches at once.
#[derive(Debug, Clone)]
pub struct HttpClient {
    stack: LoadShed<ConcurrencyLimit<Fetcher>>,
}

impl HttpClient {
    /// `tls` is for `https` URLs; without it they are refused.
    #[must_use]
    pub fn new(tls: Option<ClientTls>) -> Self {
        let stack = ServiceBuilder::new().load_shed().concurrency_limit(MAX_CONCURRENT).service(Fetcher { tls });
        Self { stack }
    }

    /// Gets a document. The answer must have status 200; `timeout` covers everything from the name's lookup to the
    /// body's last byte; redirects are not followed and nothing is tried twice.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get(&self, url: &str, timeout: Duration, max_bytes: usize) -> Result<Bytes, ClientError> {
        let fetch = Fetch { target: Target::parse(url)?, timeout, max_bytes };
        let stack = Timeout::new(self.stack.clone(), timeout);
        stack.oneshot(fetch).await.map_err(|error| from_stack(error, timeout))
    }
}

fn from_stack(error: BoxError, timeout: Duration) -> ClientError {
    if error.is::<Elapsed>() {
        return ClientError::TimedOut(timeout);
    }
    if error.is::<Overloaded>() {
        return ClientError::Busy;
    }
    *error.downcast::<ClientError>().expect("the stack adds no other errors to the fetcher's")
}

/// Where a document is.
#[derive(Debug)]
struct Target {
    url: String,
    authority: Authority,
    path: String,
    is_tls: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, ClientError> {
        let bad = |reason| ClientError::Url { url: url.to_owned(), reason };
        let uri: Uri = url.parse().map_err(|_| bad("it is not a URL; write one such as https://host/path"))?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(bad("it does not begin with https:// or http://")),
        };
        let authority =
            uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it contains a user name; credentials in URLs are not supported"));
        }
        if authority.port_u16().is_none() && authority.as_str() != authority.host() {
            return Err(bad("its port is not a number up to 65535"));
        }
        let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        Ok(Self { url: url.to_owned(), authority: authority.clone(), path, is_tls })
    }

    /// The host as names are looked up: an IPv6 address without its brackets.
    fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_tls { 443 } else { 80 })
    }
}

/// One order to the stack.
#[derive(Debug)]
struct Fetch {
    target: Target,
    timeout: Duration,
    max_bytes: usize,
}

/// The bottom of the stack: does one fetch, the reading of the body included, so that limits above cover all of it.
#[derive(Debug, Clone)]
struct Fetcher {
    tls: Option<ClientTls>,
}

impl Service<Fetch> for Fetcher {
    type Response = Bytes;
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Bytes, ClientError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, fetch: Fetch) -> Self::Future {
        Box::pin(run(self.tls.clone(), fetch))
    }
}

async fn run(tls: Option<ClientTls>, fetch: Fetch) -> Result<Bytes, ClientError> {
    let target = &fetch.target;
    let tls = match (&tls, target.is_tls) {
        (_, false) => None,
        (Some(tls), true) => Some((tls, target.host())),
        (None, true) => {
            let reason = "there are no trusted roots for https; install the system's CA certificates";
            return Err(ClientError::Url { url: target.url.clone(), reason });
        }
    };
    let stream = connect(target.host(), target.port(), tls, fetch.timeout).await?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
    // Dropped with this future, and the connection with it. Its errors reach the sender and the body.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get(&*target.path)
        .header(header::HOST, target.authority.as_str())
        .header(header::ACCEPT, "application/json, */*;q=0.1")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::USER_AGENT, concat!("figway/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("a path and an authority that were parsed are valid in a request");
    let answer = sender.send_request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(ClientError::Status(answer.status()));
    }
    if let Some(coding) = answer.headers().get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(ClientError::Encoded(String::from_utf8_lossy(coding.as_bytes()).into_owned()));
    }
    // A length that is announced needs not be read to be too large.
    if answer.body().size_hint().lower() > fetch.max_bytes as u64 {
        return Err(ClientError::TooLarge(fetch.max_bytes));
    }
    match Limited::new(answer.into_body(), fetch.max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ClientError::TooLarge(fetch.max_bytes)),
        Err(error) => Err(ClientError::Http(*error.downcast().expect("a body's only other error is hyper's"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_port_and_path() {
        for (url, expected) in [
            ("http://h", ("h", 80, "/", false)),
            ("https://h/a?b=c", ("h", 443, "/a?b=c", true)),
            ("HTTPS://h:8443/", ("h", 8443, "/", true)),
            ("http://[::1]:81/x", ("::1", 81, "/x", false)),
            ("http://h?x", ("h", 80, "/?x", false)),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.host(), target.port(), target.path.as_str(), target.is_tls), expected, "{url}");
        }
    }

    #[test]
    fn what_can_t_be_fetched_is_told_why() {
        for (url, expected) in [
            ("", "not a URL"),
            ("h/jwks.json", "not a URL"),
            ("/jwks.json", "does not begin with"),
            ("ftp://h/", "does not begin with"),
            ("file:///etc/passwd", "not a URL"),
            ("http://", "not a URL"),
            ("http:///x", "not a URL"),
            ("http://user:secret@h/", "user name"),
            ("http://h:99999/", "not"),
            ("http://h:/", "port"),
            ("http://h/a b", "not a URL"),
        ] {
            let error = Target::parse(url).expect_err(url).to_string();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}
