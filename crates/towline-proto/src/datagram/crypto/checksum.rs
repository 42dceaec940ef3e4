//! Packet protection for simulations: a keyed checksum in the place of every cipher.
//!
//! **It keeps no secret**: contents travel as they are, and keys follow from what anybody on the path can see. What it does
//! keep is the form: the same samples, tags, masks and lengths as the real thing, the same result for the same seed, and
//! not one flipped bit passes for what was sealed.

use super::{HeaderKey, InitialCrypto, Keys, OneWay, PacketKey, PacketKeys, Side, TokenKey};

/// As AES-GCM's and ChaCha20-Poly1305's.
const TAG_BYTES: usize = 16;

/// As theirs.
const SAMPLE_BYTES: usize = 16;

/// Mixes bytes and numbers into 64 bits. Every step is a bijection of the state, so one changed word always shows.
#[derive(Clone, Copy, Debug)]
pub struct Mixer(u64);

impl Mixer {
    /// A mixer under a key.
    pub const fn new(key: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15).word(key)
    }

    /// Mixes in a number.
    #[must_use]
    pub const fn word(self, word: u64) -> Self {
        let mixed = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self((mixed ^ (mixed >> 32)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29))
    }

    /// Mixes in bytes and how many they are.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mixed = words.iter().fold(self, |mixer, word| mixer.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mixed.word(u64::from_le_bytes(last)).word(bytes.len() as u64)
    }

    /// What came out.
    pub const fn sum(self) -> u64 {
        self.word(0x2545_f491_4f6c_dd1d).0
    }

    /// What came out, as 16 bytes.
    pub fn tag(self) -> [u8; TAG_BYTES] {
        let pair = [self.word(1).sum(), self.word(2).sum()].map(u64::to_le_bytes);
        core::array::from_fn(|at| pair[at / 8][at % 8])
    }
}

/// How many packets keys may seal, and how many may fail to open: small ones make key updates everyday business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// See [`PacketKey::sealed_max`].
    pub sealed_max: u64,
    /// See [`PacketKey::failed_max`].
    pub failed_max: u64,
}

impl Default for KeyLimits {
    /// AES-GCM's (RFC 9001 §6.6).
    fn default() -> Self {
        Self { sealed_max: 1 << 23, failed_max: 1 << 52 }
    }
}

/// A header's key.
#[derive(Clone, Copy, Debug)]
pub struct HeaderSum(u64);

impl HeaderSum {
    fn mask(self, sample: &[u8]) -> [u8; 8] {
        Mixer::new(self.0).bytes(sample).sum().to_le_bytes()
    }

    /// Which bits of a first byte are hidden: four of a long header, five of a short one.
    const fn hidden(first: u8) -> u8 {
        if first & 0x80 == 0 { 0x1f } else { 0x0f }
    }
}

impl HeaderKey for HeaderSum {
    fn sample_bytes(&self) -> usize {
        SAMPLE_BYTES
    }

    fn hide(&self, sample: &[u8], first: &mut u8, number: &mut [u8]) {
        let mask = self.mask(sample);
        *first ^= mask[0] & Self::hidden(*first);
        number.iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
    }

    fn show(&self, sample: &[u8], first: &mut u8, number: &mut [u8]) {
        let mask = self.mask(sample);
        *first ^= mask[0] & Self::hidden(*first);
        let len = usize::from(*first & 3) + 1;
        number.iter_mut().take(len).zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// A content's key.
#[derive(Clone, Copy, Debug)]
pub struct PacketSum {
    key: u64,
    limits: KeyLimits,
}

impl PacketSum {
    fn tag(&self, number: u64, header: &[u8], content: &[u8]) -> [u8; TAG_BYTES] {
        Mixer::new(self.key).word(number).bytes(header).bytes(content).tag()
    }
}

impl PacketKey for PacketSum {
    fn tag_bytes(&self) -> usize {
        TAG_BYTES
    }

    fn seal(&self, number: u64, header: &[u8], content: &mut [u8]) {
        let (content, tag) = content.split_at_mut(content.len() - TAG_BYTES);
        tag.copy_from_slice(&self.tag(number, header, content));
    }

    fn open(&self, number: u64, header: &[u8], content: &mut [u8]) -> Option<usize> {
        let (content, tag) = content.split_last_chunk::<TAG_BYTES>()?;
        (self.tag(number, header, content) == *tag).then_some(content.len())
    }

    fn sealed_max(&self) -> u64 {
        self.limits.sealed_max
    }

    fn failed_max(&self) -> u64 {
        self.limits.failed_max
    }
}

/// The key of one side under a secret that both know.
const fn of_side(secret: u64, side: Side) -> u64 {
    Mixer::new(secret).word(side as u64).sum()
}

const fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

fn one_way(secret: u64, side: Side, limits: KeyLimits) -> OneWay {
    let key = of_side(secret, side);
    OneWay { header: Box::new(HeaderSum(key)), packet: Box::new(PacketSum { key, limits }) }
}

/// The keys of `side` that follow from a secret which both sides know.
pub fn keys(secret: u64, side: Side, limits: KeyLimits) -> Keys {
    Keys { local: one_way(secret, side, limits), remote: one_way(secret, other(side), limits) }
}

/// As [`keys`], of a key update.
pub fn packet_keys(secret: u64, side: Side, limits: KeyLimits) -> PacketKeys {
    let of = |side| Box::new(PacketSum { key: of_side(secret, side), limits });
    PacketKeys { local: of(side), remote: of(other(side)) }
}

/// Protection before any secret is shared.
#[derive(Clone, Copy, Debug, Default)]
pub struct InitialSum;

impl InitialCrypto for InitialSum {
    fn initial_keys(&self, side: Side, client_chosen: &[u8]) -> Keys {
        keys(Mixer::new(0).bytes(client_chosen).sum(), side, KeyLimits::default())
    }

    fn retry_tag(&self, client_chosen: &[u8], packet: &[u8]) -> [u8; 16] {
        Mixer::new(1).bytes(client_chosen).bytes(packet).tag()
    }
}

/// A server's own secret, made of a seed.
#[derive(Clone, Copy, Debug)]
pub struct TokenSum(pub u64);

/// A token's nonce.
const NONCE_BYTES: usize = 12;

impl TokenSum {
    fn tag(&self, nonce: &[u8], content: &[u8]) -> [u8; TAG_BYTES] {
        Mixer::new(self.0).bytes(nonce).bytes(content).tag()
    }
}

impl TokenKey for TokenSum {
    fn seal_token(&self, nonce: [u8; NONCE_BYTES], content: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&nonce);
        out.extend_from_slice(content);
        out.extend_from_slice(&self.tag(&nonce, content));
    }

    fn open_token(&self, token: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = token.split_first_chunk::<NONCE_BYTES>()?;
        let (content, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        (self.tag(nonce, content) == *tag).then(|| content.to_vec())
    }

    fn reset_token(&self, id: &[u8]) -> [u8; 16] {
        Mixer::new(self.0).word(3).bytes(id).tag()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_seals_the_other_opens_and_no_flipped_bit_passes() {
        let [client, server] = [Side::Client, Side::Server].map(|side| keys(5, side, KeyLimits::default()));
        for len in [0, 1, 7, 8, 9, 100] {
            let header = [1, 2, 3];
            let mut sealed: Vec<u8> = (0..len).collect();
            sealed.resize(usize::from(len) + TAG_BYTES, 0);
            client.local.packet.seal(9, &header, &mut sealed);
            assert_eq!(server.remote.packet.open(9, &header, &mut sealed.clone()), Some(usize::from(len)));
            assert_eq!(server.remote.packet.open(8, &header, &mut sealed.clone()), None, "another number");
            assert_eq!(server.remote.packet.open(9, &header[..2], &mut sealed.clone()), None, "another header");
            assert_eq!(client.remote.packet.open(9, &header, &mut sealed.clone()), None, "another side");
            for bit in 0..sealed.len() * 8 {
                sealed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(server.remote.packet.open(9, &header, &mut sealed.clone()), None, "bit {bit}");
                sealed[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert_eq!(server.remote.packet.open(9, &[], &mut [0; TAG_BYTES - 1]), None);
    }

    #[test]
    fn a_hidden_header_is_shown_again() {
        let [client, server] = [Side::Client, Side::Server].map(|side| InitialSum.initial_keys(side, &[1; 8]));
        for (first, len) in [(0xc0, 1), (0xc1, 2), (0x42, 3), (0x5f, 4)] {
            let (mut shown, mut number) = (first, [1, 2, 3, 4]);
            client.local.header.hide(&[7; 16], &mut shown, &mut number[..len]);
            assert_ne!(number[..len], [1, 2, 3, 4][..len]);
            server.remote.header.show(&[7; 16], &mut shown, &mut number);
            assert_eq!((shown, number), (first, [1, 2, 3, 4]));
        }
    }

    #[test]
    fn a_token_is_of_its_key() {
        let mut token = vec![];
        TokenSum(1).seal_token([4; 12], b"content", &mut token);
        assert_eq!(TokenSum(1).open_token(&token).as_deref(), Some(&b"content"[..]));
        assert_eq!(TokenSum(2).open_token(&token), None);
        assert_eq!(TokenSum(1).open_token(&token[..27]), None);
        assert_ne!(TokenSum(1).reset_token(&[1]), TokenSum(1).reset_token(&[2]));
    }
}
