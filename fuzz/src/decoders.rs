//! Every decoder that reads what a peer sends, each as `fn(&[u8])` that panics if a rule is broken: the fuzz targets call
//! them, and so does the test that replays the seeds on a stable compiler.

use towline_proto::call::{Packet, Word};
use towline_proto::link::{FrameRef, Frames, LinkId, Violation};
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::keys::Signature;
use towline_proto::mail::message::{BodyHeader, ToDevice, ToHub};
use towline_proto::mail::receipt::SignedReceipt;
use towline_proto::stream_link::{LinkConfig, StreamLink};
use towline_proto::time::Instant;
use towline_proto::wire::close::Close;
use towline_proto::wire::cursor::Reader;
use towline_proto::wire::frame::Frame;
use towline_proto::wire::hello::{ClientHello, ServerHello};

/// A decoder under a name that is also its fuzz target's and its seeds' folder's.
pub type Decoder = (&'static str, fn(&[u8]));

/// All of them.
pub const DECODERS: &[Decoder] = &[
    ("frame", frame),
    ("stream_link", stream_link),
    ("client_hello", client_hello),
    ("server_hello", server_hello),
    ("close", close),
    ("envelope", envelope),
    ("receipt", receipt),
    ("to_hub", to_hub),
    ("to_device", to_device),
    ("call_word", call_word),
    ("call_packet", call_packet),
];

/// What was decoded must say the same again, and must not be more than a small multiple of what came.
fn hold_bounds(input: usize, again: usize) {
    assert!(again <= 2 * input + 64, "{again} bytes out of {input}");
}

/// A frame without its length.
pub fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    let mut again = Vec::new();
    frame.encode(&mut again);
    assert_eq!(Frame::decode(&again), Ok(frame));
    hold_bounds(bytes.len(), again.len());
}

/// A link's input: the first byte says in what pieces it comes.
pub fn stream_link(bytes: &[u8]) {
    let Some((&piece, input)) = bytes.split_first() else { return };
    let mut link = StreamLink::new(LinkId(0), LinkConfig::default(), Instant::ZERO);
    let (mut sink, mut pending, mut out) = (Sink, Vec::new(), Vec::new());
    for part in input.chunks(usize::from(piece) + 1) {
        pending.extend_from_slice(part);
        let Ok(used) = link.handle_input(Instant::ZERO, &pending, &mut sink) else { return };
        assert!(used <= pending.len());
        pending.drain(..used);
        assert!(pending.len() <= towline_proto::limits::MAX_FRAME_BYTES + 8, "a frame is waited for, no more");
        link.poll_output(Instant::ZERO, 4_096, &mut out, &mut sink);
        out.clear();
    }
}

/// A session that takes everything and says nothing.
struct Sink;

impl Frames for Sink {
    fn fill(&mut self, _: Instant, _: LinkId, _: usize, _: &mut Vec<u8>) -> Option<FrameRef> {
        None
    }
    fn confirmed(&mut self, _: Instant, _: LinkId, _: FrameRef) {}
    fn lost(&mut self, _: Instant, _: LinkId, _: FrameRef) {}
    fn received(&mut self, _: Instant, _: LinkId, _: Frame<'_>) -> Result<(), Violation> {
        Ok(())
    }
}

/// A client's hello.
pub fn client_hello(bytes: &[u8]) {
    let Ok(Some((hello, used))) = ClientHello::decode(bytes) else { return };
    let mut again = Vec::new();
    hello.encode(&mut again);
    assert!(matches!(ClientHello::decode(&again), Ok(Some((_, all))) if all == again.len()));
    hold_bounds(used, again.len());
}

/// A server's hello.
pub fn server_hello(bytes: &[u8]) {
    let Ok(Some((hello, used))) = ServerHello::decode(bytes) else { return };
    let mut again = Vec::new();
    hello.encode(&mut again);
    assert!(matches!(ServerHello::decode(&again), Ok(Some((_, all))) if all == again.len()));
    hold_bounds(used, again.len());
}

/// A close.
pub fn close(bytes: &[u8]) {
    let Ok(close) = Close::decode(&mut Reader::new(bytes)) else { return };
    let mut again = Vec::new();
    close.encode(&mut again);
    assert_eq!(Close::decode(&mut Reader::new(&again)), Ok(close));
    hold_bounds(bytes.len(), again.len());
}

/// An envelope's canonical bytes.
pub fn envelope(bytes: &[u8]) {
    let _ = SignedEnvelope { bytes: bytes.to_vec(), signature: Signature([0; 64]) }.decode();
}

/// A receipt's canonical bytes.
pub fn receipt(bytes: &[u8]) {
    let _ = SignedReceipt { bytes: bytes.to_vec(), signature: Signature([0; 64]) }.decode();
}

/// What a device says to its hub.
pub fn to_hub(bytes: &[u8]) {
    if let Ok(message) = ToHub::from_bytes(bytes) {
        let again = message.to_bytes();
        hold_bounds(bytes.len(), again.len());
        assert_eq!(ToHub::from_bytes(&again), Ok(message));
    }
    let _ = BodyHeader::from_bytes(bytes);
}

/// What a hub says to a device.
pub fn to_device(bytes: &[u8]) {
    let Ok(message) = ToDevice::from_bytes(bytes) else { return };
    let again = message.to_bytes();
    hold_bounds(bytes.len(), again.len());
    assert_eq!(ToDevice::from_bytes(&again), Ok(message));
}

/// A word on a call's stream.
pub fn call_word(bytes: &[u8]) {
    let Ok(word) = Word::decode(bytes) else { return };
    let mut again = Vec::new();
    word.encode(&mut again);
    hold_bounds(bytes.len(), again.len());
    assert_eq!(Word::decode(&again), Ok(word));
}

/// A packet of calls over one connection.
pub fn call_packet(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else { return };
    let mut again = Vec::new();
    let written = packet.encode(&mut again, |item, out| {
        out.extend_from_slice(item);
        Ok::<_, ()>(())
    });
    assert_eq!(written, Ok(()));
    hold_bounds(bytes.len(), again.len());
    assert_eq!(Packet::decode(&again), Ok(packet));
}
