//! Ports for gateways that are started as processes of their own, and started again on the same one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the system picks ports for connections, so that none is taken by accident
/// between being found free here and being bound by the gateway.
const FIRST_PORT: u16 = 11_000;
const PORTS: u16 = 20_000;

/// An address nobody else in this process is given and nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let start = u16::try_from(std::process::id() % u32::from(PORTS)).expect("under 20,000");
        let offset = (u32::from(start) * 37 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(PORTS);
        let port = FIRST_PORT + u16::try_from(offset).expect("under 20,000");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
