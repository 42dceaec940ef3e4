//! IP packets as a line carries them.

use towline_sim::{Packet, Rng, flip_a_bit};

/// A packet as a TUN device gives it: from the IP header on.
#[derive(Clone, Debug)]
pub(crate) struct IpPacket(pub(crate) Vec<u8>);

/// Where the two bits of congestion notification stand in an IPv4 header.
const ECN_BYTE: usize = 1;
const ECN_BITS: u8 = 0b11;
const CHECKSUM: usize = 10;

impl Packet for IpPacket {
    fn size(&self) -> usize {
        self.0.len()
    }

    fn mark(&mut self) -> bool {
        let bytes = &mut self.0;
        let is_ipv4 = bytes.len() >= 20 && bytes[0] >> 4 == 4;
        if !is_ipv4 || bytes[ECN_BYTE] & ECN_BITS == 0 {
            return false;
        }
        let before = u16::from_be_bytes([bytes[0], bytes[ECN_BYTE]]);
        bytes[ECN_BYTE] |= ECN_BITS;
        let after = u16::from_be_bytes([bytes[0], bytes[ECN_BYTE]]);
        let checksum = u16::from_be_bytes([bytes[CHECKSUM], bytes[CHECKSUM + 1]]);
        bytes[CHECKSUM..CHECKSUM + 2].copy_from_slice(&adjusted(checksum, before, after).to_be_bytes());
        true
    }

    fn corrupt(&mut self, rng: &mut Rng) {
        flip_a_bit(&mut self.0, rng);
    }
}

/// The checksum of a header in which one word has changed (RFC 1624, equation 3).
fn adjusted(checksum: u16, before: u16, after: u16) -> u16 {
    let mut sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum over a header whose checksum is right.
    fn sum(header: &[u8]) -> u16 {
        let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn a_mark_leaves_the_headers_checksum_right_and_spares_who_cannot_read_it() {
        for ecn in 0..4 {
            for id in 0..=u16::MAX {
                let mut header = vec![0x45, ecn, 5, 220, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
                header[4..6].copy_from_slice(&id.to_be_bytes());
                let checksum = !sum(&header);
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                let mut packet = IpPacket(header);
                assert_eq!(packet.mark(), ecn != 0);
                assert_eq!((packet.0[1], sum(&packet.0)), (if ecn == 0 { 0 } else { 3 }, 0xffff), "id {id}");
            }
        }
    }
}
