//! TLS neighbours of the gateway: an authority that issues certificates, a client and a backend.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::LIMIT;
use super::message::{MessageReader, Response, status_of};

/// Issues certificates that its clients trust.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM")
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    /// The root, as PEM.
    pub(crate) fn root(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn issue(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate { chain: leaf.pem(), key: key.serialize_pem() }
    }

    /// A client's settings that trust this authority and offer these protocols.
    pub(crate) fn client_config(&self, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}

/// One connection over TLS.
pub(crate) struct TlsClient {
    reader: MessageReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl TlsClient {
    /// Shakes hands; fails as the handshake does.
    pub(crate) fn connect(address: SocketAddr, name: &str, config: ClientConfig) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address).expect("the gateway accepts");
        stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut connection = ClientConnection::new(Arc::new(config), name).expect("settings");
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self { reader: MessageReader::new(StreamOwned::new(connection, stream)) })
    }

    pub(crate) fn protocol(&self) -> Option<String> {
        let protocol = self.reader.stream.conn.alpn_protocol()?;
        Some(String::from_utf8_lossy(protocol).into_owned())
    }

    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let chain = self.reader.stream.conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    }

    /// A GET on this connection.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        self.reader.stream.write_all(request.as_bytes()).expect("sent");
        let head = self.reader.head().expect("an answer in time").expect("an answer");
        let body = self.reader.body(&head, true).expect("a body");
        Response { status: status_of(&head), head, body: body.bytes, complete: body.complete, ..Response::default() }
    }
}

/// A backend that answers each request over TLS with the server name it was asked for.
pub(crate) fn tls_backend(certificate: &Certificate) -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der()], key);
    let config = Arc::new(config.expect("settings"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, config) = (stream.expect("a connection"), Arc::clone(&config));
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("settings");
                let mut reader = MessageReader::new(StreamOwned::new(connection, stream));
                while let Ok(Some(_)) = reader.head() {
                    let name = reader.stream.conn.server_name().unwrap_or("none").to_owned();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if reader.stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
