//! Why a session or a link ends: one table for the wire, for metric labels, for exit codes and for people.
//!
//! ```text
//! close := code varint ‖ blame byte ‖ retry ‖ text length varint (≤ 256) ‖ text UTF-8
//! retry := 0 (no) | 1 (yes) | 2 ‖ milliseconds varint
//! ```

mod code;
#[cfg(test)]
mod tests;

use super::cursor::{DecodeError, Reader, put_prefixed, put_varint};
use crate::limits::{MAX_CLOSE_TEXT_BYTES, MAX_RETRY_AFTER};
use crate::time::Duration;
pub use code::CloseCode;
use core::fmt;

/// Whose doing it is, seen from the side that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The other side broke the rules or asked for too much.
    Peer,
    /// This side: overloaded, going away, or wrong.
    Us,
    /// The application decided so.
    Application,
    /// Neither side: the network, the clock, an operator.
    Environment,
}

impl Blame {
    /// All of them, in the order of their numbers on the wire.
    pub const ALL: [Self; 4] = [Self::Peer, Self::Us, Self::Application, Self::Environment];

    /// The byte on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The word for people and for metric labels.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Us => "us",
            Self::Application => "application",
            Self::Environment => "environment",
        }
    }

    /// The same seen from the other side: what the peer's `us` is to us.
    pub const fn from_the_other_side(self) -> Self {
        match self {
            Self::Peer => Self::Us,
            Self::Us => Self::Peer,
            other => other,
        }
    }
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It will end the same way until somebody changes something.
    No,
    /// At once, with the usual back-off.
    Yes,
    /// Not before this has passed. The wire carries milliseconds.
    After(Duration),
}

impl Retry {
    /// The word of the kind.
    pub const fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::After(_) => "after",
        }
    }
}

/// What one side says last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Close {
    /// Which reason.
    pub code: CloseCode,
    /// Whose doing, seen from the one who says it.
    pub blame: Blame,
    /// Whether trying again may help.
    pub retry: Retry,
    /// The case, for people: at most 256 bytes. Never anything a peer sent as payload.
    text: String,
}

impl Close {
    /// A close with what the table says of `code`, and no text.
    pub const fn new(code: CloseCode) -> Self {
        Self { code, blame: code.blame(), retry: code.retry(), text: String::new() }
    }

    /// The same with a text for people, cut to 256 bytes at a character's border.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self.text.truncate(self.text.floor_char_boundary(MAX_CLOSE_TEXT_BYTES));
        self
    }

    /// The same with another word on trying again.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same with another blame.
    #[must_use]
    pub const fn with_blame(mut self, blame: Blame) -> Self {
        self.blame = blame;
        self
    }

    /// The text for people, as it came. Use `Display` for terminals and logs: it leaves out control characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends the wire's form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.code.number()));
        out.push(self.blame.number());
        match self.retry {
            Retry::No => out.push(0),
            Retry::Yes => out.push(1),
            Retry::After(wait) => {
                out.push(2);
                put_varint(out, wait.min(MAX_RETRY_AFTER).as_millis() as u64);
            }
        }
        put_prefixed(out, self.text.as_bytes());
    }

    /// Takes the wire's form from the front.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.varint("close code")?;
        let code = u16::try_from(code).map_err(|_| DecodeError::Invalid { what: "close code" })?;
        let blame = usize::from(reader.byte("blame")?);
        let blame = *Blame::ALL.get(blame).ok_or(DecodeError::Invalid { what: "blame" })?;
        let retry = decode_retry(reader)?;
        let text = reader.prefixed(MAX_CLOSE_TEXT_BYTES, "close text")?;
        let text = core::str::from_utf8(text).map_err(|_| DecodeError::Invalid { what: "close text" })?;
        Ok(Self { code: CloseCode::from_number(code), blame, retry, text: text.into() })
    }
}

fn decode_retry(reader: &mut Reader<'_>) -> Result<Retry, DecodeError> {
    match reader.byte("retry")? {
        0 => Ok(Retry::No),
        1 => Ok(Retry::Yes),
        2 => {
            let millis = reader.varint("retry after")?;
            Ok(Retry::After(Duration::from_millis(millis).min(MAX_RETRY_AFTER)))
        }
        _ => Err(DecodeError::Invalid { what: "retry" }),
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self::new(code)
    }
}

/// `word`, or `word: text` without the text's control characters (it may have come from a peer, and goes to terminals).
impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.text.is_empty() {
            f.write_str(": ")?;
            let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
            self.text.chars().map(shown).try_for_each(|c| fmt::Write::write_char(f, c))?;
        }
        Ok(())
    }
}
