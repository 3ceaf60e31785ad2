//! From a host name to an open connection, within a time, and a precise word for what went wrong.
//!
//! Whatever fails here, no byte of a request has been sent: every [`ConnectError`] may be answered by trying elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Stream;
use crate::tls::ClientTls;
use crate::units::format_duration;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name can't be resolved, or has no address.
    #[error("the name {host} can't be resolved: {source}")]
    Lookup {
        /// As asked for.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// No address takes connections: refused, unreachable, reset. The last address's error.
    #[error("{address} can't be reached: {source}")]
    Unreachable {
        /// The address tried last.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The time ran out, in whatever step.
    #[error("no connection to {host} port {port} within {}", format_duration(*.after))]
    TimedOut {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// The time there was.
        after: Duration,
    },
    /// The name to verify is neither a DNS name nor an address.
    #[error("{0:?} is not a name that a certificate can have; write a host name or an IP address")]
    ServerName(String),
    /// The handshake failed: certificate, versions, or the other side does not speak TLS.
    #[error("TLS with {host} port {port} failed: {source}")]
    Tls {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What TLS says.
        source: io::Error,
    },
}

/// Opens a connection to the first address of `host` that takes one, TLS included if asked for: with a configuration
/// (its ALPN is the caller's to set) and the server name to ask for and to verify. `timeout` covers everything.
///
/// # Errors
/// [`ConnectError`]; nothing was sent but, possibly, a TLS handshake.
pub async fn connect(
    host: &str,
    port: u16,
    tls: Option<(&ClientTls, &str)>,
    timeout: Duration,
) -> Result<Stream, ConnectError> {
    let timed_out = || ConnectError::TimedOut { host: host.to_owned(), port, after: timeout };
    let deadline = Instant::now() + timeout;
    let tls = match tls {
        Some((client, name)) => {
            let bad_name = |_| ConnectError::ServerName(name.to_owned());
            Some((client, ServerName::try_from(name.to_owned()).map_err(bad_name)?))
        }
        None => None,
    };
    let lookup_failed = |source| ConnectError::Lookup { host: host.to_owned(), source };
    let found = timeout_at(deadline, lookup_host((host, port))).await.map_err(|_| timed_out())?;
    let addresses: Vec<SocketAddr> = found.map_err(lookup_failed)?.collect();
    let socket = match first_open(addresses.iter().copied(), deadline).await {
        Ok(socket) => socket,
        Err(None) if addresses.is_empty() => {
            return Err(lookup_failed(io::Error::new(io::ErrorKind::NotFound, "it has no address")));
        }
        Err(None) => return Err(timed_out()),
        Err(Some((address, source))) => return Err(ConnectError::Unreachable { address, source }),
    };
    let Some((client, name)) = tls else { return Ok(Stream::Plain(socket)) };
    let handshake = TlsConnector::from(Arc::clone(&client.config)).connect(name, socket);
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream.into()))),
        Ok(Err(source)) => Err(ConnectError::Tls { host: host.to_owned(), port, source }),
        Err(_) => Err(timed_out()),
    }
}

/// Tries one address after the other, each for a fair share of the time left, so that a silent first one does not eat
/// it all. The error is the last address's, or `None` if that one stayed silent.
pub(crate) async fn first_open(
    addresses: impl ExactSizeIterator<Item = SocketAddr>,
    deadline: Instant,
) -> Result<TcpStream, Option<(SocketAddr, io::Error)>> {
    let mut last_error = None;
    let count = addresses.len();
    for (index, address) in addresses.enumerate() {
        let left = u32::try_from(count - index).unwrap_or(u32::MAX);
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / left;
        last_error = match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => match socket.set_nodelay(true) {
                Ok(()) => return Ok(socket),
                Err(error) => Some((address, error)),
            },
            Ok(Err(error)) => Some((address, error)),
            Err(_) => None,
        };
    }
    Err(last_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    /// Takes no further connection: its queue is full.
    async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let listener = socket.listen(0).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
            waiting.push(stream);
        }
        (address, listener, waiting)
    }

    #[tokio::test]
    async fn silent_first_address_leaves_time_for_the_next() {
        let (silent, _listener, _waiting) = silent().await;
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let addresses = [silent, open.local_addr().expect("an address")];
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(2);
        let socket = first_open(addresses.into_iter(), deadline).await.expect("the second address takes connections");
        assert_eq!(socket.peer_addr().ok(), Some(addresses[1]));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}
