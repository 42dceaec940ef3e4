//! Calls (RPC): one request or many, one reply or many, any number at once.
//!
//! A call is a stream of its session: calls never wait for one another, a reader that is slow slows its own writer and
//! nothing else, and dropping either end cancels the other within a round trip. What is said on that stream stands in
//! [`towline_proto::call`] and `docs/calls.md`.
//!
//! [`service!`](crate::service) makes a typed service from a list of methods:
//!
//! ```
//! # #[cfg(feature = "messagepack")] mod example {
//! use std::sync::Arc;
//! use towline::call::{CallInfo, Caller, Status};
//! use towline::codec::MessagePack;
//! use towline::{Client, Identity, Server};
//!
//! towline::service! {
//!     mod greeter in MessagePack {
//!         /// Says hello to a name.
//!         fn hello(String) -> String;
//!     }
//! }
//!
//! struct Polite;
//! impl greeter::Handler for Polite {
//!     async fn hello(&self, name: String, _: &CallInfo) -> Result<String, Status> {
//!         Ok(format!("hello {name}"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Arc::new(Identity::generate());
//! let server = Server::builder(hub.clone()).listen("127.0.0.1:0").serve(greeter::plugin(Polite)).await?;
//!
//! let host = server.local_addrs()[0].to_string();
//! let me = Arc::new(Identity::generate());
//! let session = Client::new(me, hub.key_hash(), vec![host], Default::default()).connect().await?;
//! let greeter = greeter::Client::new(Caller::new(session));
//! assert_eq!(greeter.hello(&"kitchen".to_owned()).await?, "hello kitchen");
//! # Ok(()) }
//! # }
//! # #[cfg(feature = "messagepack")] example::main().unwrap();
//! ```
//!
//! [`direct`] carries calls over a bare connection, with an engineer's own messages; a [`Pool`] keeps a bounded number of
//! either, connecting on demand.
//!
//! Below the typed services stands [`Service`], one function for calls of every method and shape over plain bytes:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use towline::call::{Caller, Calls, Incoming, Request, Service, Status};
//! use towline::{Client, Identity, Server};
//!
//! struct Greeter;
//! impl Service for Greeter {
//!     async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
//!         let name = call.requests.one().await?;
//!         call.replies.last([b"hello ", &name[..]].concat()).await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Arc::new(Identity::generate());
//! let server = Server::builder(hub.clone()).listen("127.0.0.1:0").serve(Calls::new(Greeter)).await?;
//!
//! let host = server.local_addrs()[0].to_string();
//! let me = Arc::new(Identity::generate());
//! let session = Client::new(me, hub.key_hash(), vec![host], Default::default()).connect().await?;
//! let caller = Caller::new(session);
//! let reply = caller.unary(Request::new("greet", "kitchen").with_timeout(Duration::from_secs(5))).await?;
//! assert_eq!(reply, "hello kitchen");
//! # Ok(()) }
//! ```

mod caller;
pub mod direct;
mod halves;
mod pool;
mod serve;
#[cfg(feature = "tower")]
mod tower;
mod typed;

/// The guide's chapter, so that its code is tested.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/guide/05-calls.md")]
struct GuideChapter;

pub use caller::{Call, Caller, Request};
pub use halves::{Items, Replies, Sink};
pub use pool::{Pool, Pooled};
pub use serve::{CallInfo, Calls, Incoming, Service, serve};
#[cfg(feature = "tower")]
pub use tower::TowerService;
pub use towline_proto::call::{Code, Metadata, Status};
pub use typed::{TypedCall, TypedReplies, TypedRequests, read_one, write_last};
