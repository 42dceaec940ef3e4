//! Every codec, driven as a connection drives it and held to what a codec promises: the fuzz target calls this, and so do the
//! tests of the codecs on a stable compiler.

use std::fmt::Debug;

use bytes::BytesMut;
use tokio_util::codec::{Encoder as _, LengthDelimitedCodec};
use towline::codec::{Decoder, Delimited, Framing, FromTokio, Json, LengthPrefixed, MessagePack, Prefix, Prost, Raw};
use towline::codec::{Skipped, ToTokio, Verdict};

/// The longest message here, in bytes: short, so that chance reaches it.
pub const LIMIT_BYTES: usize = 24;

/// The most that a decoder may ask to have kept beside the message itself: a length or a delimiter.
const AROUND_BYTES: usize = 16;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// After a whole message.
    Between,
    /// Inside one.
    Inside,
    /// Bytes were invalid.
    Invalid(String),
}

/// What a stream held: each message as `{:?}` shows it, and how it ended.
pub type Heard = (Vec<String>, End);

/// Gives `input` to the decoder in pieces, as a connection does.
pub fn hear<D: Decoder>(decoder: &mut D, input: &[u8], pieces: &[usize]) -> Heard
where
    for<'a> D::Message<'a>: Debug,
    D::Error: Debug,
{
    let mut messages = Vec::new();
    let (mut kept, mut skip, mut promised) = (Vec::new(), 0u64, 0usize);
    for piece in cut(input, pieces) {
        kept.extend_from_slice(piece);
        loop {
            let now = skip.min(kept.len() as u64);
            kept.drain(..now as usize);
            skip -= now;
            if kept.is_empty() {
                break;
            }
            match decoder.decode(&kept) {
                Err(error) => return (messages, End::Invalid(format!("{error:?}"))),
                Ok(Verdict::Need(more)) => {
                    assert!(more > 0, "it needs nothing and gives nothing");
                    assert!(kept.len() + more <= LIMIT_BYTES + AROUND_BYTES, "{} + {more} are kept", kept.len());
                    promised = kept.len() + more;
                    break;
                }
                Ok(Verdict::Skip(count)) => {
                    assert!(count > 0, "a skip of nothing never ends");
                    skip = count;
                }
                Ok(Verdict::Message(message, used)) => {
                    assert!((1..=kept.len()).contains(&used), "{used} bytes of {}", kept.len());
                    assert!(used >= promised, "{promised} bytes were needed, {used} were enough");
                    messages.push(format!("{message:?}"));
                    skip = used as u64;
                }
            }
            promised = 0;
        }
    }
    (messages, if kept.is_empty() && skip == 0 { End::Between } else { End::Inside })
}

/// Pieces of these sizes, the last size again and again.
fn cut<'a>(mut input: &'a [u8], pieces: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = pieces.iter().chain(std::iter::repeat(pieces.last().unwrap_or(&usize::MAX)));
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).clamp(1, input.len().max(1));
        let (piece, rest) = input.split_at_checked(size)?;
        input = rest;
        Some(piece)
    })
}

/// Holds that the pieces change nothing.
fn same<D: Decoder>(make: impl Fn() -> D, input: &[u8], piece: usize) -> Heard
where
    for<'a> D::Message<'a>: Debug,
    D::Error: Debug,
{
    let whole = hear(&mut make(), input, &[input.len()]);
    assert_eq!(hear(&mut make(), input, &[piece]), whole, "in pieces of {piece}");
    whole
}

/// A framing: besides, what was read is written and read again; what is too long is skipped and counted the same.
fn framing<F: Framing + Clone>(frames: F, skipping: impl Fn(&Skipped) -> F, input: &[u8], piece: usize) {
    let (messages, _) = same(|| frames.clone(), input, piece);
    let again = written(&frames, input);
    assert_eq!(hear(&mut frames.clone(), &again, &[piece]), (messages, End::Between));
    let (whole, pieces) = (Skipped::default(), Skipped::default());
    let heard = hear(&mut skipping(&whole), input, &[input.len()]);
    assert_eq!(hear(&mut skipping(&pieces), input, &[piece]), heard);
    assert_eq!(pieces.count(), whole.count());
}

/// What `input` holds, written anew.
fn written<F: Framing + Clone>(frames: &F, input: &[u8]) -> BytesMut {
    let (mut reader, mut writer) = (frames.clone(), ToTokio::new(frames.clone(), |_: &[u8]| ()));
    let (mut rest, mut out) = (input, BytesMut::new());
    while !rest.is_empty() {
        match reader.decode(rest) {
            Ok(Verdict::Message(message, used)) => {
                writer.encode(bytes::Bytes::copy_from_slice(message), &mut out).expect("what was read can be written");
                rest = &rest[used..];
            }
            Ok(Verdict::Skip(_) | Verdict::Need(_)) | Err(_) => break,
        }
    }
    out
}

/// All ways to write a length.
pub const PREFIXES: [Prefix; 9] = [
    Prefix::U8,
    Prefix::U16Be,
    Prefix::U16Le,
    Prefix::U32Be,
    Prefix::U32Le,
    Prefix::U64Be,
    Prefix::U64Le,
    Prefix::Varint,
    Prefix::MessagePack,
];

/// Delimiters, some of which overlap with themselves.
const DELIMITERS: [&[u8]; 4] = [b"\n", b"\r\n", b"aab", b"aa"];

/// How many choices [`codecs`] has.
pub const CHOICES: usize = PREFIXES.len() + 2 * DELIMITERS.len() + 5;

/// One input: the first byte chooses the codec, the second the pieces, the rest is what a peer sends.
pub fn codecs(bytes: &[u8]) {
    let Some((&[choice, piece], input)) = bytes.split_first_chunk() else { return };
    let piece = usize::from(piece % 9) + 1;
    let choice = usize::from(choice) % CHOICES;
    if let Some(&prefix) = PREFIXES.get(choice) {
        let frames = LengthPrefixed::new(prefix, LIMIT_BYTES);
        return framing(frames.clone(), |skipped| frames.clone().skipping(skipped), input, piece);
    }
    let choice = choice - PREFIXES.len();
    if let Some(delimiter) = DELIMITERS.get(choice / 2) {
        let mut frames = Delimited::new(delimiter, LIMIT_BYTES);
        if choice % 2 == 1 {
            frames = frames.keeping_delimiter();
        }
        return framing(frames.clone(), |skipped| frames.clone().skipping(skipped), input, piece);
    }
    match choice - 2 * DELIMITERS.len() {
        0 => drop(hear(&mut Raw, input, &[piece])),
        1 => drop(same(|| <Prost<Vec<u8>>>::codec(LIMIT_BYTES), input, piece)),
        2 => drop(same(|| <MessagePack<Vec<(u8, String)>>>::codec(LIMIT_BYTES), input, piece)),
        3 => drop(same(|| <Json<Vec<(u8, String)>>>::lines(LIMIT_BYTES), input, piece)),
        _ => drop(same(theirs, input, piece)),
    }
}

/// A codec of `tokio_util` with a limit of its own.
fn theirs() -> FromTokio<LengthDelimitedCodec, bytes::Bytes> {
    FromTokio::new(LengthDelimitedCodec::builder().max_frame_length(LIMIT_BYTES).new_codec())
}
