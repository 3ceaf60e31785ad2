//! What a peer can make the gateway keep in memory.

use std::sync::mpsc;

use crate::support::{FakeBackend, LIMIT, TestGateway};

/// What may have to be sent again is kept up to 64 KiB; each byte of it once kept the memory of a whole read.
#[test]
fn upload_byte_by_byte_takes_no_more_memory_than_its_bytes() {
    let (arrived, arrivals) = mpsc::channel();
    let backend = FakeBackend::start(move |connection| {
        if connection.head().is_none() {
            return; // the connection that ends the test
        }
        while connection.chunk().is_some() && arrived.send(()).is_ok() {}
    });
    let gateway = TestGateway::before(&backend);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut upload = |count: usize| {
        for _ in 0..count {
            client.send("1\r\na\r\n");
            arrivals.recv_timeout(LIMIT).expect("each byte is passed on");
        }
    };
    upload(100);
    let before = gateway.memory();
    upload(4_000);
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more for 4,000 bytes");
}
