//! Messages that end where a certain byte string stands.

use bytes::Bytes;
use memchr::memmem::Finder;

use super::limit::Limit;
use super::{Decoder, Encoder, FrameError, Framing, Skipped, Verdict};
use crate::pump::Outbox;

/// Messages that end at a delimiter: lines, records, anything.
///
/// What was searched once is not searched again when more comes, so a peer that sends its message byte by byte costs no
/// more than one that sends it at once.
///
/// ```
/// use towline::codec::{Decoder, Delimited, Verdict};
///
/// let mut codec = Delimited::new(*b"\r\n", 1_000);
/// assert_eq!(codec.decode(b"GET x\r\nGET"), Ok(Verdict::Message(&b"GET x"[..], 7)));
/// assert_eq!(codec.decode(b"GET"), Ok(Verdict::Need(1)));
/// ```
#[derive(Clone, Debug)]
pub struct Delimited {
    finder: Finder<'static>,
    limit: Limit,
    keeps_delimiter: bool,
    /// So many of the message's first bytes hold no beginning of a delimiter.
    searched: usize,
    /// Inside a message that is too long: all is thrown away up to the next delimiter.
    skipping: bool,
    /// Where a message's end and the delimiter behind it are looked at together, to find a delimiter that begins too early.
    seam: Vec<u8>,
}

impl Delimited {
    /// Messages of at most `max_bytes`, not counting the delimiter, which is not handed up and is appended on sending.
    ///
    /// # Panics
    /// The delimiter is empty.
    pub fn new(delimiter: impl AsRef<[u8]>, max_bytes: usize) -> Self {
        let delimiter = delimiter.as_ref();
        assert!(!delimiter.is_empty(), "an empty delimiter ends no message");
        let finder = Finder::new(delimiter).into_owned();
        let limit = Limit::new(max_bytes);
        Self { finder, limit, keeps_delimiter: false, searched: 0, skipping: false, seam: Vec::new() }
    }

    /// Lines that end with `\n`, of at most `max_bytes` without it.
    pub fn lines(max_bytes: usize) -> Self {
        Self::new(b"\n", max_bytes)
    }

    /// Messages are handed up with their delimiter, and must end with it to be sent.
    pub fn keeping_delimiter(mut self) -> Self {
        self.keeps_delimiter = true;
        self
    }

    /// Skips and counts messages that are too long, instead of taking them for an error.
    pub fn skipping(mut self, skipped: &Skipped) -> Self {
        self.limit.skipped = Some(skipped.clone());
        self
    }

    fn width(&self) -> usize {
        self.finder.needle().len()
    }

    /// Throws away up to the delimiter; what may be its beginning is kept.
    fn skip_on<'a>(&mut self, bytes: &[u8]) -> Verdict<&'a [u8]> {
        if let Some(at) = self.finder.find(bytes) {
            self.skipping = false;
            return Verdict::Skip((at + self.width()) as u64);
        }
        match bytes.len().saturating_sub(self.width() - 1) {
            0 => Verdict::Need(1),
            useless => Verdict::Skip(useless as u64),
        }
    }

    /// The message's bytes before its delimiter, if it may be sent.
    fn content<'a>(&mut self, message: &'a [u8]) -> Result<&'a [u8], FrameError> {
        let content = if self.keeps_delimiter {
            message.strip_suffix(self.finder.needle()).ok_or(FrameError::Delimiter)?
        } else {
            message
        };
        self.limit.check(content.len() as u64)?;
        self.ends_first(content).then_some(content).ok_or(FrameError::Delimiter)
    }

    /// Whether the first delimiter in content and delimiter together is the one that is appended.
    fn ends_first(&mut self, content: &[u8]) -> bool {
        let delimiter = self.finder.needle();
        if self.finder.find(content).is_some() {
            return false;
        }
        let tail = &content[content.len().saturating_sub(delimiter.len() - 1)..];
        self.seam.clear();
        self.seam.extend_from_slice(tail);
        self.seam.extend_from_slice(delimiter);
        self.finder.find(&self.seam) == Some(tail.len())
    }
}

impl Decoder for Delimited {
    type Message<'a> = &'a [u8];
    type Error = FrameError;

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, FrameError> {
        if self.skipping {
            return Ok(self.skip_on(bytes));
        }
        let width = self.width();
        // The longest message and its delimiter; further on nothing is looked for.
        let most = self.limit.max_bytes.saturating_add(width);
        let reach = bytes.len().min(most);
        let from = self.searched.min(reach);
        if let Some(at) = self.finder.find(&bytes[from..reach]) {
            self.searched = 0;
            let (end, next) = (from + at, from + at + width);
            return Ok(Verdict::Message(&bytes[..if self.keeps_delimiter { next } else { end }], next));
        }
        if bytes.len() < most {
            self.searched = (reach + 1).saturating_sub(width);
            return Ok(Verdict::Need(1));
        }
        self.searched = 0;
        self.skipping = true;
        // What was searched, but for what may be the beginning of a delimiter.
        let useless = reach + 1 - width;
        self.limit.exceeded(self.limit.max_bytes as u64 + 1, useless as u64)
    }
}

impl Encoder for Delimited {
    type Message = Bytes;
    type Error = FrameError;

    fn encode(&mut self, message: Bytes, out: &mut Outbox) -> Result<(), FrameError> {
        let end = self.content(&message)?.len();
        out.put_whole(message.slice(..end));
        out.put(self.finder.needle());
        Ok(())
    }
}

impl Framing for Delimited {
    fn put(&mut self, message: &[u8], out: &mut Outbox) -> Result<(), FrameError> {
        let content = self.content(message)?;
        out.put(content);
        out.put(self.finder.needle());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searching all from the beginning with every byte that comes would cost the square of the message's length.
    #[test]
    fn p18_what_was_searched_is_not_searched_again() {
        let mut codec = Delimited::new(*b"\r\n.", 1_000);
        let mut bytes = Vec::new();
        for at in 0..1_000 {
            bytes.push(b'x');
            assert_eq!(codec.decode(&bytes), Ok(Verdict::Need(1)));
            assert_eq!(codec.searched, usize::saturating_sub(at + 1, 2), "all but what may begin a delimiter");
        }
        bytes.extend_from_slice(b"\r\n.next");
        assert_eq!(codec.decode(&bytes), Ok(Verdict::Message(&bytes[..1_000], 1_003)));
        assert_eq!(codec.searched, 0, "the next message is searched from its beginning");
    }
}
