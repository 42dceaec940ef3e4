//! Lasting, authenticated sessions with lanes, messages and streams, over any network.

pub mod client;
pub mod connection;
mod hello;
pub mod identity;
pub mod mail;
pub mod pump;
pub mod server;
pub mod session;
pub mod ticket;
mod tls;
pub mod transport;

pub use client::{Client, ClientConfig, ConnectError};
pub use identity::{Identity, IdentityError};
pub use server::{Counters, Limits, Plugin, RunningServer, Server, ServerBuilder};
pub use session::{Ended, EndedBy, LinkInfo, LinkState, OpenError, Permit, RecvError, RecvHalf, SendError, SendHalf};
pub use session::{Session, Stats, Stream, Undecided};
pub use ticket::{Ticket, TicketError};
pub use towline_proto::ids::Lane;
pub use towline_proto::wire::close::{Close, CloseCode};
