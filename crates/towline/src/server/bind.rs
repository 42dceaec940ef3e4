//! Binding listeners so that each address means itself.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that the kernel finishes and keeps for us while we are busy.
const BACKLOG: u32 = 1_024;

/// Listens at the first address of `wanted` (`address:port`) that can be bound. `[::]` is IPv6 alone, so that it can stand
/// beside `0.0.0.0` on the same port whatever the system would do.
pub(super) async fn bind(wanted: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(wanted).await? {
        match bind_one(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(true)?;
    }
    // A server that restarts must not wait for its old connections. Elsewhere the option lets others take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_address_of_both_families_can_be_listened_at_on_one_port() {
        let v4 = bind("0.0.0.0:0").await.unwrap();
        let port = v4.local_addr().unwrap().port();
        match bind(&format!("[::]:{port}")).await {
            Ok(v6) => assert_eq!(v6.local_addr().unwrap().port(), port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => panic!("{error}"),
            Err(error) => println!("skipped, no IPv6 here: {error}"),
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let first = bind("127.0.0.1:0").await.unwrap();
        let error = bind(&first.local_addr().unwrap().to_string()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
