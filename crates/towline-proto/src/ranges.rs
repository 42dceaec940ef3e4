//! A set of offsets, kept as ranges.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

/// Disjoint, non-touching ranges of offsets. Nearly always there are none or one, which costs no search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// Begin of each range → its end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// A set of nothing.
    pub const fn new() -> Self {
        Self { ranges: BTreeMap::new() }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges it takes to say it.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// About how much memory it holds, in bytes: a node of the tree is rarely less than half full.
    pub fn held(&self) -> usize {
        2 * self.ranges.len() * size_of::<(u64, u64)>()
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }

    /// The first range.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.ranges.first_key_value().map(|(&start, &end)| (start, end))
    }

    /// The end of the range that holds `offset`.
    pub fn end_of(&self, offset: u64) -> Option<u64> {
        self.ranges.range(..=offset).next_back().map(|(_, &end)| end).filter(|&end| end > offset)
    }

    /// Whether all of a range is in it (an empty range always is).
    pub fn contains(&self, start: u64, end: u64) -> bool {
        start >= end || self.end_of(start).is_some_and(|held| held >= end)
    }

    /// The parts of a range that are not in it, in order. Costs what lies inside the range, not what the set holds.
    pub fn gaps(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut from = self.end_of(start).unwrap_or(start);
        let mut inside = self.ranges.range(from..end.max(from));
        core::iter::from_fn(move || {
            while from < end {
                let (&s, &e) = inside.next().unwrap_or((&end, &end));
                let gap = (from, s);
                from = e;
                if gap.0 < gap.1 {
                    return Some(gap);
                }
            }
            None
        })
    }

    /// Adds a range; says how many offsets of it are new.
    pub fn insert(&mut self, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let (mut low, mut high, mut held) = (start, end, 0);
        while let Some((s, e)) = self.touching(start, end) {
            self.ranges.remove(&s);
            held += e.min(end).saturating_sub(s.max(start));
            low = low.min(s);
            high = high.max(e);
        }
        self.ranges.insert(low, high);
        end - start - held
    }

    /// Takes a range out.
    pub fn remove(&mut self, start: u64, end: u64) {
        while let Some((s, e)) = self.overlapping(start, end) {
            self.ranges.remove(&s);
            if s < start {
                self.ranges.insert(s, start);
            }
            if e > end {
                self.ranges.insert(end, e);
            }
        }
    }

    /// Takes out everything below `offset`.
    pub fn remove_below(&mut self, offset: u64) {
        while let Some((s, e)) = self.first().filter(|&(s, _)| s < offset) {
            self.ranges.remove(&s);
            if e > offset {
                self.ranges.insert(offset, e);
            }
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    fn touching(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        self.ranges.range(..=end).next_back().map(|(&s, &e)| (s, e)).filter(|&(_, e)| e >= start)
    }

    fn overlapping(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        self.ranges.range(..end).next_back().map(|(&s, &e)| (s, e)).filter(|&(_, e)| e > start && start < end)
    }
}
