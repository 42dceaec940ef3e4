//! A bounded reader, and the few writers that go with it.
//!
//! Integers are QUIC's (RFC 9000 §16): the two high bits of the first byte say how many bytes there are (1, 2, 4 or 8),
//! the rest is the number, most significant byte first. A reader takes any of the forms, a writer writes the shortest.

#[cfg(test)]
mod tests;

/// The largest number that the wire can carry: 2^62 − 1.
pub const MAX_VARINT: u64 = (1 << 62) - 1;

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the thing does.
    #[error("the bytes end before {what} does")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// A length or count is over its limit; nothing was allocated for it.
    #[error("{what} is over its limit of {limit}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A value that must not stand there.
    #[error("{what} is malformed")]
    Invalid {
        /// What was being read.
        what: &'static str,
    },
}

/// Reads from the front of a slice; never past its end, and never more than a limit that the caller names.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// How many bytes have been read.
    pub const fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes all that is left.
    pub const fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Takes exactly `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; then nothing is taken.
    pub const fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(DecodeError::Truncated { what }),
        }
    }

    /// Takes an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; then nothing is taken.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { what })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Takes a number in any of its forms.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]; then nothing is taken.
    pub fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let first = *self.rest.first().ok_or(DecodeError::Truncated { what })?;
        let bytes = self.take(1 << (first >> 6), what)?;
        Ok(bytes.iter().skip(1).fold(u64::from(first & 0x3f), |number, &byte| (number << 8) | u64::from(byte)))
    }

    /// Takes a number that must be at most `limit`: a length or a count, before anything is allocated for it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::TooLong`].
    pub fn bounded(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let number = self.varint(what)?;
        usize::try_from(number).ok().filter(|&n| n <= limit).ok_or(DecodeError::TooLong { what, limit })
    }

    /// Takes a length, which must be at most `limit`, and that many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::TooLong`].
    pub fn prefixed(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.bounded(limit, what)?;
        self.take(length, what)
    }

    /// Ends the reading: nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`].
    pub const fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Invalid { what }) }
    }
}

/// How many bytes the shortest form of `value` has.
///
/// # Panics
/// Above [`MAX_VARINT`]: offsets and ids are bounded long before, so this is our bug.
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => {
            assert!(value <= MAX_VARINT, "a number over 2^62 - 1 cannot be written");
            8
        }
    }
}

/// Appends the shortest form of `value`.
///
/// # Panics
/// As [`varint_len`].
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    match varint_len(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Appends a length and the bytes.
pub fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
