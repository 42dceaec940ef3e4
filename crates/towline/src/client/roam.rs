//! Notices that this machine has another address towards the hub, long before the probes find the old link dead.
//!
//! Asked is the kernel, which knows its routes: an unbound UDP socket is "connected" to the hub, which sends nothing and
//! chooses the address that packets would leave from. This works alike wherever there are sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::time::sleep;

/// Looks at the own address towards one hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    pub(super) hub: SocketAddr,
    pub(super) every: Duration,
}

impl Outlook {
    /// The address that packets to the hub leave from; `None` while there is no way.
    pub(super) fn source(self) -> Option<IpAddr> {
        let any: IpAddr = match self.hub {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(self.hub).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }

    /// Waits until packets leave from an address other than `known`, and tells it.
    pub(super) async fn changed(self, known: Option<IpAddr>) -> IpAddr {
        loop {
            sleep(self.every).await;
            if let Some(new) = news(known, self.source()) {
                return new;
            }
        }
    }
}

/// The address that is new. That there is none at the moment is no news: a link on an address that comes back lives on.
fn news(known: Option<IpAddr>, now: Option<IpAddr>) -> Option<IpAddr> {
    now.filter(|now| known != Some(*now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_is_news_and_the_same_or_none_is_not() {
        let [old, new] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        assert_eq!(news(Some(old), Some(new)), Some(new));
        assert_eq!(news(Some(old), Some(old)), None);
        assert_eq!(news(Some(old), None), None, "a cable pulled for a moment");
        assert_eq!(news(None, Some(old)), Some(old), "the first address after none");
        assert_eq!(news(None, None), None);
    }

    #[test]
    fn the_kernel_is_asked_without_sending_anything() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let outlook = Outlook { hub: listener.local_addr().unwrap(), every: Duration::from_secs(1) };
        assert_eq!(outlook.source(), Some(Ipv4Addr::LOCALHOST.into()));
        let nothing = listener.recv(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
}
