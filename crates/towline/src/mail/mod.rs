//! What a device uses of the hub: it attaches, sends, asks, and hears what becomes of its messages.
//!
//! [`Device`] speaks the words of [`towline_proto::mail::message`] over one [`Session`](crate::Session). It keeps
//! nothing on disk: a sender that must survive a crash keeps the signed envelope and submits it again, which is
//! harmless, because the hub knows a message by its id.

mod body;
mod compose;
mod device;
mod error;
mod events;
mod pending;

pub use body::{Body, hash_file};
pub use compose::Draft;
pub use device::{Accepted, Device, Submitted, join};
pub use error::{AskError, AttachError, SubmitError};
pub use events::{Event, Events, IncomingBody};
