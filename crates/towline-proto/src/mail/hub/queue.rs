//! What waits for one recipient, in the order of acceptance.

use super::kept::{Flow, Kept};
use crate::ids::{Lane, MessageId};
use crate::mail::limits::{DELIVER_WINDOW_BYTES, DELIVER_WINDOW_MESSAGES};
use std::collections::BTreeMap;

/// One recipient's queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<Lane, LaneQueue>,
    /// Per flow, what has no `go` yet: only the first may get one.
    unstarted: BTreeMap<Flow, BTreeMap<u64, MessageId>>,
}

#[derive(Debug, Default)]
struct LaneQueue {
    /// Not yet said to the present agent session.
    waiting: BTreeMap<u64, (MessageId, u64)>,
    /// Said, and not yet stored there.
    in_flight: BTreeMap<u64, (MessageId, u64)>,
    flight_bytes: u64,
}

impl Queue {
    /// Adds a message to be delivered and started.
    pub(super) fn add(&mut self, kept: &Kept) {
        self.lanes.entry(kept.lane).or_default().waiting.insert(kept.order, (kept.id, kept.inline_bytes));
        self.add_unstarted(kept);
    }

    /// Adds a message that is delivered, and to be started (again).
    pub(super) fn add_unstarted(&mut self, kept: &Kept) {
        self.unstarted.entry(kept.flow()).or_default().insert(kept.order, kept.id);
    }

    /// The message is in the recipient's store, or over.
    pub(super) fn delivered(&mut self, kept: &Kept) {
        let Some(lane) = self.lanes.get_mut(&kept.lane) else { return };
        lane.waiting.remove(&kept.order);
        if let Some((_, bytes)) = lane.in_flight.remove(&kept.order) {
            lane.flight_bytes -= bytes;
        }
        if lane.waiting.is_empty() && lane.in_flight.is_empty() {
            self.lanes.remove(&kept.lane);
        }
    }

    /// The message has its `go`, or is over.
    pub(super) fn started(&mut self, kept: &Kept) {
        let Some(flow) = self.unstarted.get_mut(&kept.flow()) else { return };
        flow.remove(&kept.order);
        if flow.is_empty() {
            self.unstarted.remove(&kept.flow());
        }
    }

    /// The first message of this flow without a `go`.
    pub(super) fn first_unstarted(&self, flow: Flow) -> Option<MessageId> {
        self.unstarted.get(&flow)?.first_key_value().map(|(_, &id)| id)
    }

    /// Every message without a `go`.
    pub(super) fn unstarted(&self) -> impl Iterator<Item = MessageId> {
        self.unstarted.values().flat_map(BTreeMap::values).copied()
    }

    /// The next message to say on a lane with room in its window; it is in flight now.
    pub(super) fn next_to_deliver(&mut self) -> Option<(Lane, MessageId)> {
        self.lanes.iter_mut().find_map(|(&lane, queue)| queue.next_to_deliver().map(|id| (lane, id)))
    }

    /// A new agent session begins: what was said on the old one and is not known to be stored is said again.
    pub(super) fn deliver_again(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.waiting.append(&mut lane.in_flight);
            lane.flight_bytes = 0;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.unstarted.is_empty()
    }
}

impl LaneQueue {
    fn next_to_deliver(&mut self) -> Option<MessageId> {
        let (&order, &(id, bytes)) = self.waiting.first_key_value()?;
        let room = self.in_flight.len() < DELIVER_WINDOW_MESSAGES && self.flight_bytes + bytes <= DELIVER_WINDOW_BYTES;
        if !room {
            return None;
        }
        self.waiting.remove(&order);
        self.in_flight.insert(order, (id, bytes));
        self.flight_bytes += bytes;
        Some(id)
    }
}
