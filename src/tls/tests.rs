//! Handshakes in memory: which certificate a client is shown, what is negotiated, what is refused.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::ServerName;

use super::{CertificatePem, ClientTls, ServerTls, TlsError, is_server_name};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("root"))
    }

    fn root_pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        let leaf = params.signed_by(&key, &self.0).expect("leaf");
        (leaf.pem(), key.serialize_pem())
    }
}

fn server(pairs: &[(String, String)]) -> Result<ServerTls, TlsError> {
    let pems: Vec<_> = pairs
        .iter()
        .map(|(certificate, key)| CertificatePem {
            certificate_file: "shop.pem",
            certificate: certificate.as_bytes(),
            key_file: "shop.key",
            key: key.as_bytes(),
        })
        .collect();
    ServerTls::from_pem(&pems)
}

/// Runs a handshake between both sides without a socket; gives the negotiated protocol.
fn handshake(server: &ServerTls, client: &ClientTls, name: &str) -> Result<Option<Vec<u8>>, rustls::Error> {
    let mut client_config = (*client.config).clone();
    client_config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut client = rustls::ClientConnection::new(Arc::new(client_config), name)?;
    let mut server = rustls::ServerConnection::new(Arc::clone(&server.config))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        let mut from_client = &wire[..];
        while !from_client.is_empty() {
            server.read_tls(&mut from_client).expect("memory");
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        let mut from_server = &wire[..];
        while !from_server.is_empty() {
            client.read_tls(&mut from_server).expect("memory");
            client.process_new_packets()?;
        }
    }
    Ok(server.alpn_protocol().map(<[u8]>::to_vec))
}

#[test]
fn each_server_name_gets_its_own_certificate() {
    let authority = Authority::new();
    let server = server(&[authority.issue("shop.example"), authority.issue("pay.example")]).expect("pairs");
    let client = ClientTls::from_pem("ca.pem", authority.root_pem().as_bytes()).expect("ca");
    for name in ["shop.example", "pay.example", "PAY.example"] {
        assert_eq!(handshake(&server, &client, name), Ok(Some(b"h2".to_vec())), "{name}");
    }
}

#[test]
fn a_wildcard_covers_one_label_and_not_the_bare_name() {
    let authority = Authority::new();
    let server = server(&[authority.issue("other.example"), authority.issue("*.shop.example")]).expect("pairs");
    let client = ClientTls::from_pem("ca.pem", authority.root_pem().as_bytes()).expect("ca");
    assert!(handshake(&server, &client, "api.shop.example").is_ok());
    for name in ["shop.example", "a.b.shop.example"] {
        assert!(handshake(&server, &client, name).is_err(), "{name}");
    }
}

#[test]
fn an_unknown_name_gets_the_first_certificate() {
    let authority = Authority::new();
    let server = server(&[authority.issue("first.example"), authority.issue("second.example")]).expect("pairs");
    let client = ClientTls::from_pem("ca.pem", authority.root_pem().as_bytes()).expect("ca");
    // The handshake fails at the client, and its error names what the server presented.
    let error = handshake(&server, &client, "third.example").expect_err("a name no certificate has");
    assert!(error.to_string().contains("first.example"), "{error}");
}

#[test]
fn a_certificate_of_another_authority_is_not_trusted() {
    let server = server(&[Authority::new().issue("shop.example")]).expect("pair");
    let client = ClientTls::from_pem("ca.pem", Authority::new().root_pem().as_bytes()).expect("ca");
    assert!(handshake(&server, &client, "shop.example").is_err());
}

#[test]
fn broken_material_is_refused_by_file_name() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("shop.example");
    let (_, other_key) = authority.issue("shop.example");
    let text = |s: &str| s.to_owned();
    for (pair, expected) in [
        ((text(""), key.clone()), "\"shop.pem\" contains no certificate"),
        ((key.clone(), key.clone()), "\"shop.pem\" contains no certificate"),
        ((certificate.clone(), text("")), "\"shop.key\" contains no private key"),
        ((certificate.clone(), certificate.clone()), "\"shop.key\" contains no private key"),
        ((certificate.clone(), other_key), "\"shop.key\" does not belong to the first certificate in \"shop.pem\""),
        ((certificate.replace("-----END", "-----FIN"), key.clone()), "\"shop.pem\" is not well-formed PEM"),
        (
            (text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key.clone()),
            "certificate 1 in \"shop.pem\" is not valid",
        ),
    ] {
        let error = server(&[pair]).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(server(&[]).map(|_| ()), Err(TlsError::NoPairs));
}

#[test]
fn an_empty_ca_file_is_refused_by_name() {
    let error = ClientTls::from_pem("ca.pem", b"").map(|_| ()).expect_err("empty");
    assert!(error.to_string().starts_with("\"ca.pem\" contains no certificate"), "{error}");
}

#[test]
fn server_names_are_dns_names_or_addresses() {
    for good in ["shop.example", "10.0.0.1", "::1"] {
        assert!(is_server_name(good), "{good}");
    }
    for bad in ["", "shop example", "https://shop.example", "shop.example:443"] {
        assert!(!is_server_name(bad), "{bad}");
    }
}
