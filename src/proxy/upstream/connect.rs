//! From an endpoint's name to a connection: resolve, connect, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Endpoint;
use crate::client::first_open;
use crate::proxy::stream::Stream;
use crate::snapshot::Protocol;

/// Names are looked up again this often; the last answer is kept when a lookup fails.
const RESOLVE_AGAIN: Duration = Duration::from_secs(10);

/// Why there is no connection; nothing of the request has left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("its name can't be resolved: {0}")]
    Name(io::Error),
    #[error("{0}")]
    Tcp(io::Error),
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
    #[error("it speaks no HTTP/2")]
    NoHttp2,
    #[error("it does not begin as HTTP/2 does: {0}")]
    Http2(h2::Error),
    #[error("no connection within the time allowed")]
    Timeout,
}

/// What a name resolved to, and when.
#[derive(Debug)]
pub(crate) struct Resolved {
    addresses: Arc<[SocketAddr]>,
    at: Instant,
    next: usize,
}

/// Connects within `timeout`.
pub(crate) async fn resolve_connect(endpoint: &Rc<Endpoint>, timeout: Duration) -> Result<Stream, ConnectError> {
    let connecting = async {
        let stream = connect_tcp(endpoint, Instant::now() + timeout).await?;
        let tls = endpoint.tls.borrow().clone();
        let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
        let name = tls.sni.unwrap_or_else(|| endpoint.address.host.clone());
        let name = ServerName::try_from(name)
            .map_err(|error| ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let mut config = (*tls.client.config).clone();
        config.alpn_protocols = match endpoint.protocol {
            Protocol::H2 => vec![b"h2".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
        };
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(ConnectError::Tls)?;
        if endpoint.protocol == Protocol::H2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NoHttp2);
        }
        Ok(Stream::Tls(Box::new(stream.into())))
    };
    match pingora_timeout::timeout(timeout, connecting).await {
        Ok(result) => {
            if result.is_ok() {
                endpoint.series.connects.inc();
            }
            result
        }
        Err(_) => Err(ConnectError::Timeout),
    }
}

/// Tries the addresses of the endpoint's name, each once, beginning with the next in turn.
async fn connect_tcp(endpoint: &Rc<Endpoint>, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let (addresses, first) = match endpoint.address.host.parse::<IpAddr>() {
        Ok(ip) => ([SocketAddr::new(ip, endpoint.address.port)].into(), 0),
        Err(_) => addresses(endpoint).await?,
    };
    let in_turn = (0..addresses.len()).map(|turn| addresses[(first.wrapping_add(turn)) % addresses.len()]);
    first_open(in_turn, deadline.into())
        .await
        .map_err(|failed| failed.map_or(ConnectError::Timeout, |(_, error)| ConnectError::Tcp(error)))
}

async fn addresses(endpoint: &Rc<Endpoint>) -> Result<(Arc<[SocketAddr]>, usize), ConnectError> {
    let known = endpoint.resolved.borrow_mut().as_mut().map(|resolved| {
        resolved.next = resolved.next.wrapping_add(1);
        let stale = resolved.at.elapsed() >= RESOLVE_AGAIN;
        if stale {
            resolved.at = Instant::now(); // one lookup at a time: the next is due in a full interval
        }
        (Arc::clone(&resolved.addresses), resolved.next, stale)
    });
    match known {
        Some((addresses, next, stale)) => {
            if stale {
                let endpoint = Rc::clone(endpoint);
                tokio::task::spawn_local(async move {
                    if let Err(error) = look_up(&endpoint).await {
                        tracing::warn!(endpoint = %endpoint.text, %error, "the name can't be resolved; its last addresses are kept");
                    }
                });
            }
            Ok((addresses, next))
        }
        None => look_up(endpoint).await.map(|addresses| (addresses, 0)).map_err(ConnectError::Name),
    }
}

async fn look_up(endpoint: &Endpoint) -> io::Result<Arc<[SocketAddr]>> {
    let found = tokio::net::lookup_host((endpoint.address.host.as_str(), endpoint.address.port)).await?;
    let addresses: Arc<[SocketAddr]> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    *endpoint.resolved.borrow_mut() = Some(Resolved { addresses: Arc::clone(&addresses), at: Instant::now(), next: 0 });
    Ok(addresses)
}
