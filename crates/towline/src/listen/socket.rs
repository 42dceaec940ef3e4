//! Options of listening sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, lookup_host};

/// Connections that the kernel may hold until they are taken, by default: those of a second in which thousands come back.
const BACKLOG: u32 = 4_096;

/// How long a connection may be silent before the kernel asks whether its peer is there, by default.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How often it asks, then gives up after the system's number of tries.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Options of a listening socket. Connections inherit the keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Connections that the kernel may hold until they are taken; it has a bound of its own (`somaxconn`).
    pub backlog: u32,
    /// Whether the address may be bound though connections of an earlier listener linger in the kernel.
    pub reuse_address: bool,
    /// Whether several listeners may share the address, each getting a part of the connections.
    pub reuse_port: bool,
    /// Whether a listener on `[::]` takes IPv4 connections too, whatever the system's default is.
    pub dual_stack: bool,
    /// After how much silence the kernel asks whether the peer is there; `None`: never.
    pub keepalive: Option<Duration>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { backlog: BACKLOG, reuse_address: true, reuse_port: false, dual_stack: true, keepalive: Some(KEEPALIVE) }
    }
}

/// A listening socket on the first address of `address` (`host:port`) that can be bound.
pub(crate) async fn bind(address: &str, options: &SocketOptions) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for found in lookup_host(address).await.map_err(named)? {
        match bind_one(found, options) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(named(failed))
}

fn bind_one(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(options.reuse_address)?;
    #[cfg(unix)]
    socket.set_reuse_port(options.reuse_port)?;
    if address.is_ipv6() {
        socket.set_only_v6(!options.dual_stack)?;
    }
    keep_alive(&SockRef::from(&socket), options.keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Switches the kernel's questions on or off.
pub(super) fn keep_alive(socket: &SockRef<'_>, after: Option<Duration>) -> io::Result<()> {
    match after {
        Some(after) => {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after).with_interval(KEEPALIVE_INTERVAL))
        }
        None => socket.set_keepalive(false),
    }
}
