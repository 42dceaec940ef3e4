//! What happened, as nobody inside the world sees the whole of it: facts in the order of time. The checks read nothing
//! else, so that a story written by hand is judged like one that a world lived through.

use std::collections::BTreeMap;
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::outcome::{Outcome, State};

/// What the recipient's rules do with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// A command, one at a time, at most once.
    #[default]
    Once,
    /// A command, three at a time, at most once.
    Wide,
    /// A command that may be repeated when it was cut short.
    Repeat,
    /// The file is placed in the inbox or a `save_to` folder.
    Place,
    /// It is refused for its name.
    Refuse,
}

/// What the hub's store holds of a message from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Accepted,
    Delivered,
    Started {
        request: u64,
    },
    /// `receipt` tells receipts apart.
    Decided {
        outcome: Outcome,
        code: Code,
        by_hub: bool,
        receipt: u64,
    },
    Late {
        outcome: Outcome,
    },
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    Badly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A sender made the message. Devices are numbers.
    Composed {
        from: usize,
        to: usize,
        lane: Lane,
        kept: bool,
        way: Way,
    },
    /// It was said to the hub on this session, with its body or (`whole` is false) ahead of it.
    Submitted {
        session: u64,
        whole: bool,
    },
    /// The sender heard this.
    ToldAccepted,
    Told(State),
    ToldOutcome {
        outcome: Outcome,
        receipt: u64,
        late: bool,
        genuine: bool,
    },
    ToldLive(Code),
    /// The hub's store synced this.
    Recorded(Record),
    /// By the hub's clocks the deadline is at this time (again after each reboot of the hub).
    Due(u64),
    /// A command began, or the file became visible, under this request.
    Began {
        request: u64,
    },
    /// The command ended by itself.
    Ended(End),
    /// The recipient's signed word is synced in its journal.
    Word,
    /// A live message reached the recipient's rules.
    HandedOver,
}

/// What concerns no single message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The device's agent ended, and what it ran with it.
    AgentDown(usize),
    /// The store holds that the device is revoked.
    Revoked(usize),
    /// From now on only this pair of sender and recipient may not; `None`: all may.
    Forbidden(Option<(usize, usize)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Of(MessageId, Fact),
    All(Event),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Time in milliseconds, and what happened then.
    pub(crate) events: Vec<(u64, What)>,
    /// Undecided messages that one recipient may have.
    pub(crate) quota: u64,
    /// Whether hub and senders were never cut off: then the promised times hold.
    pub(crate) steady: bool,
}

/// One message's part of a history.
pub(crate) struct Life<'a> {
    pub(crate) id: MessageId,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) lane: Lane,
    pub(crate) kept: bool,
    pub(crate) way: Way,
    /// Place in the whole history, time, fact.
    pub(crate) facts: Vec<(usize, u64, &'a Fact)>,
}

impl History {
    /// Each message's life.
    pub(crate) fn lives(&self) -> Vec<Life<'_>> {
        let mut lives = BTreeMap::<MessageId, Life<'_>>::new();
        for (place, (ms, what)) in self.events.iter().enumerate() {
            let What::Of(id, fact) = what else { continue };
            if let Fact::Composed { from, to, lane, kept, way } = *fact {
                lives.entry(*id).or_insert(Life { id: *id, from, to, lane, kept, way, facts: Vec::new() });
            } else {
                lives.get_mut(id).expect("composed first").facts.push((place, *ms, fact));
            }
        }
        lives.into_values().collect()
    }

    /// Events that concern no single message, with their places.
    pub(crate) fn events_of_all(&self) -> impl Iterator<Item = (usize, &Event)> {
        self.events.iter().enumerate().filter_map(|(place, (_, what))| match what {
            What::All(event) => Some((place, event)),
            What::Of(..) => None,
        })
    }

    /// Whether a device was revoked, and when.
    pub(crate) fn revoked_at(&self, device: usize) -> Option<usize> {
        self.events_of_all().find(|(_, event)| **event == Event::Revoked(device)).map(|(place, _)| place)
    }
}

impl<'a> Life<'a> {
    /// What the store synced, with place and time.
    pub(crate) fn records(&self) -> impl Iterator<Item = (usize, u64, &'a Record)> {
        self.facts.iter().filter_map(|&(place, ms, fact)| match fact {
            Fact::Recorded(record) => Some((place, ms, record)),
            _ => None,
        })
    }

    pub(crate) fn accepted(&self) -> Option<usize> {
        self.records().find(|(_, _, record)| **record == Record::Accepted).map(|(place, _, _)| place)
    }

    /// The first outcome recorded: place, time, outcome, code, whether the hub said it, receipt.
    pub(crate) fn decided(&self) -> Option<(usize, u64, Outcome, Code, bool, u64)> {
        self.records().find_map(|(place, ms, record)| match *record {
            Record::Decided { outcome, code, by_hub, receipt } => Some((place, ms, outcome, code, by_hub, receipt)),
            _ => None,
        })
    }

    /// Runs and placings that began: place, time, request.
    pub(crate) fn begun(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        self.facts.iter().filter_map(|&(place, ms, fact)| match fact {
            Fact::Began { request } => Some((place, ms, *request)),
            _ => None,
        })
    }

    pub(crate) fn has(&self, wanted: impl Fn(&Fact) -> bool) -> bool {
        self.facts.iter().any(|(_, _, fact)| wanted(fact))
    }

    /// The deadline in force at a place of the history.
    pub(crate) fn due_at(&self, place: usize) -> Option<u64> {
        let before = self.facts.iter().take_while(|(at, _, _)| *at <= place);
        before.filter_map(|(_, _, fact)| if let Fact::Due(ms) = fact { Some(*ms) } else { None }).last()
    }
}
