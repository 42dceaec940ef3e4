//! Every codec: how its bytes are cut changes nothing, its limit is exact, and its bytes are those that others write.

#[path = "../../../fuzz/src/codecs.rs"]
#[allow(unreachable_pub)] // It is a crate's public module where the fuzz target uses it.
mod codecs;

use std::fmt::Debug;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use codecs::{CHOICES, End, LIMIT_BYTES, PREFIXES, hear};
use tokio_util::codec::{Decoder as _, Encoder as _, LengthDelimitedCodec};
use towline::codec::{Decoder, Delimited, Encoder, FrameError, FromTokio, FromTokioError, Json, LengthPrefixed};
use towline::codec::{MessagePack, MessagePackError, Prefix, Prost, Raw, Skipped, ToTokio, TypedError, Verdict};

/// Inputs to all codecs in an ordinary run; with `TOWLINE_TEST_LONG` the full figure of promise 18.
const INPUTS: u64 = 100_000;
const INPUTS_LONG: u64 = 100_000_000;

fn forget<D: Decoder>(_: D::Message<'_>) {}

/// What the codec writes.
fn wire<C: Decoder + Encoder>(codec: C, messages: Vec<<C as Encoder>::Message>) -> BytesMut
where
    <C as Encoder>::Error: Debug,
{
    let (mut codec, mut bytes) = (ToTokio::new(codec, forget::<C>), BytesMut::new());
    for message in messages {
        codec.encode(message, &mut bytes).unwrap();
    }
    bytes
}

/// Writes messages and reads them again, cut in two at every byte and in pieces of every size.
fn split_everywhere<C: Decoder + Encoder>(make: impl Fn() -> C, messages: Vec<<C as Encoder>::Message>)
where
    for<'a> <C as Decoder>::Message<'a>: Debug,
    <C as Decoder>::Error: Debug,
    <C as Encoder>::Error: Debug,
{
    let count = messages.len();
    let bytes = wire(make(), messages);
    let whole = hear(&mut make(), &bytes, &[bytes.len()]);
    assert_eq!((whole.0.len(), &whole.1), (count, &End::Between));
    for at in 1..bytes.len() {
        assert_eq!(hear(&mut make(), &bytes, &[at, bytes.len()]), whole, "cut at {at}");
        assert_eq!(hear(&mut make(), &bytes, &[at]), whole, "in pieces of {at}");
    }
}

/// 0, 1 and as many bytes as the limit has.
fn sizes() -> Vec<Bytes> {
    [0, 1, LIMIT_BYTES, 3, 0].map(|size| Bytes::from(vec![b'x'; size])).to_vec()
}

#[test]
fn p18_every_codec_reads_the_same_however_the_bytes_are_cut() {
    for prefix in PREFIXES {
        split_everywhere(|| LengthPrefixed::new(prefix, LIMIT_BYTES), sizes());
    }
    for delimiter in [&b"\n"[..], b"\r\n", b"--END--"] {
        split_everywhere(|| Delimited::new(delimiter, LIMIT_BYTES), sizes());
        let ended = sizes().iter().map(|bytes| Bytes::from([&bytes[..], delimiter].concat())).collect();
        split_everywhere(|| Delimited::new(delimiter, LIMIT_BYTES).keeping_delimiter(), ended);
    }
    let words = || ["", "a", "twenty-two letters long"].map(str::to_owned).to_vec();
    split_everywhere(|| <Prost<String>>::codec(LIMIT_BYTES + 1), words());
    split_everywhere(|| <MessagePack<String>>::codec(LIMIT_BYTES), words());
    split_everywhere(|| <Json<String>>::lines(LIMIT_BYTES + 1), words());
    split_everywhere(|| FromTokio::new(LengthDelimitedCodec::new()), sizes());
    println!("p18: reached every cut of every codec's bytes");
}

#[test]
fn raw_bytes_stay_in_their_order() {
    let bytes: Vec<u8> = (0..=255).collect();
    for size in 1..bytes.len() {
        let mut got = Vec::new();
        for piece in bytes.chunks(size) {
            let Ok(Verdict::Message(message, used)) = Raw.decode(piece) else { panic!("all bytes are a message") };
            assert_eq!(used, piece.len());
            got.extend_from_slice(message);
        }
        assert_eq!(got, bytes);
    }
}

#[test]
fn p18_a_message_at_the_limit_passes_and_one_byte_more_is_refused_or_skipped() {
    let (fits, long) = (vec![b'x'; LIMIT_BYTES], vec![b'x'; LIMIT_BYTES + 1]);
    let too_long = FrameError::TooLong { bytes: LIMIT_BYTES as u64 + 1, max_bytes: LIMIT_BYTES };
    let hold = |shown: &[Vec<u8>], heard: codecs::Heard| {
        assert_eq!(heard.0, shown.iter().map(|message| format!("{message:?}")).collect::<Vec<_>>());
        heard.1
    };
    for prefix in PREFIXES {
        let roomy = LengthPrefixed::new(prefix, 4 * LIMIT_BYTES);
        let bytes = wire(roomy, [&fits, &long, &fits].map(|message| Bytes::copy_from_slice(message)).to_vec());
        let frames = LengthPrefixed::new(prefix, LIMIT_BYTES);
        let end = hold(std::slice::from_ref(&fits), hear(&mut frames.clone(), &bytes, &[1]));
        assert_eq!(end, End::Invalid(format!("{too_long:?}")));
        let skipped = Skipped::default();
        let end = hold(&[fits.clone(), fits.clone()], hear(&mut frames.skipping(&skipped), &bytes, &[1]));
        assert_eq!((end, skipped.count()), (End::Between, 1));
    }
    for delimiter in [&b"\n"[..], b"\r\n", b"--END--"] {
        let roomy = Delimited::new(delimiter, 4 * LIMIT_BYTES);
        let bytes = wire(roomy, [&fits, &long, &fits].map(|message| Bytes::copy_from_slice(message)).to_vec());
        let frames = Delimited::new(delimiter, LIMIT_BYTES);
        let end = hold(std::slice::from_ref(&fits), hear(&mut frames.clone(), &bytes, &[1]));
        assert_eq!(end, End::Invalid(format!("{too_long:?}")));
        for piece in [1, 2, 3, LIMIT_BYTES, bytes.len()] {
            let skipped = Skipped::default();
            let heard = hear(&mut frames.clone().skipping(&skipped), &bytes, &[piece]);
            assert_eq!((hold(&[fits.clone(), fits.clone()], heard), skipped.count()), (End::Between, 1));
        }
    }
}

#[test]
fn nothing_past_the_limit_is_written() {
    let mut bytes = BytesMut::new();
    let long = Bytes::from(vec![b'x'; LIMIT_BYTES + 1]);
    for prefix in PREFIXES {
        let mut codec = ToTokio::new(LengthPrefixed::new(prefix, LIMIT_BYTES), forget::<LengthPrefixed>);
        assert!(codec.encode(long.clone(), &mut bytes).is_err());
    }
    let mut lines = ToTokio::new(Delimited::lines(LIMIT_BYTES), forget::<Delimited>);
    assert!(lines.encode(long, &mut bytes).is_err());
    // One byte can say no more than 255, whatever the limit is.
    let mut short = ToTokio::new(LengthPrefixed::new(Prefix::U8, 1 << 20), forget::<LengthPrefixed>);
    assert!(short.encode(Bytes::from(vec![0; 256]), &mut bytes).is_err());
    let mut typed = <Json<String>>::lines(4);
    let mut out = towline::pump::Outbox::default();
    assert!(matches!(
        typed.encode("long".into(), &mut out),
        Err(TypedError::Frame(FrameError::TooLong { bytes: 6, max_bytes: 4 }))
    ));
    assert!(out.is_empty() && bytes.is_empty());
}

/// A peer that announces all there is must cost nothing: the verdict comes with the length, before a byte is kept.
#[test]
fn p18_a_length_past_the_limit_is_refused_before_a_byte_of_the_message() {
    let huge: [(Prefix, &[u8]); 5] = [
        (Prefix::U32Le, &[0xff; 4]),
        (Prefix::U64Be, &[0xff; 8]),
        (Prefix::U64Le, &[0, 0, 0, 0, 0, 0, 0, 0x80]),
        (Prefix::Varint, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        (Prefix::MessagePack, &[0xce, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (prefix, bytes) in huge {
        let mut frames = LengthPrefixed::new(prefix, LIMIT_BYTES);
        assert!(matches!(frames.decode(bytes), Err(FrameError::TooLong { .. })), "{prefix:?}");
    }
    // Skipped it may be, as long as its length and its head together can be counted.
    let skipped = Skipped::default();
    let mut frames = LengthPrefixed::new(Prefix::MessagePack, LIMIT_BYTES).skipping(&skipped);
    assert_eq!(frames.decode(&[0xce, 0xff, 0xff, 0xff, 0xff]), Ok(Verdict::Skip(5 + u64::from(u32::MAX))));
    let mut frames = LengthPrefixed::new(Prefix::U64Be, LIMIT_BYTES).skipping(&skipped);
    assert!(frames.decode(&[0xff; 8]).is_err());
    assert_eq!(skipped.count(), 1);
}

#[test]
fn p18_what_is_no_length_is_invalid_at_once() {
    let mut varint = LengthPrefixed::new(Prefix::Varint, LIMIT_BYTES);
    assert_eq!(varint.decode(&[0x80; 9]), Ok(Verdict::Need(1)));
    assert_eq!(varint.decode(&[0x80; 10]), Err(FrameError::NotALength), "longer than 64 bits");
    assert_eq!(varint.decode(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(FrameError::NotALength));
    assert_eq!(
        varint.decode(&[0x83, 0x00, b'a', b'b', b'c']),
        Ok(Verdict::Message(&b"abc"[..], 5)),
        "not the shortest"
    );
    let mut pack = LengthPrefixed::new(Prefix::MessagePack, LIMIT_BYTES);
    assert_eq!(pack.decode(&[0xcd]), Err(FrameError::NotALength));
}

#[test]
fn lengths_are_written_as_others_write_them() {
    let two = |prefix| wire(LengthPrefixed::new(prefix, LIMIT_BYTES), vec![Bytes::from_static(b"hi")]);
    let golden: [(Prefix, &[u8]); 9] = [
        (Prefix::U8, b"\x02hi"),
        (Prefix::U16Be, b"\0\x02hi"),
        (Prefix::U16Le, b"\x02\0hi"),
        (Prefix::U32Be, b"\0\0\0\x02hi"),
        (Prefix::U32Le, b"\x02\0\0\0hi"),
        (Prefix::U64Be, b"\0\0\0\0\0\0\0\x02hi"),
        (Prefix::U64Le, b"\x02\0\0\0\0\0\0\0hi"),
        (Prefix::Varint, b"\x02hi"),
        (Prefix::MessagePack, b"\xce\0\0\0\x02hi"),
    ];
    for (prefix, bytes) in golden {
        assert_eq!(two(prefix), bytes, "{prefix:?}");
    }
    let long = wire(LengthPrefixed::new(Prefix::Varint, 1_000), vec![Bytes::from(vec![7; 300])]);
    assert_eq!(long[..3], [0xac, 0x02, 7]);
    assert_eq!(long.len(), 302);
}

#[test]
fn a_message_with_its_delimiter_inside_is_not_written() {
    let mut bytes = BytesMut::new();
    let mut refused = |frames: Delimited, message: &'static [u8]| {
        ToTokio::new(frames, forget::<Delimited>).encode(Bytes::from_static(message), &mut bytes).is_err()
    };
    assert!(refused(Delimited::lines(99), b"two\nlines"));
    assert!(refused(Delimited::new(*b"aab", 99), b"xaabx"));
    // With the delimiter behind it, "baa" would end too early.
    assert!(refused(Delimited::new(*b"aa", 99), b"ba"));
    assert!(!refused(Delimited::new(*b"\r\n", 99), b"half\r"));
    assert!(refused(Delimited::lines(99).keeping_delimiter(), b"no end"));
    assert!(!refused(Delimited::lines(99).keeping_delimiter(), b"an end\n"));
    assert_eq!(bytes, &b"half\r\r\nan end\n"[..]);
}

#[test]
fn p18_a_value_that_leaves_bytes_over_is_no_value() {
    // protosocket 2.0.2 reads four bytes here and is out of step from then on.
    let mut pack = <MessagePack<u8>>::codec(LIMIT_BYTES);
    let verdict = pack.decode(b"\xce\0\0\0\x04\x07\x07\x07\x07");
    assert!(matches!(verdict, Err(TypedError::Content(MessagePackError::Trailing(3)))));
    assert!(<Json<u8>>::lines(LIMIT_BYTES).decode(b"7 7\n").is_err());
    assert!(<Prost<String>>::codec(LIMIT_BYTES).decode(b"\x03\x0a\x09x").is_err(), "longer inside than outside");
}

#[test]
fn json_lines_may_end_as_on_windows() {
    let heard = hear(&mut <Json<(u8, String)>>::lines(LIMIT_BYTES), b"[1,\"a\"]\r\n[2,\"b\\n\"]\n", &[3]);
    assert_eq!(heard, (vec!["(1, \"a\")".into(), "(2, \"b\\n\")".into()], End::Between));
}

#[test]
fn a_codec_goes_to_tokio_util_and_comes_back_the_same() {
    let make = || ToTokio::new(LengthPrefixed::new(Prefix::U16Le, LIMIT_BYTES), Bytes::copy_from_slice);
    split_everywhere(|| FromTokio::<_, Bytes>::new(make()), sizes());
    // Skipping, too, in whatever pieces the bytes come.
    let skipped = Skipped::default();
    let mut codec = ToTokio::new(LengthPrefixed::u32(2).skipping(&skipped), Bytes::copy_from_slice);
    let (mut bytes, mut got) = (BytesMut::new(), Vec::new());
    for byte in *b"\0\0\0\x03abc\0\0\0\x02de" {
        bytes.extend_from_slice(&[byte]);
        got.extend(codec.decode(&mut bytes).unwrap());
        assert!(bytes.len() < 6, "what is skipped is not kept");
    }
    assert_eq!((got, skipped.count()), (vec![Bytes::from_static(b"de")], 1));
}

/// The header is taken before the message is there: an end in between is a cut, not a goodbye.
#[test]
fn a_borrowed_codec_that_took_a_header_is_inside_its_message() {
    let mut codec = FromTokio::<_, Bytes>::new(LengthDelimitedCodec::new());
    assert_eq!(hear(&mut codec, b"\0\0\0\x02", &[4]), (vec![], End::Inside));
}

/// Gives messages without end and takes nothing.
struct Endless;

impl tokio_util::codec::Decoder for Endless {
    type Item = ();
    type Error = std::io::Error;
    fn decode(&mut self, _: &mut BytesMut) -> Result<Option<()>, Self::Error> {
        Ok(Some(()))
    }
}

#[test]
fn p18_a_borrowed_codec_that_takes_nothing_is_refused() {
    let verdict = FromTokio::<_, Bytes>::new(Endless).decode(b"x");
    assert!(matches!(verdict, Err(FromTokioError::TookNothing)));
}

/// The same generator as everywhere: a seed, and numbers that look like chance.
fn chance(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn p18_no_input_makes_a_codec_panic_or_differ_by_its_pieces() {
    let inputs = if std::env::var_os("TOWLINE_TEST_LONG").is_some() { INPUTS_LONG } else { INPUTS };
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/codecs");
    let mut paths: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().for_each(|path| codecs::codecs(&std::fs::read(path).unwrap()));
    let seed = 0x00c0_dec5;
    println!("seed {seed:#x}");
    let mut next = chance(seed);
    // Bytes that mean something to some codec come often.
    let telling = *b"\n\r\naab\0\0\0\0\x01\x02\x05\x18\x19\xce\x80\xff[]{}\",:1\xa1\x91\x92\x0a";
    for _ in 0..inputs {
        let length = next() % 80;
        let bytes: Vec<u8> = (0..length + 2)
            .map(|at| match next() {
                byte if at < 2 || byte % 4 == 0 => (byte >> 32) as u8,
                index => telling[(index >> 8) as usize % telling.len()],
            })
            .collect();
        codecs::codecs(&bytes);
    }
    println!("p18: reached {inputs} inputs for {CHOICES} codecs together, 0 panics");
}
