//! Connections that change their protocol: spliced when both sides agreed, never otherwise (RFC 9110 section 7.8).

use crate::support::{FakeBackend, TestGateway};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn upgraded_connection_carries_bytes_both_ways() {
    let backend = FakeBackend::start(|connection| {
        let Some(head) = connection.head() else { return };
        assert_eq!(head.get("upgrade"), Some("websocket"));
        assert!(head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
        // Bytes right behind the 101 belong to the new protocol already.
        connection.send(format!("{SWITCHING}hi"));
        while let Some(bytes) = connection.exactly(4) {
            connection.send(bytes);
        }
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    let response = client.send(UPGRADE).response();
    assert_eq!(response.status, 101);
    assert_eq!(response.get("upgrade"), Some("websocket"));
    assert_eq!(response.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.exactly(2), b"hi");
    for text in ["ping", "\0\r\n\r"] {
        assert_eq!(client.send(text).exactly(4), text.as_bytes());
    }
}

#[test]
fn bytes_sent_with_the_upgrade_are_not_lost() {
    let backend = FakeBackend::start(|connection| {
        connection.head();
        connection.send(SWITCHING);
        let bytes = connection.exactly(5).unwrap_or_default();
        connection.send(bytes);
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    assert_eq!(client.send(format!("{UPGRADE}early")).response().status, 101);
    assert_eq!(client.exactly(5), b"early");
}

#[test]
fn each_side_of_an_upgraded_connection_ends_by_itself() {
    let backend = FakeBackend::start(|connection| {
        connection.head();
        connection.send(SWITCHING);
        // Everything up to the client's FIN arrives, and the other direction is still open.
        assert!(connection.exactly(3).is_some_and(|bytes| bytes == b"bye"));
        assert!(connection.exactly(1).is_none());
        connection.send("goodbye");
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send(UPGRADE).response();
    client.send("bye").half_close();
    assert_eq!(client.rest(), b"goodbye");
}

#[test]
fn backend_that_hangs_up_ends_the_upgraded_connection() {
    let backend = FakeBackend::start(|connection| {
        connection.head();
        connection.send(format!("{SWITCHING}last words"));
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send(UPGRADE).response();
    assert_eq!(client.rest(), b"last words");
}

#[test]
fn refused_upgrade_is_an_answer_like_any_other() {
    let backend = FakeBackend::answering(|_| "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".into());
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    assert_eq!(client.send(UPGRADE).response().text(), "no");
    assert_eq!(client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "no");
}

#[test]
fn answer_that_an_upgrade_is_required_says_to_what() {
    let backend = FakeBackend::answering(|_| {
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\ncontent-length: 0\r\n\r\n".into()
    });
    let response = TestGateway::before(&backend).get("/x", "");
    assert_eq!((response.status, response.get("upgrade")), (426, Some("websocket")));
    assert_eq!(response.all("connection"), ["upgrade"]);
}

#[test]
fn switch_that_nobody_asked_for_is_a_bad_answer() {
    let backend = FakeBackend::start(|connection| {
        connection.request();
        connection.send(SWITCHING);
        connection.is_abandoned();
    });
    let gateway = TestGateway::before(&backend);
    let response = gateway.get("/x", "");
    assert_eq!((response.status, response.problem().as_str()), (502, "upstream-invalid"));
}

#[test]
fn switch_to_another_protocol_than_was_offered_is_a_bad_answer() {
    for (answer, status) in [
        ("Upgrade: evil\r\n", 502),
        ("Upgrade: websocket, evil\r\n", 502),
        ("Upgrade: websocket\r\nUpgrade: evil\r\n", 502),
        ("Upgrade:\r\n", 502),
        ("", 502),
        ("Upgrade: WebSocket\r\n", 101),
    ] {
        let backend = FakeBackend::start(move |connection| {
            connection.head();
            connection.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{answer}\r\n"));
            connection.is_abandoned();
        });
        let gateway = TestGateway::before(&backend);
        let response = gateway.exchange(UPGRADE.replace("Upgrade: websocket", "Upgrade: chat, websocket"));
        assert_eq!(response.status, status, "{answer:?}");
        if status == 502 {
            assert_eq!(response.problem(), "upstream-invalid", "{answer:?}");
        }
    }
}

#[test]
fn protocol_of_any_upgrade_line_may_be_switched_to() {
    let backend = FakeBackend::start(|connection| {
        let Some(head) = connection.head() else { return };
        assert_eq!(head.all("upgrade"), ["chat, websocket"]);
        connection.send(format!("{SWITCHING}hi"));
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    let upgrade = UPGRADE.replace("Upgrade: websocket", "Upgrade: chat\r\nUpgrade: websocket");
    assert_eq!(client.send(upgrade).response().status, 101);
    assert_eq!(client.rest(), b"hi");
}

#[test]
fn h2c_upgrade_never_reaches_a_backend() {
    let backend = FakeBackend::echoing();
    let gateway = TestGateway::before(&backend);
    let response = gateway.get(
        "/x",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    );
    assert_eq!((response.status, response.text().as_str()), (200, "/x"));
    let request = backend.request();
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(request.get(name), None, "{name}");
    }
    assert!(request.all("connection").iter().all(|value| !value.to_ascii_lowercase().contains("upgrade")));
}
