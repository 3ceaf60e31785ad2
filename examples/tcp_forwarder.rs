//! A bare TCP forwarder: what any proxy on this runtime costs before it looks at a single byte.
//!
//! Usage: `tcp_forwarder LISTEN BACKEND THREADS`. One single-threaded runtime per thread with its own
//! `SO_REUSEPORT` listener, as the gateway's data plane has. Each client connection gets a backend
//! connection of its own; there is no pool, because a forwarder does not know where a request ends.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

const BUFFER_BYTES: usize = 16 << 10;
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn forward(mut client: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER_BYTES, BUFFER_BYTES).await?;
    Ok(())
}

fn run(address: SocketAddr, backend: SocketAddr) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = listen(address)?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(forward(client, backend));
        }
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, backend, threads] = arguments.as_slice() else {
        return Err("usage: tcp_forwarder LISTEN BACKEND THREADS".into());
    };
    let (address, backend): (SocketAddr, SocketAddr) = (address.parse()?, backend.parse()?);
    let threads: Vec<_> =
        (0..threads.parse::<usize>()?).map(|_| std::thread::spawn(move || run(address, backend))).collect();
    for thread in threads {
        thread.join().map_err(|_| "a forwarder thread panicked")??;
    }
    Ok(())
}
