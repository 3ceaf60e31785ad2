//! Talks to a running gateway's control plane, one request a connection.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_MATCH};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::cli::GatewayArgs;
use super::output::with_causes;
use crate::client;
use crate::tls::ClientTls;

/// For one call, from connecting to the last byte.
const DEADLINE: Duration = Duration::from_secs(30);

/// More than any answer needs; what is larger does not come from a gateway.
const MAX_ANSWER: usize = 32 << 20;

/// Where a control plane is, as people type it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminUrl {
    /// As it was typed, for messages.
    text: String,
    authority: Authority,
    is_https: bool,
    /// Path below which the API stands, without a slash at its end; empty unless a proxy adds one.
    prefix: String,
}

impl FromStr for AdminUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty; leave it out, or write e.g. http://127.0.0.1:9901".into());
        }
        let mend = if text.contains("://") { "http://127.0.0.1:9901".to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|_| format!("it is not a URL; write e.g. {mend}"))?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(format!("it is not an http:// or https:// URL; write e.g. {mend}")),
        };
        let authority = uri.authority().cloned().ok_or("it names no host")?;
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err("it is more than scheme, host, port and path".into());
        }
        Ok(Self { text: text.to_owned(), authority, is_https, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

/// A gateway's control plane.
#[derive(Debug)]
pub(crate) struct AdminClient {
    url: AdminUrl,
    /// Present for an `https` URL; trusts the system's roots.
    tls: Option<ClientTls>,
    token: Option<HeaderValue>,
}

/// An answer of status 2xx.
#[derive(Debug)]
pub(crate) struct Answer {
    /// From `ETag`, if there is one.
    pub(crate) revision: Option<u64>,
    pub(crate) document: Value,
}

/// Why there is no such answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The gateway refused; the problem document says why.
    Refused { status: StatusCode, document: Value },
    /// The gateway was not reached or its answer was not understood.
    Failed(anyhow::Error),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { status, document } => {
                let word = |name: &str| document[name].as_str().unwrap_or_default();
                write!(f, "{} ({} {})", word("detail"), status.as_u16(), word("code"))
            }
            Self::Failed(error) => f.write_str(&with_causes(error)),
        }
    }
}

impl std::error::Error for CallError {}

impl AdminClient {
    pub(crate) fn new(args: &GatewayArgs) -> anyhow::Result<Self> {
        let tls = if args.admin.is_https { Some(ClientTls::from_system()?) } else { None };
        let token = args.token.as_deref().map(str::trim).filter(|token| !token.is_empty());
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose();
        let mut token = token.map_err(|_| anyhow::anyhow!("the token holds characters that no header may hold"))?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self { url: args.admin.clone(), tls, token })
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Method::GET, path, None, None).await
    }

    /// Reads a document that has this member: another service may answer 200 on the same path.
    pub(crate) async fn get_having(&self, path: &str, member: &str) -> Result<Answer, CallError> {
        let answer = self.get(path).await?;
        if answer.document.get(member).is_some() { Ok(answer) } else { Err(self.stranger(StatusCode::OK)) }
    }

    /// Sends a document; `if_match` makes it conditional.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        if_match: Option<u64>,
        document: &Value,
    ) -> Result<Answer, CallError> {
        self.call(method, path, if_match, Some(document)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        if_match: Option<u64>,
        document: Option<&Value>,
    ) -> Result<Answer, CallError> {
        let exchange = async {
            let request = self.request(method, path, if_match, document)?;
            let (parts, body) = self.exchange(request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let bytes = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
            anyhow::Ok((parts, bytes))
        };
        let timed = tokio::time::timeout(DEADLINE, exchange).await;
        let (parts, bytes) = timed
            .unwrap_or_else(|_| bail!("no answer within {} s", DEADLINE.as_secs()))
            .with_context(|| format!("the gateway at {} can't be asked", self.url.text))
            .map_err(CallError::Failed)?;
        let document: Option<Value> = serde_json::from_slice(&bytes).ok();
        let document = match (parts.status.is_success(), document) {
            (true, Some(document)) => document,
            (false, Some(document)) if document["code"].is_string() => {
                return Err(CallError::Refused { status: parts.status, document });
            }
            _ => return Err(self.stranger(parts.status)),
        };
        let tag = parts.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let revision = tag.and_then(|tag| tag.trim_matches('"').parse().ok());
        Ok(Answer { revision, document })
    }

    fn stranger(&self, status: StatusCode) -> CallError {
        let (text, status) = (&self.url.text, status.as_u16());
        CallError::Failed(anyhow::anyhow!("{text} answers {status}, but not as a gateway's control plane does"))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        if_match: Option<u64>,
        document: Option<&Value>,
    ) -> anyhow::Result<Request<Full<bytes::Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.prefix))
            .header(HOST, self.url.authority.as_str())
            .header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(revision) = if_match {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        let body = match document {
            Some(document) => {
                request = request.header(CONTENT_TYPE, "application/json");
                document.to_string()
            }
            None => String::new(),
        };
        Ok(request.body(Full::from(body))?)
    }

    async fn exchange(
        &self,
        request: Request<Full<bytes::Bytes>>,
    ) -> anyhow::Result<http::Response<hyper::body::Incoming>> {
        let authority = &self.url.authority;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = client::connect(host, port, self.tls.as_ref().map(|tls| (tls, host)), DEADLINE).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

/// Runs one command's calls to the end.
pub(crate) fn block_on<T>(calls: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("no runtime")?.block_on(calls)
}

/// A path segment or a query value, percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::cli::{Output, OutputArgs};

    #[test]
    fn the_address_is_a_url_and_nothing_more() {
        for bad in ["", "127.0.0.1:9901", "ftp://x", "http://", "http://u:p@x", "http://x/?a=b", "unix:/x"] {
            assert!(bad.parse::<AdminUrl>().is_err(), "{bad:?}");
        }
        let error = "127.0.0.1:9901".parse::<AdminUrl>().expect_err("no scheme");
        assert!(error.ends_with("write e.g. http://127.0.0.1:9901"), "{error}");
        let error = "".parse::<AdminUrl>().expect_err("nothing");
        assert!(error.contains("leave it out"), "FIGWAY_ADMIN= {error}");
        let url: AdminUrl = "http://[::1]:9901/ops/".parse().expect("a URL");
        assert_eq!((url.authority.as_str(), url.prefix.as_str()), ("[::1]:9901", "/ops"));
    }

    #[tokio::test]
    async fn another_service_that_answers_200_is_not_taken_for_a_gateway_without_flags() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let admin = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"up\"}";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.expect("sent");
        });
        let (admin, output) = (admin.parse().expect("a URL"), OutputArgs { output: Output::Table });
        let client = AdminClient::new(&GatewayArgs { admin, token: None, output }).expect("a client");
        let error = client.get_having("/admin/v1/flags", "flags").await.expect_err("no gateway").to_string();
        assert!(error.ends_with("answers 200, but not as a gateway's control plane does"), "{error}");
    }

    #[test]
    fn a_token_is_never_shown() {
        let client = |token: &str| {
            let (admin, output) = ("http://x".parse().expect("a URL"), OutputArgs { output: Output::Table });
            AdminClient::new(&GatewayArgs { admin, token: Some(token.to_owned()), output })
        };
        assert!(!format!("{:?}", client("s3cret\n").expect("a client")).contains("s3cret"));
        assert!(client("s3\u{1}cret").is_err());
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode("member-api"), "member-api");
        assert_eq!(encode("a/b?ü"), "a%2Fb%3F%C3%BC");
    }
}
