//! The bytes on the wire: `docs/wire.md` draws them, and its tables and vectors are held against this module by tests.

pub mod ack;
pub mod close;
pub mod cursor;
pub mod frame;
pub mod hello;
pub mod receive_state;
