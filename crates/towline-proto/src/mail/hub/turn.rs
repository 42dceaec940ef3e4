//! One turn of the core: what it may ask, and what it leaves behind.

use super::io::{Cut, HubTime, Lookup, Output, SessionKey, Step, Write};
use crate::ids::Lane;
use crate::mail::keys::Crypto;
use crate::mail::message::ToDevice;

/// What every part is handed while one input is worked on.
pub(super) struct Turn<'a> {
    pub(super) now: HubTime,
    pub(super) store: &'a dyn Lookup,
    pub(super) crypto: &'a dyn Crypto,
    pub(super) step: Step,
}

impl Turn<'_> {
    /// To the store, before anything in `after_commit` is said.
    pub(super) fn write(&mut self, write: Write) {
        self.step.writes.push(write);
    }

    pub(super) fn now(&mut self, output: Output) {
        self.step.now.push(output);
    }

    pub(super) fn later(&mut self, output: Output) {
        self.step.after_commit.push(output);
    }

    /// Says what needs nothing on disk.
    pub(super) fn say_now(&mut self, session: SessionKey, lane: Lane, message: ToDevice) {
        self.now(Output::Say { session, lane, message });
    }

    /// Says what is true only once it is on disk.
    pub(super) fn say_later(&mut self, session: SessionKey, lane: Lane, message: ToDevice) {
        self.later(Output::Say { session, lane, message });
    }

    pub(super) fn cut(&mut self, session: SessionKey, reason: Cut) {
        self.now(Output::Cut { session, reason });
    }
}

/// Cuts a text from a device to its bound, at a character's border.
pub(super) fn clip(mut text: String, max_len: usize) -> String {
    if text.len() > max_len {
        text.truncate(text.floor_char_boundary(max_len));
    }
    text
}
