//! The table of streams, and their numbers.

use super::events::Side;
use super::pool::Usage;
use super::receive::RecvHalf;
use super::send::SendHalf;
use crate::ids::Lane;
use crate::link::{StreamRef, Violation};
use crate::wire::close::CloseCode;
use crate::wire::frame::Open;
use std::collections::BTreeMap;

/// The first id of an opened stream; those below are the lanes' permanent ones.
pub(super) const FIRST_ID: u64 = Lane::COUNT as u64;

/// One stream, both directions.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// None until the first frame is pulled.
    pub(super) id: Option<u64>,
    /// None while only a higher id was seen, not this one.
    pub(super) open: Option<Open>,
    pub(super) opened_here: bool,
    /// The peer knows `open`.
    pub(super) open_known: bool,
    pub(super) send: SendHalf,
    /// The peer knows where our direction ends.
    pub(super) end_confirmed: bool,
    pub(super) recv: RecvHalf,
    /// Its final offset has been settled with the session's credit.
    pub(super) settled: bool,
    /// Counted in the session's grants.
    pub(super) touched: bool,
    /// We want no more; whether that waits to be told.
    pub(super) stop: Option<(u32, bool)>,
    pub(super) credit_due: bool,
    pub(super) in_waiting: bool,
    pub(super) in_control: bool,
    pub(super) in_schedule: bool,
}

impl Stream {
    /// What it takes of the pool.
    pub(super) fn usage(&self) -> Usage {
        let held = size_of::<Self>() + self.send.held() + self.recv.held();
        Usage { held: held as u64, promised: if self.touched { self.recv.promised() } else { 0 } }
    }
}

/// A lane's permanent stream is never removed, so that its place has one tenant only.
const fn is_lane(key: StreamRef) -> bool {
    key.index < Lane::COUNT as u32 && key.tenant == 0
}

#[derive(Debug, Default)]
struct Slot {
    tenant: u32,
    stream: Option<Box<Stream>>,
    /// What the sum holds of it, and whether that may be another now.
    counted: Usage,
    changed: bool,
}

/// All streams. A place is used again by another tenant, so that late references meet nobody.
#[derive(Debug)]
pub(super) struct Streams {
    side: Side,
    slots: Vec<Slot>,
    free: Vec<u32>,
    ids: BTreeMap<u64, StreamRef>,
    /// How many each side has numbered: `[ours, the peer's]`.
    numbered: [u64; 2],
    /// How many we have opened, numbered or not, less those given up before.
    pub(super) opened: u64,
    pub(super) may_open: u64,
    /// How many the peer may have open at once, how many it may open in all, and how many of these it was last told.
    peer_limit: u64,
    peer_may_open: u64,
    peer_told: u64,
    /// What it was told was lost.
    peer_untold: bool,
    pub(super) count: usize,
    /// What all streams take together, but for those that changed since it was last asked for.
    usage: Usage,
    changed: Vec<u32>,
    /// What a lane's permanent stream is before its first use: few sessions use many of them.
    unused_lane: Box<Stream>,
}

impl Streams {
    /// With the lanes' permanent streams, which take the first places.
    pub(super) fn new(
        side: Side,
        may_open: u64,
        peer_may_open: u64,
        unused_lane: Stream,
    ) -> (Self, [StreamRef; Lane::COUNT]) {
        let streams = Self {
            side,
            slots: Vec::from_iter((0..Lane::COUNT).map(|_| Slot::default())),
            free: Vec::new(),
            ids: BTreeMap::new(),
            numbered: [0; 2],
            opened: 0,
            may_open,
            peer_limit: peer_may_open,
            peer_may_open,
            peer_told: peer_may_open,
            peer_untold: false,
            count: Lane::COUNT,
            usage: Usage::default(),
            changed: Vec::new(),
            unused_lane: Box::new(unused_lane),
        };
        (streams, core::array::from_fn(|lane| StreamRef { index: lane as u32, tenant: 0 }))
    }

    /// Gives memory back that nothing needs now.
    pub(super) fn fit(&mut self) {
        self.changed.shrink_to_fit();
    }

    /// What all streams take together. It costs what changed since it was last asked for, not what there is.
    pub(super) fn usage(&mut self) -> Usage {
        while let Some(index) = self.changed.pop() {
            let slot = &mut self.slots[index as usize];
            let now = slot.stream.as_deref().map(Stream::usage).unwrap_or_default();
            let before = core::mem::replace(&mut slot.counted, now);
            slot.changed = false;
            self.usage.held = self.usage.held - before.held + now.held;
            self.usage.promised = self.usage.promised - before.promised + now.promised;
        }
        self.usage
    }

    /// What [`Streams::usage`] last said.
    pub(super) const fn last_usage(&self) -> Usage {
        self.usage
    }

    /// Every way to change a stream leads through here.
    fn note_change(slot: &mut Slot, index: u32, changed: &mut Vec<u32>) {
        if !core::mem::replace(&mut slot.changed, true) {
            changed.push(index);
        }
    }

    pub(super) fn insert(&mut self, stream: Stream) -> StreamRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        let key = StreamRef { index, tenant: slot.tenant };
        if let Some(id) = stream.id {
            self.ids.insert(id, key);
        }
        slot.stream = Some(Box::new(stream));
        Self::note_change(slot, index, &mut self.changed);
        self.count += 1;
        key
    }

    /// Whether nothing was sent or received on a lane's permanent stream yet.
    pub(super) fn is_unused_lane(&self, key: StreamRef) -> bool {
        is_lane(key) && self.slots.get(key.index as usize).is_some_and(|slot| slot.stream.is_none())
    }

    pub(super) fn get(&self, key: StreamRef) -> Option<&Stream> {
        let slot = self.slots.get(key.index as usize).filter(|slot| slot.tenant == key.tenant)?;
        slot.stream.as_deref().or_else(|| is_lane(key).then_some(&*self.unused_lane))
    }

    pub(super) fn get_mut(&mut self, key: StreamRef) -> Option<&mut Stream> {
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.tenant == key.tenant)?;
        Self::note_change(slot, key.index, &mut self.changed);
        if slot.stream.is_none() && is_lane(key) {
            let open = Open { lane: Lane(key.index as u8), as_complete: false };
            let lane = Stream { id: Some(key.index.into()), open: Some(open), ..(*self.unused_lane).clone() };
            slot.stream = Some(Box::new(lane));
            self.ids.insert(key.index.into(), key);
        }
        slot.stream.as_deref_mut()
    }

    pub(super) fn remove(&mut self, key: StreamRef) {
        let Some(slot) = self.slots.get_mut(key.index as usize).filter(|slot| slot.tenant == key.tenant) else {
            return;
        };
        let Some(stream) = slot.stream.take() else { return };
        slot.tenant = slot.tenant.wrapping_add(1);
        Self::note_change(slot, key.index, &mut self.changed);
        self.free.push(key.index);
        self.count -= 1;
        match stream.id {
            Some(id) => {
                self.ids.remove(&id);
            }
            None => self.opened -= 1,
        }
        if !stream.opened_here {
            self.peer_may_open += 1;
        }
    }

    /// Whether the peer must hear how many streams it may open now: when it has used half of what it knows of. To tell
    /// it each time would be a packet of its own for each stream that ends.
    pub(super) fn owes_peer_credit(&self) -> bool {
        let peer_has = self.peer_told.saturating_sub(self.numbered[1]);
        self.peer_untold || self.peer_may_open > self.peer_told && peer_has <= self.peer_limit / 2
    }

    /// How many the peer may open in all; it is told now.
    pub(super) fn tell_peer_credit(&mut self) -> u64 {
        self.peer_untold = false;
        self.peer_told = self.peer_may_open;
        self.peer_told
    }

    /// That was lost on its way; an older one does not matter.
    pub(super) fn lost_peer_credit(&mut self, count: u64) {
        self.peer_untold |= count == self.peer_told;
    }

    /// Changes every stream.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&mut Stream)) {
        for (slot, index) in self.slots.iter_mut().zip(0..) {
            if let Some(stream) = slot.stream.as_deref_mut() {
                change(stream);
                Self::note_change(slot, index, &mut self.changed);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamRef, &Stream)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = StreamRef { index: index as u32, tenant: slot.tenant };
            slot.stream.as_deref().map(|stream| (key, stream))
        })
    }

    pub(super) fn by_id(&self) -> impl Iterator<Item = (u64, StreamRef)> + '_ {
        self.ids.iter().map(|(&id, &key)| (id, key))
    }

    const fn number(&self, ours: bool) -> u64 {
        match (self.side, ours) {
            (Side::Client, true) | (Side::Server, false) => 0,
            _ => 1,
        }
    }

    /// Numbers a stream of ours.
    pub(super) fn assign_id(&mut self, key: StreamRef) {
        let id = FIRST_ID + 2 * self.numbered[0] + self.number(true);
        self.numbered[0] += 1;
        if let Some(stream) = self.get_mut(key) {
            stream.id = Some(id);
        }
        self.ids.insert(id, key);
    }

    /// Per opener (0 client, 1 server), the lowest id not yet seen.
    pub(super) fn next_ids(&self) -> [u64; 2] {
        let mut next = [0; 2];
        for (ours, count) in [(true, self.numbered[0]), (false, self.numbered[1])] {
            let bit = self.number(ours);
            next[bit as usize] = FIRST_ID + 2 * count + bit;
        }
        next
    }

    /// Finds a stream by number. A new number of the peer's opens it and all lower ones; `None`: it is closed, its frames
    /// are dropped.
    ///
    /// # Errors
    /// A number that cannot be.
    pub(super) fn find(&mut self, id: u64, new: impl Fn(u64) -> Stream) -> Result<Option<StreamRef>, Violation> {
        if let Some(&key) = self.ids.get(&id) {
            return Ok(Some(key));
        }
        let ours = id & 1 == self.number(true);
        let index = (id - FIRST_ID) / 2;
        if index < self.numbered[usize::from(!ours)] {
            return Ok(None);
        }
        if ours {
            return Err(Violation::new(CloseCode::Protocol, "a stream of ours that we never opened"));
        }
        if index >= self.peer_may_open {
            return Err(Violation::new(CloseCode::TooManyStreams, "more streams opened than granted"));
        }
        while self.numbered[1] <= index {
            let next = FIRST_ID + 2 * self.numbered[1] + self.number(false);
            self.numbered[1] += 1;
            self.insert(new(next));
        }
        Ok(self.ids.get(&id).copied())
    }
}
