//! Lasting, authenticated sessions with lanes, messages and streams, over any network.
//!
//! A **session** is a relation between two peers who know each other's keys. It is not a connection: when its **link**
//! (a TCP connection under TLS 1.3) is cut, the client comes back and resumes where both sides stood; nothing is lost,
//! doubled or reordered within a stream, or both sides are told that the session is gone and which messages are
//! undecided. Messages travel in **lanes** (`urgent` before `normal` before `bulk`); bodies and calls open **streams** of
//! their own order and credit.
//!
//! ```
//! use std::sync::Arc;
//! use towline::{Client, Identity, Lane, Plugin, Server, Session};
//!
//! struct Echo;
//! impl Plugin for Echo {
//!     async fn session(&self, session: Session) {
//!         while let Ok((lane, message)) = session.recv_any().await {
//!             let _ = session.send(lane, message).await;
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Arc::new(Identity::generate()); // or Identity::load_or_create(path)
//! let server = Server::builder(hub.clone()).listen("127.0.0.1:0").serve(Echo).await?;
//!
//! let host = server.local_addrs()[0].to_string();
//! let device = Arc::new(Identity::generate());
//! let session = Client::new(device, hub.key_hash(), vec![host], Default::default()).connect().await?;
//! session.send(Lane::NORMAL, "hello").await?;
//! assert_eq!(session.recv(Lane::NORMAL).await?, "hello");
//! # Ok(()) }
//! ```
//!
//! **When does a send return?** [`Session::send`] when the message is *taken into credit*: it lies in this side's memory
//! and the peer has room for it. [`Session::send_confirmed`] when it lies in the *peer's memory*. That it is *durable* or
//! *handled* are words of the mailbox ([`mail`]), never of a session.
//!
//! Where what stands: [`identity`] (keys), [`ticket`] (the line that makes a device), [`tls`] (the only module
//! that names rustls or aws-lc-rs), [`transport`] (what carries links), [`codec`], [`pump`] and [`connection`] (the low
//! layer, for any wire format), [`session`], [`client`], [`server`]. The protocol itself is pure and lives in `towline-proto`.

mod backoff;
pub mod call;
pub mod client;
pub mod codec;
pub mod connection;
pub mod filter;
mod hello;
pub mod identity;
pub mod listen;
pub mod mail;
pub mod pump;
pub mod server;
pub mod session;
pub mod ticket;
pub mod tls;
pub mod transport;

pub use client::{Client, ClientConfig, ConnectError};
pub use identity::{Identity, IdentityError};
pub use server::{Counters, Limits, Plugin, RunningServer, Server, ServerBuilder};
pub use session::{Ended, EndedBy, LinkInfo, LinkState, OpenError, Permit, RecvError, RecvHalf, SendError, SendHalf};
pub use session::{Session, Stats, Stream, Undecided};
pub use ticket::{Ticket, TicketError};
pub use towline_proto::ids::Lane;
pub use towline_proto::wire::close::{Close, CloseCode};
