//! Every decoder that reads what a peer sends, each as `fn(&[u8])` that panics if a rule is broken: the fuzz targets call
//! them, and so does the test that replays the seeds on a stable compiler.

use std::sync::Arc;
use towline_proto::call::{Packet, Word};
use towline_proto::datagram::connection_id::ConnectionId;
use towline_proto::datagram::crypto::checksum::{InitialSum, TokenSum};
use towline_proto::datagram::crypto::{InitialCrypto, Side};
use towline_proto::datagram::packet::{self, Datagram, destination_id};
use towline_proto::datagram::params::Params;
use towline_proto::datagram::strangers::{Limits, Outcome, Strangers, Verdict};
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
    ("datagram_packets", datagram_packets),
    ("datagram_params", datagram_params),
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

/// A datagram that comes to an endpoint which knows nobody, and to a link. The first byte says whether it is filled up to
/// the size of a first one, and whether half-open handshakes are free.
pub fn datagram_packets(bytes: &[u8]) {
    let Some((&how, rest)) = bytes.split_first() else { return };
    let mut datagram = rest.to_vec();
    if how & 1 != 0 {
        datagram.resize(rest.len().max(packet::INITIAL_DATAGRAM_BYTES), 0);
    }
    meet_strangers(&datagram, how & 2 == 0);
    let all = datagram.len();
    let destination = destination_id(&datagram);
    let keys = InitialSum.initial_keys(Side::Server, destination.as_deref().unwrap_or_default()).remote;
    let mut packets = Datagram::new(&mut datagram);
    let mut read = 0;
    for packet in packets.by_ref() {
        match packet {
            packet::Packet::Sealed(sealed) => {
                assert_eq!(Some(sealed.destination()), destination);
                assert!(sealed.token().len() < sealed.packet_bytes());
                read += sealed.packet_bytes();
                if let Some(shown) = sealed.show(&*keys.header) {
                    let number = shown.number(Some(1 << 20));
                    let _ = shown.open(number, &*keys.packet);
                }
            }
            packet::Packet::Retry(retry) => {
                assert!(!retry.token().is_empty());
                let _ = retry.is_authentic(&retry.source(), &InitialSum);
                read = all;
            }
            packet::Packet::Versions(versions) => {
                assert!(versions.versions().count() > 0);
                read = all;
            }
        }
    }
    assert_eq!(read + packets.malformed_bytes(), all, "every byte is read or counted as dropped");
}

/// No answer is as long as its question, and only who is accepted takes a place.
fn meet_strangers(datagram: &[u8], free: bool) {
    let limits = Limits { free: usize::from(free), ..Limits::default() };
    let mut strangers = Strangers::new(true, limits, Arc::new(TokenSum(1)), Arc::new(InitialSum));
    let mut answer = Vec::new();
    let from = ([192, 0, 2, 7], 4433).into();
    let verdict =
        strangers.handle_datagram(Instant::from_nanos(1), from, datagram, &mut |out| out.fill(7), &mut answer);
    assert!(answer.is_empty() || answer.len() < datagram.len());
    assert_eq!(strangers.half_open(), usize::from(matches!(verdict, Verdict::Accept(_))));
    match verdict {
        Verdict::Accept(accepted) => {
            assert_eq!(destination_id(datagram), Some(accepted.first_destination));
            strangers.leave(from);
            assert_eq!(strangers.half_open(), 0);
        }
        Verdict::Answer(Outcome::Retry) => {
            let Some(packet::Packet::Retry(retry)) = Datagram::new(&mut answer).next() else { panic!("no retry") };
            let chosen = destination_id(datagram).unwrap_or_default();
            assert!(retry.is_authentic(&chosen, &InitialSum) && retry.source() == ConnectionId::from([7; 8]));
        }
        Verdict::Answer(_) | Verdict::Ignore(_) => {}
    }
}

/// Transport parameters of a client, and of a server.
pub fn datagram_params(bytes: &[u8]) {
    for side in [Side::Client, Side::Server] {
        let Ok(params) = Params::decode(side, bytes) else { continue };
        let mut again = Vec::new();
        params.encode(0x1234_5678_9abc_def0, &mut again);
        let read = Params::decode(side, &again);
        assert!(read.is_ok_and(|read| read.first_ids == params.first_ids && read.ids_max == params.ids_max));
        hold_bounds(bytes.len(), again.len());
    }
}
