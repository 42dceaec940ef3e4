//! Calls (RPC): one request or many, one reply or many, any number at once.
//!
//! A call is a stream of its session: calls never wait for one another, a reader that is slow slows its own writer and
//! nothing else, and dropping either end cancels the other within a round trip. What is said on that stream stands in
//! [`towline_proto::call`].
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
mod halves;
mod serve;

pub use caller::{Call, Caller, Request};
pub use halves::{Items, Replies, Sink};
pub use serve::{Calls, Incoming, Service, serve};
pub use towline_proto::call::{Code, Metadata, Status};
