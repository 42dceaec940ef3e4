//! Acknowledgements: which packets of a datagram link came, when the last of them, and with which marks.
//!
//! ```text
//! ack  := 0x20 ‖ largest varint ‖ delay varint ‖ clock varint ‖ runs
//!       | 0x21 ‖ largest varint ‖ delay varint ‖ clock varint ‖ ect0 varint ‖ ect1 varint ‖ ce varint ‖ runs
//! runs := length − 1 varint ‖ rest × (gap − 1 varint ‖ length − 1 varint)              to the frame's end, from the largest down
//! ```
//! `clock` is when the largest number came, in microseconds of the receiver's own clock, and `delay` how long ago that was.
//! With two clocks' differences a sender tells the way there from the way back, whatever the acknowledgements suffered.

use super::cursor::{DecodeError, Reader, put_varint, varint_len};
use core::ops::RangeInclusive;
use core::time::Duration;

/// The type of an acknowledgement without marks.
pub const ACK: u64 = 0x20;

/// The type of one with them.
pub const ACK_ECN: u64 = 0x21;

/// The longest delay that is told, and believed: what is longer is a pause of the receiver.
pub const ACK_DELAY_MAX: Duration = Duration::from_secs(10);

/// How many packets came with which mark of explicit congestion notification (RFC 3168), since the link began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// Marked ECT(0): sent so, and met no congestion.
    pub ect0: u64,
    /// Marked ECT(1).
    pub ect1: u64,
    /// Marked CE: met congestion.
    pub ce: u64,
}

/// What stands before the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckHead {
    /// How long ago the largest number came, at most [`ACK_DELAY_MAX`].
    pub delay: Duration,
    /// When it came, in microseconds of the receiver's clock.
    pub clock_micros: u64,
    /// The marks, if the receiver sees them.
    pub ecn: Option<EcnCounts>,
}

/// An acknowledgement whose runs were all looked at: none reaches below number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// What stands before the runs.
    pub head: AckHead,
    /// The largest number that came.
    pub largest: u64,
    runs: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads what follows the type `kind`, to the frame's end.
    ///
    /// # Errors
    /// [`DecodeError`]: cut short, or runs that reach below number 0.
    pub fn decode(kind: u64, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let largest = reader.varint("largest")?;
        let delay = Duration::from_micros(reader.varint("delay")?).min(ACK_DELAY_MAX);
        let clock_micros = reader.varint("clock")?;
        let ecn = if kind == ACK_ECN { Some(decode_ecn(reader)?) } else { None };
        let ack = Self { head: AckHead { delay, clock_micros, ecn }, largest, runs: reader.take_rest() };
        ack.check()?;
        Ok(ack)
    }

    /// The runs of numbers that came, from the largest down.
    pub fn runs(&self) -> impl Iterator<Item = RangeInclusive<u64>> + use<'a> {
        let mut walk = Walk { reader: Reader::new(self.runs), next: Some(self.largest) };
        core::iter::from_fn(move || walk.step().ok().flatten())
    }

    fn check(&self) -> Result<(), DecodeError> {
        let mut walk = Walk { reader: Reader::new(self.runs), next: Some(self.largest) };
        if self.runs.is_empty() {
            return Err(DecodeError::Truncated { what: "runs" });
        }
        while walk.step()?.is_some() {}
        Ok(())
    }
}

fn decode_ecn(reader: &mut Reader<'_>) -> Result<EcnCounts, DecodeError> {
    Ok(EcnCounts { ect0: reader.varint("ect0")?, ect1: reader.varint("ect1")?, ce: reader.varint("ce")? })
}

/// Reads runs one by one.
struct Walk<'a> {
    reader: Reader<'a>,
    /// The largest number that the next run, or the gap before it, may have; `None` below 0.
    next: Option<u64>,
}

impl Walk<'_> {
    fn step(&mut self) -> Result<Option<RangeInclusive<u64>>, DecodeError> {
        const BELOW: DecodeError = DecodeError::Invalid { what: "a run below packet 0" };
        if self.reader.is_empty() {
            return Ok(None);
        }
        let last = self.next.ok_or(BELOW)?;
        let first = last.checked_sub(self.reader.varint("length of a run")?).ok_or(BELOW)?;
        if !self.reader.is_empty() {
            let gap = self.reader.varint("gap")? + 1;
            self.next = first.checked_sub(gap + 1);
            if self.reader.is_empty() {
                return Err(DecodeError::Truncated { what: "length of a run" });
            }
        }
        Ok(Some(first..=last))
    }
}

/// Appends type and fields of an acknowledgement of at most `room` bytes. Runs that find no room are left out, the lowest
/// ones; false, and nothing appended, if there is no run or no room for one.
pub fn put_ack(
    out: &mut Vec<u8>,
    room: usize,
    head: &AckHead,
    mut runs: impl Iterator<Item = RangeInclusive<u64>>,
) -> bool {
    let Some(first) = runs.next() else { return false };
    let at = out.len();
    put_varint(out, if head.ecn.is_some() { ACK_ECN } else { ACK });
    put_varint(out, *first.end());
    put_varint(out, head.delay.min(ACK_DELAY_MAX).as_micros() as u64);
    put_varint(out, head.clock_micros);
    if let Some(ecn) = head.ecn {
        [ecn.ect0, ecn.ect1, ecn.ce].into_iter().for_each(|count| put_varint(out, count));
    }
    put_varint(out, first.end() - first.start());
    if out.len() - at > room {
        out.truncate(at);
        return false;
    }
    let mut above = *first.start();
    for run in runs {
        let (gap, length) = (above - run.end() - 2, run.end() - run.start());
        if out.len() - at + varint_len(gap) + varint_len(length) > room {
            break;
        }
        put_varint(out, gap);
        put_varint(out, length);
        above = *run.start();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: AckHead = AckHead { delay: Duration::from_micros(25), clock_micros: 1_000_000, ecn: None };

    fn written(room: usize, head: &AckHead, runs: &[RangeInclusive<u64>]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(put_ack(&mut out, room, head, runs.iter().cloned()));
        out
    }

    fn read(bytes: &[u8]) -> Result<Ack<'_>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = reader.varint("type").unwrap();
        Ack::decode(kind, &mut reader)
    }

    #[test]
    fn golden_bytes() {
        let bytes = written(100, &HEAD, &[8..=10, 6..=6, 0..=2]);
        assert_eq!(bytes, [0x20, 10, 25, 0x80, 0x0f, 0x42, 0x40, 2, 0, 0, 2, 2]);
        let ecn = AckHead { ecn: Some(EcnCounts { ect0: 3, ect1: 0, ce: 1 }), ..HEAD };
        let bytes = written(100, &ecn, &[0..=0]);
        assert_eq!(bytes, [0x21, 0, 25, 0x80, 0x0f, 0x42, 0x40, 3, 0, 1, 0]);
        assert_eq!(read(&bytes).unwrap().head, ecn);
    }

    #[test]
    fn what_finds_no_room_is_the_lowest() {
        let all = [90..=99, 70..=79, 50..=59];
        let whole = written(100, &HEAD, &all);
        let cut = written(whole.len() - 1, &HEAD, &all);
        assert_eq!(read(&cut).unwrap().runs().collect::<Vec<_>>(), all[..2]);
        let mut out = vec![1];
        assert!(!put_ack(&mut out, 7, &HEAD, all.into_iter()) && out == [1]);
        assert!(!put_ack(&mut out, 100, &HEAD, core::iter::empty()) && out == [1]);
    }

    #[test]
    fn runs_below_zero_and_halves_of_runs_are_refused() {
        for runs in [&[11][..], &[10, 0], &[2, 7, 0], &[2, 6, 1], &[], &[2, 1], &[0x40]] {
            let bytes = [&[0x20, 10, 25, 1][..], runs].concat();
            assert!(read(&bytes).is_err(), "{runs:?}");
        }
        assert_eq!(read(&[0x20, 10, 25, 1, 2, 6, 0]).unwrap().runs().collect::<Vec<_>>(), [8..=10, 0..=0]);
    }

    #[test]
    fn nobody_is_believed_to_have_waited_long() {
        let bytes = [&[0x20, 0][..], &(1u64 << 60 | 3 << 62).to_be_bytes(), &[1, 0]].concat();
        assert_eq!(read(&bytes).unwrap().head.delay, ACK_DELAY_MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cuts in prop::collection::btree_set(0u64..100_000, 2..200)) {
            let cuts: Vec<u64> = cuts.into_iter().rev().collect();
            // Pairs of cuts, at least one number between runs.
            let runs: Vec<_> = cuts.chunks_exact(2).map(|pair| 2 * pair[1]..=2 * pair[0]).collect();
            let bytes = written(usize::MAX, &HEAD, &runs);
            prop_assert_eq!(read(&bytes).unwrap().runs().collect::<Vec<_>>(), runs);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), ecn: bool) {
            if let Ok(ack) = Ack::decode(ACK + u64::from(ecn), &mut Reader::new(&bytes)) {
                prop_assert!(ack.runs().all(|run| run.start() <= run.end() && *run.end() <= ack.largest));
            }
        }
    }
}
