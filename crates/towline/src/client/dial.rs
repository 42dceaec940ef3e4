//! One try to reach the hub: every address of every host, names asked anew.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::transport::{Carried, MemoryDialer};

/// The most addresses of one host that are tried; more come from a resolver's mistake.
const ADDRESSES_MAX: usize = 8;

/// Where a hub is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Hosts(Vec<String>),
    Memory(MemoryDialer),
}

/// An address that did not answer: the host as given, its address if it was found, and why.
pub type Tried = (String, Option<SocketAddr>, io::Error);

impl Place {
    /// The first connection that comes to be, or everything that was tried.
    pub(super) async fn dial(&self, limit: Duration) -> Result<Carried, Vec<Tried>> {
        match self {
            Self::Memory(dialer) => dialer.dial().await.map_err(|error| vec![("memory".into(), None, error)]),
            Self::Hosts(hosts) => dial_hosts(hosts, limit).await,
        }
    }
}

async fn dial_hosts(hosts: &[String], limit: Duration) -> Result<Carried, Vec<Tried>> {
    let mut tried = Vec::new();
    for host in hosts {
        let addresses = match within(limit, lookup_host(host)).await {
            Ok(addresses) => addresses.take(ADDRESSES_MAX),
            Err(error) => {
                tried.push((host.clone(), None, error));
                continue;
            }
        };
        for address in addresses {
            let connected = within(limit, TcpStream::connect(address)).await;
            match connected.and_then(|stream| Carried::tcp(stream, address)) {
                Ok(carried) => return Ok(carried),
                Err(error) => tried.push((host.clone(), Some(address), error)),
            }
        }
    }
    Err(tried)
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
