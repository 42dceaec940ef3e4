//! Whether marks of congestion get through on a path, both there and back (RFC 9000 §13.4.2, appendix A.4).
//!
//! | state | our packets | event | then |
//! |---|---|---|---|
//! | testing | marked | ten left | unknown |
//! | testing, unknown | | one of them is acknowledged, with sound counts | capable |
//! | testing, unknown | | all ten are lost | failed |
//! | unknown | not marked | | |
//! | capable | marked | | |
//! | any but failed | | counts are missing, too small, too large or smaller than before | failed |
//! | failed | not marked | another path | testing |

use crate::wire::ack::EcnCounts;

/// So many packets are marked before anything is known (RFC 9000, appendix A.4).
const TEST_PACKETS: u64 = 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Testing,
    Unknown,
    Capable,
    Failed,
}

/// What an acknowledgement newly acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// How many of these packets had left marked.
    pub marked: u64,
    /// Whether the largest number among them is above all acknowledged before: older acknowledgements that come late are
    /// not held against what is known.
    pub is_newest: bool,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Ecn {
    state: State,
    /// Packets that left marked, and how many of these are lost, on this path.
    marked: u64,
    lost: u64,
    /// What the peer has counted so far, and what it had counted when the path began.
    counts: EcnCounts,
    before: EcnCounts,
}

impl Ecn {
    /// A path on which marks are tried, or one on which they are not because our own system cannot.
    pub fn new(can_mark: bool) -> Self {
        Self { state: if can_mark { State::Testing } else { State::Failed }, ..Self::default() }
    }

    /// Whether marks get through.
    pub const fn is_capable(&self) -> bool {
        matches!(self.state, State::Capable)
    }

    /// Whether the next packet leaves marked (ECT(0)).
    pub const fn marks_next(&self) -> bool {
        matches!(self.state, State::Testing | State::Capable)
    }

    /// A packet left marked.
    pub fn sent_marked(&mut self) {
        self.marked += 1;
        if self.state == State::Testing && self.marked >= TEST_PACKETS {
            self.state = State::Unknown;
        }
    }

    /// A packet that had left marked is lost.
    pub fn lost_marked(&mut self) {
        self.lost += 1;
        if self.state == State::Unknown && self.lost >= self.marked {
            self.state = State::Failed;
        }
    }

    /// An acknowledgement came, with the peer's counts if it had any. How many packets were newly marked as having met
    /// congestion; counts that cannot be true say nothing.
    pub fn acknowledged(&mut self, news: Acknowledged, counts: Option<EcnCounts>) -> u64 {
        if self.state == State::Failed || !news.is_newest {
            return 0;
        }
        let Some(counts) = counts else {
            if news.marked > 0 {
                self.state = State::Failed;
            }
            return 0;
        };
        let Some(met) = self.congestion_in(counts, news.marked) else {
            self.state = State::Failed;
            return 0;
        };
        self.counts = counts;
        if news.marked > 0 {
            self.state = State::Capable;
        }
        met
    }

    /// How many marks of congestion are new in `counts`; `None` if they cannot be true.
    fn congestion_in(&self, counts: EcnCounts, newly_marked: u64) -> Option<u64> {
        let arrived = counts.ect0.checked_sub(self.counts.ect0)?;
        let met = counts.ce.checked_sub(self.counts.ce)?;
        // ECT(1) is never sent: whoever counts it saw marks that somebody rewrote.
        let is_ours = counts.ect1 == self.before.ect1;
        let so_far = (counts.ect0 - self.before.ect0).checked_add(counts.ce - self.before.ce)?;
        let is_sound = arrived.checked_add(met)? >= newly_marked && so_far <= self.marked;
        (is_ours && is_sound).then_some(met)
    }

    /// Another path, on which marks are tried anew if our own system can.
    pub fn begin_again(&mut self, can_mark: bool) {
        *self = Self { counts: self.counts, before: self.counts, ..Self::new(can_mark) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    fn news(marked: u64) -> Acknowledged {
        Acknowledged { marked, is_newest: true }
    }

    /// A path on which ten packets were marked.
    fn unknown() -> Ecn {
        let mut ecn = Ecn::new(true);
        for _ in 0..TEST_PACKETS {
            assert!(ecn.marks_next());
            ecn.sent_marked();
        }
        assert!(!ecn.marks_next() && !ecn.is_capable());
        ecn
    }

    fn capable() -> Ecn {
        let mut ecn = unknown();
        assert_eq!(ecn.acknowledged(news(10), counts(10, 0, 0)), 0);
        assert!(ecn.is_capable() && ecn.marks_next());
        ecn
    }

    fn has_failed(ecn: &Ecn) -> bool {
        !ecn.is_capable() && !ecn.marks_next() && ecn.state == State::Failed
    }

    #[test]
    fn ten_packets_are_marked_until_one_is_acknowledged_with_its_mark() {
        let mut early = Ecn::new(true);
        early.sent_marked();
        early.acknowledged(news(1), counts(1, 0, 0));
        assert!(early.is_capable());
        capable();
    }

    #[test]
    fn where_every_marked_packet_is_lost_nothing_is_marked_any_more() {
        let mut ecn = unknown();
        (1..TEST_PACKETS).for_each(|_| ecn.lost_marked());
        assert!(!has_failed(&ecn));
        ecn.lost_marked();
        assert!(has_failed(&ecn));

        let mut lucky = unknown();
        lucky.acknowledged(news(1), counts(1, 0, 0));
        (1..=TEST_PACKETS).for_each(|_| lucky.lost_marked());
        assert!(lucky.is_capable());
    }

    #[test]
    fn congestion_is_counted_once() {
        let mut ecn = capable();
        (0..10).for_each(|_| ecn.sent_marked());
        assert_eq!(ecn.acknowledged(news(5), counts(13, 0, 2)), 2);
        assert_eq!(ecn.acknowledged(news(0), counts(13, 0, 2)), 0);
        assert_eq!(ecn.acknowledged(news(5), counts(15, 0, 5)), 3);
        assert!(ecn.is_capable());
    }

    #[test]
    fn a_mark_that_becomes_congestion_counts_as_arrived() {
        let mut ecn = unknown();
        assert_eq!(ecn.acknowledged(news(10), counts(0, 0, 10)), 10);
        assert!(ecn.is_capable());
    }

    #[test]
    fn counts_that_cannot_be_true_end_it() {
        let cases = [
            ("missing", None),
            ("too few", counts(14, 0, 0)),
            ("backwards", counts(9, 0, 6)),
            ("more than left", counts(16, 0, 0)),
            ("more congestion than left", counts(10, 0, 6)),
            ("of the other kind", counts(15, 1, 0)),
            ("overflowing", counts(u64::MAX, 0, u64::MAX)),
        ];
        for (what, counts) in cases {
            let mut ecn = capable();
            (0..5).for_each(|_| ecn.sent_marked());
            assert_eq!(ecn.acknowledged(news(5), counts), 0, "{what}");
            assert!(has_failed(&ecn), "{what}");
        }
        let mut ecn = capable();
        (0..5).for_each(|_| ecn.sent_marked());
        ecn.acknowledged(news(5), counts(15, 0, 0));
        assert!(ecn.is_capable(), "exactly as many as left");
    }

    #[test]
    fn acknowledgements_that_overtook_each_other_and_those_of_unmarked_packets_harm_nothing() {
        let mut ecn = capable();
        ecn.acknowledged(Acknowledged { marked: 1, is_newest: false }, counts(3, 0, 0));
        ecn.acknowledged(Acknowledged { marked: 1, is_newest: false }, None);
        ecn.acknowledged(news(0), None);
        assert!(ecn.is_capable());
    }

    #[test]
    fn another_path_is_tested_anew_with_the_counts_going_on() {
        let mut ecn = capable();
        ecn.acknowledged(news(0), counts(8, 0, 0));
        assert!(has_failed(&ecn));
        ecn.begin_again(true);
        (0..TEST_PACKETS).for_each(|_| ecn.sent_marked());
        ecn.acknowledged(news(10), counts(20, 0, 0));
        assert!(ecn.is_capable());
    }

    #[test]
    fn a_system_that_cannot_mark_never_does() {
        let mut ecn = Ecn::new(false);
        assert!(has_failed(&ecn));
        assert_eq!(ecn.acknowledged(news(0), counts(5, 0, 5)), 0);
        ecn.begin_again(false);
        assert!(has_failed(&ecn));
    }
}
