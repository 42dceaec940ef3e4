//! How much may be on its way, and how fast it leaves.
//!
//! A [`Controller`] hears what was delivered and lost, and names a window and a rate. It sees no packets, frames or
//! streams.

pub mod delivery_rate;

use core::fmt;

use super::delivery::Sample;
use super::rtt::Rtt;
use crate::time::Instant;

/// The most packets of the first flight, before anything is known of the path.
pub const FIRST_FLIGHT_PACKETS: u64 = 100;

/// The least window, in packets: one to be acknowledged while the other is on its way, both ways.
pub const LEAST_WINDOW_PACKETS: u64 = 4;

/// What one acknowledgement, with the losses that it showed, says.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// Bytes newly delivered.
    pub delivered: u64,
    /// Delivered since the beginning, these included.
    pub delivered_in_all: u64,
    /// Bytes newly found lost, and when the last of them left.
    pub lost: u64,
    /// See [`News::lost`].
    pub lost_sent_at: Option<Instant>,
    /// What the newest packet says of the path.
    pub sample: Option<Sample>,
    /// Packets newly reported as marked for congestion.
    pub marked: u64,
    /// Bytes still on their way.
    pub in_flight: u64,
    /// The path's round trips.
    pub rtt: &'a Rtt,
}

/// Decides how much may be on its way, and how fast it leaves.
pub trait Controller: fmt::Debug + Send {
    /// An acknowledgement came, or losses were found without one.
    fn heard(&mut self, now: Instant, news: &News<'_>);

    /// Nothing came through for several probe timeouts: what was known of the path is void.
    fn path_was_dead(&mut self, now: Instant);

    /// How many bytes may be on their way.
    fn window(&self) -> u64;

    /// How many bytes leave in a second.
    fn rate(&self) -> u64;

    /// The largest packet on this path, in bytes; it may change.
    fn set_packet_bytes(&mut self, bytes: u64);
}
