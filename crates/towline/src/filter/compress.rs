//! zstd, block by block, where it pays.
//!
//! On the wire a block is `kind (1 byte: 0 as it is, 1 packed) ‖ length (3 bytes) ‖ [plain length (3 bytes), if packed] ‖
//! bytes`, lengths most significant byte first. Blocks are independent, so that nothing of one says anything about another;
//! within one, secrets and what an attacker chooses must not stand together (CRIME): not for streams that mix them.
//!
//! A bomb is refused by its announced lengths, before anything is unpacked, and can never become more than announced.

use tokio::time::Instant;
use zstd::bulk::{Compressor, Decompressor};

use super::{Filter, FilterError, More, PASS_MAX_BYTES};

const NAME: &str = "compress";

/// The most plain bytes in a block.
pub const BLOCK_MAX_BYTES: usize = PASS_MAX_BYTES;

/// How many times as large as on the wire a block may become. Real data stays far below; a block that would not is sent as
/// several smaller ones.
pub const RATIO_MAX: usize = 1_000;

/// Shorter pieces are not worth a try.
const TRY_FROM_BYTES: usize = 128;

/// It pays when at least one byte in so many is saved.
const SAVES_ONE_IN: usize = 16;

/// After a try that did not pay, blocks go as they are: twice as many each time, at most so many until the next try.
const PAUSE_MAX_BLOCKS: u32 = 64;

/// zstd's level: its fastest with a good ratio.
const LEVEL: i32 = 1;

const KIND_PLAIN: u8 = 0;
const KIND_PACKED: u8 = 1;

/// `kind` and `length`.
const HEAD_BYTES: usize = 4;

/// `plain length`.
const PLAIN_LENGTH_BYTES: usize = 3;

/// Packs outbound bytes and unpacks inbound ones. zstd's tables are made when the first block needs them.
#[derive(Default)]
pub struct Compress {
    packer: Option<Compressor<'static>>,
    unpacker: Option<Decompressor<'static>>,
    /// Input that is not a whole block yet, or blocks that are not asked for yet.
    rest: Vec<u8>,
    /// Blocks to send as they are before the next try.
    pause_left: u32,
    /// How long the next pause is.
    next_pause: u32,
    packed_blocks: u64,
    plain_blocks: u64,
}

/// A block at the beginning of some bytes.
struct Block<'a> {
    packed: bool,
    plain_length: usize,
    bytes: &'a [u8],
    used: usize,
}

impl Compress {
    /// A filter for one stream. Its peer has one too.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many blocks were sent packed, and how many as they were.
    pub fn blocks(&self) -> (u64, u64) {
        (self.packed_blocks, self.plain_blocks)
    }

    /// Appends `bytes` packed, if that pays; says whether it did.
    fn pack(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        if self.packer.is_none() {
            self.packer = Compressor::new(LEVEL).ok();
        }
        let Some(packer) = &mut self.packer else { return false };
        // No room for more than what pays: zstd gives up there.
        let room = bytes.len() - bytes.len() / SAVES_ONE_IN;
        let start = out.len();
        let body = start + HEAD_BYTES + PLAIN_LENGTH_BYTES;
        out.resize(body + room, 0);
        let packed = packer.compress_to_buffer(bytes, &mut out[body..]).ok();
        out.truncate(body + packed.unwrap_or(0));
        match packed {
            None => {
                out.truncate(start);
                false
            }
            Some(packed) if bytes.len() > packed.saturating_mul(RATIO_MAX) => {
                out.truncate(start);
                let (one, other) = bytes.split_at(bytes.len() / 2);
                self.put(one, out);
                self.put(other, out);
                true
            }
            Some(packed) => {
                out[start] = KIND_PACKED;
                out[start + 1..start + HEAD_BYTES].copy_from_slice(&be24(packed));
                out[start + HEAD_BYTES..body].copy_from_slice(&be24(bytes.len()));
                self.packed_blocks += 1;
                true
            }
        }
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.len() >= TRY_FROM_BYTES && self.pause_left == 0 {
            if self.pack(bytes, out) {
                self.next_pause = 1;
                return;
            }
            self.next_pause = (self.next_pause * 2).clamp(1, PAUSE_MAX_BLOCKS);
            self.pause_left = self.next_pause;
        } else {
            self.pause_left = self.pause_left.saturating_sub(1);
        }
        self.plain_blocks += 1;
        out.push(KIND_PLAIN);
        out.extend_from_slice(&be24(bytes.len()));
        out.extend_from_slice(bytes);
    }

    fn unpack(&mut self, block: &Block<'_>, out: &mut Vec<u8>) -> Result<(), FilterError> {
        let malformed = |what| FilterError::Malformed { filter: NAME, what };
        if !block.packed {
            out.extend_from_slice(block.bytes);
            return Ok(());
        }
        if self.unpacker.is_none() {
            self.unpacker = Decompressor::new().ok();
        }
        let unpacker = self.unpacker.as_mut().ok_or(malformed("zstd's tables cannot be made"))?;
        let start = out.len();
        out.resize(start + block.plain_length, 0);
        // zstd stops at the buffer's end: a block that is more than it announced is an error, not memory.
        match unpacker.decompress_to_buffer(block.bytes, &mut out[start..]) {
            Ok(count) if count == block.plain_length => Ok(()),
            _ => Err(malformed("a block is not what it announced")),
        }
    }
}

/// The first block of `bytes`; `None` while it is not whole. Its lengths are checked as soon as they are there.
fn first_block(bytes: &[u8]) -> Result<Option<Block<'_>>, FilterError> {
    let within = |bytes| {
        let limit_bytes = BLOCK_MAX_BYTES;
        if bytes <= limit_bytes { Ok(bytes) } else { Err(FilterError::TooLarge { filter: NAME, bytes, limit_bytes }) }
    };
    let Some(([kind, length @ ..], rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let length = within(from_be24(*length))?;
    let (packed, plain_length, rest) = match *kind {
        KIND_PLAIN => (false, length, rest),
        KIND_PACKED => {
            let Some((plain, rest)) = rest.split_first_chunk::<PLAIN_LENGTH_BYTES>() else { return Ok(None) };
            (true, within(from_be24(*plain))?, rest)
        }
        _ => return Err(FilterError::Malformed { filter: NAME, what: "an unknown kind of block" }),
    };
    if plain_length > length.saturating_mul(RATIO_MAX) {
        return Err(FilterError::Ratio { filter: NAME, packed_bytes: length, bytes: plain_length, limit: RATIO_MAX });
    }
    let head = bytes.len() - rest.len();
    Ok(rest.get(..length).map(|bytes| Block { packed, plain_length, bytes, used: head + length }))
}

impl Filter for Compress {
    /// One block for each call.
    fn inbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let used = match first_block(&rest)? {
            Some(block) => {
                self.unpack(&block, out)?;
                block.used
            }
            None => 0,
        };
        // What is wrong behind this block is told with the next call, so that this one is not lost.
        let more = if matches!(first_block(&rest[used..]), Ok(None)) { More::No } else { More::Yes };
        if used < rest.len() {
            self.rest = rest;
            self.rest.drain(..used);
        }
        Ok(more)
    }

    fn outbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        for block in bytes.chunks(BLOCK_MAX_BYTES) {
            self.put(block, out);
        }
        Ok(())
    }

    fn may_end(&self) -> bool {
        self.rest.is_empty()
    }
}

impl std::fmt::Debug for Compress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (packed, plain) = self.blocks();
        f.debug_struct("Compress").field("packed_blocks", &packed).field("plain_blocks", &plain).finish_non_exhaustive()
    }
}

/// A length below 2^24.
fn be24(length: usize) -> [u8; 3] {
    let [.., a, b, c] = (length as u32).to_be_bytes();
    [a, b, c]
}

fn from_be24([a, b, c]: [u8; 3]) -> usize {
    u32::from_be_bytes([0, a, b, c]) as usize
}
