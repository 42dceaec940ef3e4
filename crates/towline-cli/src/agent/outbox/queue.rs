//! Which claimed file is submitted next.
//!
//! Small files go one after another to each device, so that they are accepted in the order in which they were claimed;
//! devices do not wait for each other. Large files go beside them, a few at once, so that none holds up what is behind it.

use super::claim::Claim;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;
use towline_proto::ids::{DeviceName, MessageId};

/// How many large files are on their way at once: more would only share the same line, and each reads a disk.
pub(super) const LARGE_AT_ONCE: usize = 4;

/// How many devices' small files are on their way at once: each holds a task and up to 64 KiB.
pub(super) const SMALL_AT_ONCE: usize = 16;

/// What is claimed and not accepted.
#[derive(Debug, Default)]
pub(super) struct Queue {
    small: BTreeMap<DeviceName, VecDeque<Waiting>>,
    large: BTreeMap<MessageId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    claim: Claim,
    under_way: bool,
    not_before: Option<Instant>,
}

impl Waiting {
    fn is_ready(&self, now: Instant) -> bool {
        !self.under_way && self.not_before.is_none_or(|at| at <= now)
    }

    fn start(&mut self) -> Claim {
        self.under_way = true;
        self.claim.clone()
    }
}

impl Queue {
    /// Adds a claim behind those of its device.
    pub(super) fn add(&mut self, claim: Claim, large: bool) {
        if self.contains(claim.id) {
            return;
        }
        let waiting = Waiting { under_way: false, not_before: None, claim };
        match large {
            true => drop(self.large.insert(waiting.claim.id, waiting)),
            false => self.small.entry(waiting.claim.device.clone()).or_default().push_back(waiting),
        }
    }

    /// Whether this message is here.
    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.large.contains_key(&id) || self.small.values().flatten().any(|waiting| waiting.claim.id == id)
    }

    /// What may be submitted now; it is under way from then on.
    pub(super) fn next(&mut self, now: Instant) -> Option<Claim> {
        self.next_small(now).or_else(|| self.next_large(now))
    }

    fn next_small(&mut self, now: Instant) -> Option<Claim> {
        let under_way = self.small.values().filter(|line| line.front().is_some_and(|first| first.under_way)).count();
        let mut firsts = self.small.values_mut().filter_map(VecDeque::front_mut);
        let first = firsts.find(|first| first.is_ready(now)).filter(|_| under_way < SMALL_AT_ONCE)?;
        Some(first.start())
    }

    fn next_large(&mut self, now: Instant) -> Option<Claim> {
        let under_way = self.large.values().filter(|waiting| waiting.under_way).count();
        let ready = self.large.values_mut().find(|waiting| waiting.is_ready(now));
        Some(ready.filter(|_| under_way < LARGE_AT_ONCE)?.start())
    }

    /// One that is under way must be tried again, and not before this.
    pub(super) fn later(&mut self, claim: &Claim, not_before: Instant) {
        let small = self.small.get_mut(&claim.device).and_then(VecDeque::front_mut);
        let small = small.filter(|first| first.claim.id == claim.id);
        if let Some(waiting) = small.or_else(|| self.large.get_mut(&claim.id)) {
            waiting.under_way = false;
            waiting.not_before = Some(not_before);
        }
    }

    /// One that was under way needs nothing more.
    pub(super) fn done(&mut self, claim: &Claim) {
        self.large.remove(&claim.id);
        if let Some(line) = self.small.get_mut(&claim.device) {
            if line.front().is_some_and(|first| first.claim.id == claim.id) {
                line.pop_front();
            }
            if line.is_empty() {
                self.small.remove(&claim.device);
            }
        }
    }

    /// When something becomes ready that is not ready now.
    pub(super) fn wakes(&self, now: Instant) -> Option<Instant> {
        let firsts = self.small.values().filter_map(VecDeque::front).chain(self.large.values());
        firsts
            .filter(|waiting| !waiting.under_way)
            .filter_map(|waiting| waiting.not_before)
            .filter(|&at| at > now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn claim(id: u8, device: &str) -> Claim {
        Claim { id: MessageId([id; 16]), device: device.parse().unwrap(), name: format!("{id}") }
    }

    fn drain(queue: &mut Queue, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| queue.next(now)).map(|claim| claim.name).collect()
    }

    #[test]
    fn small_files_go_one_by_one_to_each_device_and_large_ones_beside_them() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(claim(1, "shop"), true);
        for (id, device) in [(2, "shop"), (3, "shop"), (4, "bar"), (3, "shop")] {
            queue.add(claim(id, device), false);
        }
        let first = drain(&mut queue, now);
        assert_eq!(first, ["4", "2", "1"]);
        queue.done(&claim(2, "shop"));
        assert_eq!(drain(&mut queue, now), ["3"]);
        queue.done(&claim(3, "shop"));
        queue.done(&claim(1, "shop"));
        assert!(drain(&mut queue, now).is_empty() && !queue.contains(MessageId([1; 16])));
        assert!(queue.contains(MessageId([4; 16])));
    }

    #[test]
    fn one_that_must_wait_holds_back_what_is_behind_it_to_the_same_device_only() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (id, device) in [(1, "shop"), (2, "shop"), (3, "bar")] {
            queue.add(claim(id, device), false);
        }
        assert_eq!(drain(&mut queue, now), ["3", "1"]);
        let again = now + Duration::from_secs(5);
        queue.later(&claim(1, "shop"), again);
        assert!(drain(&mut queue, now).is_empty());
        assert_eq!(queue.wakes(now), Some(again));
        assert_eq!(drain(&mut queue, again), ["1"]);
        assert_eq!(queue.wakes(again), None);
    }

    #[test]
    fn no_more_than_the_limits_are_under_way() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        (0..40).for_each(|id| queue.add(claim(id, "shop"), true));
        (40..80).for_each(|id| queue.add(claim(id, &format!("d{id}")), false));
        assert_eq!(drain(&mut queue, now).len(), LARGE_AT_ONCE + SMALL_AT_ONCE);
        queue.done(&claim(0, "shop"));
        assert_eq!(drain(&mut queue, now), ["4"]);
    }
}
