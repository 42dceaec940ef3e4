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
//! that names rustls or aws-lc-rs), [`transport`] (what carries links), [`session`], [`client`], [`server`], [`call`]. The
//! protocol itself is pure and lives in `towline-proto`.
//!
//! **Without a session.** A protocol of your own over any byte stream needs only a [`connection`] with a [`codec`], and
//! perhaps [`filter`]s, [`tls`], and a [`listen`]er or [`tcp`]. Its page has a client; this is a server:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use bytes::Bytes;
//! use towline::codec::Delimited;
//! use towline::connection::{Connection, Reactor, Replies};
//! use towline::listen::{ListenConfig, Listener};
//!
//! struct Shout;
//! impl Reactor<Delimited> for Shout {
//!     type Outbound = Bytes;
//!     fn message(&mut self, line: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
//!         replies.push(line.to_ascii_uppercase().into());
//!         ControlFlow::Continue(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let mut listener = Listener::bind("[::]:7000", ListenConfig::default()).await?;
//! loop {
//!     let stream = listener.accept().await.plain();
//!     let connection = Connection::answering(stream, Delimited::lines(1_024), Shout, Default::default());
//!     tokio::spawn(async move { println!("ended: {}", connection.await) });
//! }
//! # }
//! ```

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
pub mod tcp;
pub mod ticket;
pub mod tls;
pub mod transport;

pub use client::{Client, ClientConfig, ConnectError};
pub use identity::{Identity, IdentityError};
pub use server::{Counters, Limits, Plugin, RunningServer, Server, ServerBuilder};
pub use session::{Ended, EndedBy, LinkInfo, LinkState, OpenError, Permit, RecvError, RecvHalf, SendError, SendHalf};
pub use session::{Level, Pool, PoolStats, Session, Stats, Stream, Undecided};
pub use ticket::{Ticket, TicketError};
pub use tls::{BadPostQuantum, KeyExchange, PostQuantum};
pub use towline_proto::ids::Lane;
pub use towline_proto::wire::close::{Close, CloseCode};
