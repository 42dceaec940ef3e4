//! Resume: what each side states when a link joins, and what follows from it.

use super::Session;
use crate::limits::{MAX_STATE_RANGES, MAX_STATE_STREAMS};
use crate::link::{StreamRef, Violation};
use crate::time::Instant;
use crate::wire::close::CloseCode;
use crate::wire::receive_state::{ReceiveState, StreamState};

impl Session {
    /// What has been received, for the hello of a joining link or its answer.
    pub fn receive_state(&self) -> ReceiveState {
        let streams: Vec<StreamState> =
            self.streams.by_id().take(MAX_STATE_STREAMS).filter_map(|(id, key)| self.state_of(id, key)).collect();
        let whole = self.streams.by_id().count() <= MAX_STATE_STREAMS;
        ReceiveState { next_ids: if whole { self.streams.next_ids() } else { [0; 2] }, streams }
    }

    fn state_of(&self, id: u64, key: StreamRef) -> Option<StreamState> {
        let recv = &self.streams.get(key)?.recv;
        let ranges = recv.beyond().iter().take(MAX_STATE_RANGES).collect();
        Some(StreamState { id, contiguous_end: recv.contiguous(), ranges })
    }

    /// Takes the peer's state in: what it has is not sent again.
    ///
    /// # Errors
    /// It claims what was never sent: it is not our peer's memory.
    pub fn resume(&mut self, now: Instant, peer: &ReceiveState) -> Result<(), Violation> {
        let _ = now;
        // What is said of a lane that nobody used here yet is judged like the rest.
        for stated in peer.streams.iter().filter(|stated| stated.id < self.lanes.len() as u64) {
            self.streams.get_mut(self.lanes[stated.id as usize]);
        }
        let known: Vec<(u64, StreamRef)> = self.streams.by_id().collect();
        for (id, key) in known {
            let stated = peer.streams.binary_search_by_key(&id, |stream| stream.id).ok().map(|at| &peer.streams[at]);
            let Some(stream) = self.streams.get_mut(key) else { continue };
            match stated {
                Some(state) => {
                    let top = state.ranges.last().map_or(state.contiguous_end, |range| range.1);
                    if top > stream.send.sent() {
                        return Err(Violation::new(CloseCode::Protocol, "the peer states to have what was never sent"));
                    }
                    // A stream that is only listed may be known by a higher number alone, and not yet what it is.
                    stream.open_known |= top > 0;
                    self.let_go(key, |half| {
                        half.confirm(0, state.contiguous_end);
                        state.ranges.iter().for_each(|&(start, end)| half.confirm(start, end));
                    });
                    self.after_confirm(key);
                }
                None if id >= super::streams::FIRST_ID && id < peer.next_ids[(id & 1) as usize] => {
                    self.settle_closed(key);
                }
                None => {}
            }
        }
        Ok(())
    }
}
