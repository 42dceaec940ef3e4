//! The names by which packets find their link, whatever address they come from (RFC 9000 §5.1).

use core::fmt;
use core::ops::Deref;

/// The longest connection id, in bytes (RFC 9000 §17.2).
pub const MAX_ID_BYTES: usize = 20;

/// How long ours are, in bytes, always: a short header does not say where its id ends. Eight random bytes are told apart
/// among millions of links, and cannot be guessed.
pub const LOCAL_ID_BYTES: usize = 8;

/// The shortest that a client may make up for a server it does not know yet, in bytes (RFC 9000 §7.2): nobody who does not
/// see its packets can forge Initial ones.
pub const FIRST_ID_BYTES_MIN: usize = 8;

/// A connection id: up to [`MAX_ID_BYTES`] bytes that mean something only to who chose them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    len: u8,
    /// Zero behind `len`, so that comparing all of it compares ids.
    bytes: [u8; MAX_ID_BYTES],
}

impl ConnectionId {
    /// The id of these bytes; `None` for more than [`MAX_ID_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut id = Self { len: bytes.len() as u8, bytes: [0; MAX_ID_BYTES] };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }
}

impl From<[u8; LOCAL_ID_BYTES]> for ConnectionId {
    fn from(id: [u8; LOCAL_ID_BYTES]) -> Self {
        let mut bytes = [0; MAX_ID_BYTES];
        bytes[..LOCAL_ID_BYTES].copy_from_slice(&id);
        Self { len: LOCAL_ID_BYTES as u8, bytes }
    }
}

impl Deref for ConnectionId {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#")?;
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_0_to_20_bytes_and_is_told_from_a_longer_one() {
        let bytes = [0; 21];
        for len in 0..=MAX_ID_BYTES {
            let id = ConnectionId::new(&bytes[..len]).unwrap();
            assert_eq!(&*id, &bytes[..len]);
            assert_eq!(Some(id) == ConnectionId::new(&bytes[..8]), len == 8);
        }
        assert_eq!(ConnectionId::new(&bytes), None);
        assert_eq!(ConnectionId::from([7; 8]), ConnectionId::new(&[7; 8]).unwrap());
        assert_eq!(format!("{:?}", ConnectionId::new(&[0, 0xa7]).unwrap()), "#00a7");
    }
}
