//! Sessions over a link without TLS, to measure what TLS costs. Nobody is proven and nothing is secret there.

use std::io;

use tokio::net::TcpStream;
use towline_proto::ids::SessionId;
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::{Session as Core, Side};
use towline_proto::stream_link::LinkConfig;
use towline_proto::wire::hello::Params;
use towline_proto::wire::receive_state::ReceiveState;

use super::link_stream::LinkStream;
use super::{Clock, FreshLink, Moved, Pool, Reconnect, Rejoin, Rejoined, Session, SessionTask, Shared, Supply};
use crate::tls::KeyExchange;
use crate::transport::Carried;

/// A lost link is the session's end.
struct Never;

impl Reconnect for Never {
    fn rejoin(&mut self, _: ReceiveState) -> Rejoin {
        Box::pin(std::future::ready(Rejoined::Gone))
    }

    fn moved(&mut self) -> Moved {
        Box::pin(std::future::pending())
    }
}

/// One end of a session over `stream`, without handshake and hello: the other end makes its own in the same way, with
/// the other `client`. Both sides have the default limits. For measurements only.
///
/// # Errors
/// The system's.
pub fn over_plain_link(stream: TcpStream, client: bool) -> io::Result<Session> {
    let remote = stream.peer_addr()?;
    let Carried { io, remote, transport, .. } = Carried::tcp(stream, remote)?;
    let side = if client { Side::Client } else { Side::Server };
    let core = Core::new(side, SessionId([0; 16]), Params::default(), Params::default());
    let member = Pool::default().admit().map_err(io::Error::other)?;
    let shared = Shared::new(core, PublicKey([0; 32]), Clock::new(), member);
    let stream = LinkStream::Plain(io);
    let key_exchange = KeyExchange::X25519;
    let first = FreshLink { stream, input: Vec::new(), remote, transport, key_exchange, pass: None };
    let supply = Supply::Reconnect(Box::new(Never));
    tokio::spawn(SessionTask::new(shared.clone(), first, &[], supply, LinkConfig::default()));
    Ok(Session::new(shared))
}
