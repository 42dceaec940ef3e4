//! Calls: what is said on a call's stream.
//!
//! A call is a stream of its own. The caller's first word begins it, items follow one another in both directions, the
//! answering side's last word is a status. That a side gives up is the stream's reset or stop, with the status code as
//! the stream's code; so cancelling, credit and order are the stream's and nothing is built twice.
//!
//! Over a bare connection, which has no streams, [`exchange`] keeps the little of them that calls need, and a [`Packet`]
//! goes around each item.

pub mod exchange;
mod packet;
mod status;
#[cfg(test)]
mod tests;
mod word;

pub use packet::{Packet, Part};
pub use status::{Code, Status};
pub use word::{Begin, Metadata, Word};

/// The longest name of a method, in bytes: a path of a few words.
pub const MAX_METHOD_BYTES: usize = 256;

/// The most entries of metadata in one word; each costs work before anybody is known to want it.
pub const MAX_METADATA: usize = 32;

/// The longest key of metadata, in bytes.
pub const MAX_METADATA_KEY_BYTES: usize = 128;

/// The longest value of metadata, in bytes: a token or a trace context. What is larger belongs into an item.
pub const MAX_METADATA_VALUE_BYTES: usize = 4 * 1024;

/// The longest text of a status, in bytes: a few lines for people.
pub const MAX_STATUS_TEXT_BYTES: usize = 1_024;

/// The longest detail of a status, in bytes: an error of the application in its own encoding.
pub const MAX_STATUS_DETAIL_BYTES: usize = 16 * 1024;
