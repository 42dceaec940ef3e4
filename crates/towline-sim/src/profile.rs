//! Links by name and in words: what the simulator and the emulator between two kernels both run.

#[cfg(test)]
mod tests;

use crate::units::{print_decimal, print_rate, print_size, print_time, read_decimal, read_rate, read_size, read_time};
use crate::{Conditions, HEADERS, Jitter, Loss, MILLIS, Nanos, Queue, Reorder, SECONDS, Share};
use std::fmt;
use std::str::FromStr;

/// A link that is the same both ways, in words such as
/// `rate=100Mbit,rtt=100ms,loss=1%,burst=1,jitter=0ms,reorder=0%/0ms,queue=1bdp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name in [`PROFILES`]; `custom` for one given in words.
    pub name: &'static str,
    /// How many bits pass in a second each way, headers of IP counted.
    pub rate_bits_per_second: u64,
    /// How long there and back take while nothing waits.
    pub round_trip: Nanos,
    /// How much is lost by chance each way.
    pub loss: Share,
    /// How many packets are lost in a row on average; 1 for each packet by itself.
    pub burst: u32,
    /// By how much the round trip differs, both ways; half of it on the way there, half on the way back. Written with
    /// `-in-order` where packets do not overtake each other.
    pub jitter: Jitter,
    /// How many packets come how much later than their fellows each way.
    pub reorder: Reorder,
    /// How much may wait each way.
    pub queue: QueueSize,
}

/// How much may wait at a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueSize {
    /// So many packets: `25p`.
    Packets(u32),
    /// So many bytes: `64kB`.
    Bytes(u64),
    /// So many thousandths of what fills the round trip at the full rate (bandwidth-delay product): `0.5bdp`.
    BandwidthDelay(u32),
}

const WHOLE_BDP: u32 = 1_000;

/// A link without chance, with a queue of one bandwidth-delay product.
const fn plain(name: &'static str, megabits: u64, round_trip_millis: u64) -> Profile {
    Profile {
        name,
        rate_bits_per_second: megabits * 1_000_000,
        round_trip: round_trip_millis * MILLIS,
        loss: Share::NONE,
        burst: 1,
        jitter: Jitter { most: 0, in_order: false },
        reorder: Reorder { share: Share::NONE, by: 0 },
        queue: QueueSize::BandwidthDelay(WHOLE_BDP),
    }
}

const fn lossy(name: &'static str, megabits: u64, round_trip_millis: u64, loss_per_million: u32) -> Profile {
    Profile { loss: Share::per_million(loss_per_million), ..plain(name, megabits, round_trip_millis) }
}

/// The links by which transports are compared.
pub const PROFILES: [Profile; 9] = [
    plain("P1", 100, 100),
    lossy("P2", 100, 100, 10_000),
    lossy("P3", 100, 200, 30_000),
    lossy("P4", 200, 50, 1_000),
    lossy("P5", 400, 80, 5_000),
    lossy("P6", 50, 600, 10_000),
    lossy("P7", 20, 150, 100_000),
    Profile { jitter: Jitter { most: 50 * MILLIS, in_order: false }, ..lossy("P8", 10, 100, 100_000) },
    Profile { queue: QueueSize::Packets(25), ..plain("P9", 20, 40) },
];

impl Profile {
    /// What each direction does to its packets.
    pub fn conditions(&self) -> Conditions {
        Conditions {
            rate_bits_per_second: self.rate_bits_per_second,
            delay: self.round_trip / 2,
            jitter: Jitter { most: self.jitter.most / 2, ..self.jitter },
            queue: self.queue(),
            loss: self.chance().expect("a profile's bursts were checked when it was made"),
            reorder: self.reorder,
            ..Conditions::default()
        }
    }

    /// What fills the round trip at the full rate, in bytes.
    pub const fn bandwidth_delay_bytes(&self) -> u64 {
        (self.rate_bits_per_second as u128 * self.round_trip as u128 / (8 * SECONDS as u128)) as u64
    }

    fn queue(&self) -> Queue {
        match self.queue {
            QueueSize::Packets(most) => Queue::Packets(most as usize),
            QueueSize::Bytes(most) => Queue::Bytes(most),
            QueueSize::BandwidthDelay(thousandths) => {
                let bytes = u128::from(self.bandwidth_delay_bytes()) * u128::from(thousandths);
                Queue::Bytes((bytes / u128::from(WHOLE_BDP)) as u64)
            }
        }
    }

    fn chance(&self) -> Option<Loss> {
        if self.burst == 1 { Some(Loss::random(self.loss)) } else { Loss::bursts(self.loss, self.burst) }
    }
}

/// What of a full packet is application data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// The whole packet, in bytes with the headers of IP.
    pub packet: usize,
    /// The application's bytes in it.
    pub payload: usize,
}

impl Packing {
    /// A full encrypted datagram of one stream's bytes: headers of IP and UDP; flags (1), connection id (8), packet number (4)
    /// and tag (16) of the packet; type, stream, offset and length of the frame (10).
    pub const ENCRYPTED_DATAGRAM: Self = Self { packet: 1_500, payload: 1_500 - HEADERS - (1 + 8 + 4 + 16) - 10 };
}

/// The most application bits that can arrive in a second, whoever sends them: what headers leave of the rate, and chance of that.
///
/// It counts neither the time in which a connection begins nor what acknowledgements the other way cost, and assumes that
/// each lost packet is made good by exactly one more.
pub fn ceiling(profile: &Profile, packing: Packing) -> u64 {
    let useful = packing.payload as f64 / packing.packet as f64;
    (profile.rate_bits_per_second as f64 * useful * (1.0 - profile.loss.as_f64())) as u64
}

impl fmt::Display for QueueSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Packets(most) => write!(f, "{most}p"),
            Self::Bytes(most) => write!(f, "{}", print_size(most)),
            Self::BandwidthDelay(parts) => write!(f, "{}bdp", print_decimal(parts.into(), WHOLE_BDP.into())),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loss, burst, queue, reorder, .. } = self;
        let [rtt, jitter, later] = [self.round_trip, self.jitter.most, reorder.by].map(print_time);
        let order = if self.jitter.in_order { "-in-order" } else { "" };
        write!(f, "rate={},rtt={rtt},loss={loss},burst={burst}", print_rate(self.rate_bits_per_second))?;
        write!(f, ",jitter={jitter}{order},reorder={}/{later},queue={queue}", reorder.share)
    }
}

/// Why a text names no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProfile {
    /// Neither a name of [`PROFILES`] nor `key=value`.
    Unknown(String),
    /// There is no such key.
    Key(String),
    /// A key's value cannot be read; an example of one that can.
    Value(&'static str, &'static str),
    /// A key is missing that has no default.
    Missing(&'static str),
    /// Runs of lost packets of this length cannot make up so much loss.
    Bursts,
}

impl fmt::Display for NoProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => {
                write!(f, "`{text}` is no link: give one of P1 to P9, or rate=100Mbit,rtt=100ms with loss, burst, ")?;
                write!(f, "jitter, reorder and queue as wished")
            }
            Self::Key(key) => write!(f, "a link has no `{key}`: rate, rtt, loss, burst, jitter, reorder, queue"),
            Self::Value(key, example) => write!(f, "`{key}` cannot be read: write it like {key}={example}"),
            Self::Missing(key) => write!(f, "a link needs `{key}`"),
            Self::Bursts => write!(f, "bursts this short cannot lose so much: raise `burst` or lower `loss`"),
        }
    }
}

impl std::error::Error for NoProfile {}

impl FromStr for Profile {
    type Err = NoProfile;

    /// Reads a name (`P3`), words (`rate=50Mbit,rtt=20ms,loss=1%`; rate and rtt must be there), or a name and what differs from
    /// it (`P3,loss=0%`).
    fn from_str(text: &str) -> Result<Self, NoProfile> {
        let (first, rest) = text.split_once(',').unwrap_or((text, ""));
        let named = PROFILES.into_iter().find(|profile| profile.name.eq_ignore_ascii_case(first));
        if let Some(profile) = named.filter(|_| rest.is_empty()) {
            return Ok(profile);
        }
        let words = if named.is_some() { rest } else { text };
        let mut profile = Self { name: "custom", ..named.unwrap_or(plain("custom", 0, 0)) };
        let mut missing = if named.is_some() { vec![] } else { vec!["rate", "rtt"] };
        for word in words.split(',') {
            let (key, value) = word.split_once('=').ok_or_else(|| NoProfile::Unknown(text.to_owned()))?;
            profile.set(key, value)?;
            missing.retain(|needed| *needed != key);
        }
        match missing.first() {
            Some(key) => Err(NoProfile::Missing(key)),
            None if profile.chance().is_none() => Err(NoProfile::Bursts),
            None => Ok(profile),
        }
    }
}

impl Profile {
    fn set(&mut self, key: &str, value: &str) -> Result<(), NoProfile> {
        match key {
            "rate" => {
                let rate = read_rate(value).filter(|rate| *rate > 0);
                self.rate_bits_per_second = rate.ok_or(NoProfile::Value("rate", "100Mbit"))?;
            }
            "rtt" => self.round_trip = read_time(value).ok_or(NoProfile::Value("rtt", "100ms"))?,
            "loss" => {
                let loss = value.parse().ok().filter(|loss| *loss < Share::ALL);
                self.loss = loss.ok_or(NoProfile::Value("loss", "0.1%"))?;
            }
            "burst" => {
                let burst = value.parse().ok().filter(|burst| *burst > 0);
                self.burst = burst.ok_or(NoProfile::Value("burst", "4"))?;
            }
            "jitter" => self.jitter = read_jitter(value).ok_or(NoProfile::Value("jitter", "50ms"))?,
            "reorder" => self.reorder = read_reorder(value).ok_or(NoProfile::Value("reorder", "1%/50ms"))?,
            "queue" => self.queue = read_queue(value).ok_or(NoProfile::Value("queue", "1bdp"))?,
            _ => return Err(NoProfile::Key(key.to_owned())),
        }
        Ok(())
    }
}

fn read_jitter(text: &str) -> Option<Jitter> {
    let bare = text.strip_suffix("-in-order");
    Some(Jitter { most: read_time(bare.unwrap_or(text))?, in_order: bare.is_some() })
}

fn read_reorder(text: &str) -> Option<Reorder> {
    let (share, by) = text.split_once('/')?;
    Some(Reorder { share: share.parse().ok()?, by: read_time(by)? })
}

fn read_queue(text: &str) -> Option<QueueSize> {
    if let Some(number) = text.strip_suffix("bdp") {
        let parts = read_decimal(number, WHOLE_BDP.into())?;
        return u32::try_from(parts).ok().map(QueueSize::BandwidthDelay);
    }
    match text.strip_suffix('p') {
        Some(number) => number.parse().ok().map(QueueSize::Packets),
        None => read_size(text).map(QueueSize::Bytes),
    }
}
