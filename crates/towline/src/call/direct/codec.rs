//! Packets as messages: a content like any other.

use std::marker::PhantomData;

use towline_proto::call::Packet;
use towline_proto::wire::cursor::DecodeError;

use crate::codec::{Content, Typed};

/// Packets around items of the content `C`, in any framing that takes any bytes (a line ends at a byte that a packet's
/// numbers may have; a length does not mind).
pub type PacketCodec<F, C> = Typed<F, Packets<C>>;

/// The content of a message that carries calls: a packet (`docs/calls.md`) around an item of `C`.
pub struct Packets<C>(PhantomData<fn() -> C>);

/// Why bytes are no packet, or one cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError<E> {
    /// No packet around an item.
    #[error("not a packet: {0}")]
    Packet(DecodeError),
    /// A packet around something else.
    #[error("not an item of this type: {0}")]
    Item(E),
}

/// What a packet holds beside its item: about the size of its head.
const HEAD_BYTES: usize = 16;

impl<C: Content> Content for Packets<C> {
    type In = Packet<C::In>;
    type Out = Packet<C::Out>;
    type Error = PacketError<C::Error>;

    fn read(bytes: &[u8]) -> Result<Self::In, Self::Error> {
        let packet = Packet::decode(bytes).map_err(PacketError::Packet)?;
        let part = packet.part.try_map(C::read).map_err(PacketError::Item)?;
        Ok(Packet { call: packet.call, part })
    }

    fn write(packet: &Self::Out, bytes: &mut Vec<u8>) -> Result<(), Self::Error> {
        packet.encode(bytes, C::write).map_err(PacketError::Item)
    }

    fn weight_bytes(packet: &Self::Out) -> usize {
        HEAD_BYTES + packet.part.item().map_or(0, C::weight_bytes)
    }
}
