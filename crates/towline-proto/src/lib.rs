//! The Towline protocol as pure state machines: bytes and time in, bytes and events out.
//!
//! Nothing here reads a clock, opens a socket, spawns a task or draws a random number; the shell hands all of it in.

pub mod bits;
pub mod call;
pub mod datagram;
pub mod ids;
pub mod limits;
pub mod link;
pub mod mail;
pub mod ranges;
pub mod ring;
pub mod session;
pub mod stream_link;
pub mod time;
pub mod wire;

/// So that unit tests and integration tests share helpers.
#[cfg(test)]
extern crate self as towline_proto;
