//! The hub's core, one behaviour at a time.

mod accept;
mod ask;
mod attach;
#[path = "../../../../tests/mail_world/crypto.rs"]
mod crypto;
mod hostile;
mod live;
mod tickets;
mod time;
mod world;
