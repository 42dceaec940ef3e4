//! A message before it is signed.

use std::time::{SystemTime, UNIX_EPOCH};
use towline_proto::ids::{DeviceName, Digest, Lane, MessageId};
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::keys::Crypto;

/// What a sender decides about a message; the rest follows from the body and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The recipient.
    pub to: DeviceName,
    /// How long after its acceptance it may start, in milliseconds; 0 asks for the hub's default.
    pub deadline_ms: u64,
    /// The lane on which it travels.
    pub lane: Lane,
    /// Whether the hub keeps it until its outcome, or hands it over now or never.
    pub kept: bool,
    /// The file's name.
    pub name: String,
    /// The media type, or empty.
    pub content_type: String,
}

impl Draft {
    /// A kept message on the normal lane with the hub's default deadline.
    pub fn new(to: DeviceName) -> Self {
        let (name, content_type) = (String::new(), String::new());
        Self { to, deadline_ms: 0, lane: Lane::NORMAL, kept: true, name, content_type }
    }

    /// A new message id: a UUID of version 7, so that ids sort by time.
    pub fn new_id() -> MessageId {
        MessageId(uuid::Uuid::now_v7().into_bytes())
    }

    /// The signed envelope for a body of this length and root, from the device called `from`.
    pub fn seal(
        self,
        id: MessageId,
        from: DeviceName,
        (size, root): (u64, Digest),
        crypto: &impl Crypto,
    ) -> SignedEnvelope {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let envelope = Envelope {
            id,
            from,
            sender: crypto.public_key(),
            to: self.to,
            deadline_ms: self.deadline_ms,
            lane: self.lane,
            kept: self.kept,
            name: self.name,
            content_type: self.content_type,
            size,
            root,
            time_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            seal: 0,
        };
        envelope.seal(crypto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn what_is_sealed_opens_with_the_senders_key() {
        let identity = Identity::generate();
        let mut draft = Draft::new("shop".parse().unwrap());
        draft.name = "order.xml".into();
        let id = Draft::new_id();
        let sealed = draft.seal(id, "till".parse().unwrap(), (3, Digest([1; 32])), &identity);
        let envelope = sealed.open(&identity).unwrap();
        assert_eq!((envelope.id, envelope.sender, envelope.name.as_str()), (id, identity.public_key(), "order.xml"));
        assert_ne!(id, Draft::new_id());
    }
}
