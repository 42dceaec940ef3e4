//! Packets: what calls over one connection say, around items of an engineer's own.
//!
//! ```text
//! packet := kind byte ‖ call varint ‖ rest
//!   0x00   begin              time left varint ‖ item        items follow
//!   0x01   begin, and all     time left varint ‖ item
//!   0x02   item               item
//!   0x03   end
//!   0x04   last               item
//!   0x05   status             code varint ‖ text ‖ detail
//!   0x06   give up            code varint
//!   0x07   credit             sum of bytes varint
//! ```
//! `time left`, `text` and `detail` are those of a [`super::Word`]; an item is what is left of the message.

use super::exchange::{CallId, Step};
use super::word::{self, put_time_left, time_left};
use super::{Code, Status};
use crate::time::Duration;
use crate::wire::cursor::{DecodeError, Reader, put_varint};

/// One message of a connection that carries calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<M> {
    /// Which call it belongs to.
    pub call: CallId,
    /// What it says.
    pub part: Part<M>,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<M> {
    /// The call begins.
    Begin {
        /// Its first item.
        item: M,
        /// Whether that is all.
        ends: bool,
        /// How long the caller will still wait, in whole milliseconds; `None` is for ever.
        time_left: Option<Duration>,
    },
    /// One more item.
    Item(M),
    /// The caller sends no more.
    End,
    /// The answer's last item; all is well.
    Last(M),
    /// The answer's end, without an item.
    Status(Status),
    /// The side that says it gives the call up.
    GiveUp(Code),
    /// The other side may send items up to this sum of bytes.
    Credit(u64),
}

impl<M> Part<M> {
    /// The same to the machine that decides.
    #[inline]
    pub fn step(&self) -> Step {
        match self {
            Self::Begin { ends, .. } => Step::Begin { ends: *ends },
            Self::Item(_) => Step::Item,
            Self::End => Step::End,
            Self::Last(_) => Step::Last,
            Self::Status(_) => Step::Status,
            Self::GiveUp(_) => Step::GiveUp,
            Self::Credit(limit) => Step::Credit(*limit),
        }
    }

    /// Its item.
    pub fn item(&self) -> Option<&M> {
        match self {
            Self::Begin { item, .. } | Self::Item(item) | Self::Last(item) => Some(item),
            _ => None,
        }
    }

    /// The same with its item made into another.
    ///
    /// # Errors
    /// `make`'s.
    pub fn try_map<N, E>(self, make: impl FnOnce(M) -> Result<N, E>) -> Result<Part<N>, E> {
        Ok(match self {
            Self::Begin { item, ends, time_left } => Part::Begin { item: make(item)?, ends, time_left },
            Self::Item(item) => Part::Item(make(item)?),
            Self::End => Part::End,
            Self::Last(item) => Part::Last(make(item)?),
            Self::Status(status) => Part::Status(status),
            Self::GiveUp(code) => Part::GiveUp(code),
            Self::Credit(limit) => Part::Credit(limit),
        })
    }
}

impl<M> Packet<M> {
    /// Appends it; `write` appends the item.
    ///
    /// # Errors
    /// `write`'s; what was appended then means nothing.
    pub fn encode<E>(&self, out: &mut Vec<u8>, write: impl FnOnce(&M, &mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let kind = match &self.part {
            Part::Begin { ends: false, .. } => 0,
            Part::Begin { ends: true, .. } => 1,
            Part::Item(_) => 2,
            Part::End => 3,
            Part::Last(_) => 4,
            Part::Status(_) => 5,
            Part::GiveUp(_) => 6,
            Part::Credit(_) => 7,
        };
        out.push(kind);
        put_varint(out, self.call.0);
        match &self.part {
            Part::Begin { time_left, .. } => put_time_left(out, *time_left),
            Part::Status(status) => word::put_status(out, status),
            Part::GiveUp(code) => put_varint(out, code.number().into()),
            Part::Credit(limit) => put_varint(out, *limit),
            Part::Item(_) | Part::End | Part::Last(_) => {}
        }
        self.part.item().map_or(Ok(()), |item| write(item, out))
    }
}

impl<'a> Packet<&'a [u8]> {
    /// Reads all of `bytes` as one packet.
    ///
    /// # Errors
    /// [`DecodeError`].
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.byte("kind of packet")?;
        let call = CallId(reader.varint("call")?);
        let part = match kind {
            0 | 1 => {
                let time_left = time_left(&mut reader)?;
                Part::Begin { item: reader.take_rest(), ends: kind == 1, time_left }
            }
            2 => Part::Item(reader.take_rest()),
            3 => Part::End,
            4 => Part::Last(reader.take_rest()),
            5 => Part::Status(word::status(&mut reader)?),
            6 => Part::GiveUp(Code::from_number(reader.varint("code")?)),
            7 => Part::Credit(reader.varint("credit")?),
            _ => return Err(DecodeError::Invalid { what: "kind of packet" }),
        };
        reader.finish("packet")?;
        Ok(Self { call, part })
    }
}
