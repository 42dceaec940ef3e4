//! Each check of the mail model against a short story written by hand that breaks its promise and no other thing, and
//! against one that breaks none.

#[path = "mail_world/checks/mod.rs"]
mod checks;
#[path = "mail_world/history.rs"]
mod history;

use checks::{CHECKS, judge};
use history::{End, Event, Fact, History, Record, Way, What};
use std::collections::BTreeSet;
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::outcome::{Outcome, State};

const ONE: MessageId = MessageId([1; 16]);
const TWO: MessageId = MessageId([2; 16]);
const SENDER: usize = 0;
const RECIPIENT: usize = 2;
/// The deadline of every message here, in milliseconds.
const DUE_MS: u64 = 10_000;

/// A story in the making: what happens, one after the other, a millisecond apart unless it says when.
struct Story {
    ms: u64,
    history: History,
}

impl Story {
    fn new() -> Self {
        Self { ms: 0, history: History { quota: 2, steady: true, ..History::default() } }
    }

    fn of(mut self, id: MessageId, fact: Fact) -> Self {
        self.ms += 1;
        self.history.events.push((self.ms, What::Of(id, fact)));
        self
    }

    fn event(mut self, event: Event) -> Self {
        self.ms += 1;
        self.history.events.push((self.ms, What::All(event)));
        self
    }

    fn at(mut self, ms: u64) -> Self {
        self.ms = ms;
        self
    }

    fn composed(self, id: MessageId, way: Way) -> Self {
        let fact = Fact::Composed { from: SENDER, to: RECIPIENT, lane: Lane::NORMAL, kept: true, way };
        self.of(id, fact)
    }

    fn live(self) -> Self {
        let way = Way::Once;
        self.of(ONE, Fact::Composed { from: SENDER, to: RECIPIENT, lane: Lane::NORMAL, kept: false, way })
    }

    fn recorded(self, id: MessageId, record: Record) -> Self {
        self.of(id, Fact::Recorded(record))
    }

    /// Recorded and told.
    fn accepted(self, id: MessageId) -> Self {
        self.of(id, Fact::Due(DUE_MS)).recorded(id, Record::Accepted).of(id, Fact::ToldAccepted)
    }

    fn delivered(self, id: MessageId) -> Self {
        self.recorded(id, Record::Delivered)
    }

    fn go(self, id: MessageId, request: u64) -> Self {
        self.recorded(id, Record::Started { request }).of(id, Fact::Told(State::Started))
    }

    fn began(self, id: MessageId, request: u64) -> Self {
        self.of(id, Fact::Began { request })
    }

    fn decided(self, id: MessageId, outcome: Outcome, code: Code, by_hub: bool) -> Self {
        self.recorded(id, Record::Decided { outcome, code, by_hub, receipt: 1 })
    }

    fn told(self, id: MessageId, outcome: Outcome) -> Self {
        self.of(id, Fact::ToldOutcome { outcome, receipt: 1, late: false, genuine: true })
    }

    /// The recipient's word is recorded and told.
    fn handled(self, id: MessageId) -> Self {
        self.of(id, Fact::Word).decided(id, Outcome::Handled, Code::Ok, false).told(id, Outcome::Handled)
    }

    /// It ran to its end and was handled.
    fn ran(self, id: MessageId, request: u64) -> Self {
        self.began(id, request).of(id, Fact::Ended(End::Well)).handled(id)
    }

    /// What the hub decided, recorded and told.
    fn by_hub(self, id: MessageId, outcome: Outcome, code: Code) -> Self {
        self.decided(id, outcome, code, true).told(id, outcome)
    }

    /// The names of the checks that find something wrong.
    fn found(&self) -> BTreeSet<&'static str> {
        judge(&self.history).into_iter().map(|wrong| wrong.check).collect()
    }
}

/// A message that has its `go`.
fn started(way: Way) -> Story {
    Story::new().composed(ONE, way).accepted(ONE).delivered(ONE).go(ONE, 1)
}

/// Two messages of one flow, both accepted.
fn two() -> Story {
    Story::new().composed(ONE, Way::Once).composed(TWO, Way::Once).accepted(ONE).accepted(TWO)
}

/// Each check's name, and stories that break its promise alone.
fn stories() -> Vec<(&'static str, Story)> {
    let late_word = |story: Story| story.of(ONE, Fact::Word).recorded(ONE, Record::Late { outcome: Outcome::Handled });
    vec![
        ("accepted is kept", Story::new().composed(ONE, Way::Once).accepted(ONE).by_nobody()),
        ("accepted once", started(Way::Once).recorded(ONE, Record::Accepted).ran(ONE, 1)),
        ("one outcome", started(Way::Once).ran(ONE, 1).of(ONE, told_another())),
        ("one outcome", started(Way::Once).ran(ONE, 1).by_nobody().decided(ONE, Outcome::Handled, Code::Ok, false)),
        ("handled as declared", started(Way::Once).began(ONE, 1).ran(ONE, 1)),
        ("handled as declared", started(Way::Once).began(ONE, 1).event(Event::AgentDown(RECIPIENT)).ran(ONE, 1)),
        ("handled as declared", started(Way::Repeat).began(ONE, 1).event(Event::AgentDown(3)).ran(ONE, 1)),
        ("the outcome is true", started(Way::Once).handled(ONE)),
        ("the outcome is true", started(Way::Once).began(ONE, 1).of(ONE, Fact::Ended(End::Badly)).handled(ONE)),
        ("the outcome is true", started(Way::Place).began(ONE, 1).by_hub(ONE, Outcome::Withdrawn, Code::Withdrawn)),
        (
            "the outcome is true",
            Story::new().composed(ONE, Way::Once).accepted(ONE).by_hub(ONE, Outcome::Unclear, Code::Interrupted),
        ),
        (
            "a late word is kept beside",
            started(Way::Once).at(5_000).by_hub(ONE, Outcome::Unclear, Code::NoWord).of(ONE, Fact::Word),
        ),
        ("a late word is kept beside", late_word(started(Way::Once).ran(ONE, 1))),
        ("within the quota", three_waiting()),
        ("in order", two().delivered(TWO).delivered(ONE).go(ONE, 1).ran(ONE, 1).go(TWO, 1).ran(TWO, 1)),
        ("in order", two().delivered(ONE).delivered(TWO).go(TWO, 1).ran(TWO, 1).go(ONE, 1).ran(ONE, 1)),
        ("in order", two().delivered(ONE).delivered(TWO).go(ONE, 1).go(TWO, 1).ran(TWO, 1).ran(ONE, 1)),
        ("in order", sent_in_another_order()),
        ("no start without a recorded go", started(Way::Once).ran(ONE, 2)),
        ("no late start", started(Way::Once).at(DUE_MS - 1).ran(ONE, 1)),
        (
            "no early end",
            Story::new().composed(ONE, Way::Once).accepted(ONE).at(DUE_MS - 2).by_hub(
                ONE,
                Outcome::Expired,
                Code::Offline,
            ),
        ),
        ("no early end", started(Way::Once).at(2_900).by_hub(ONE, Outcome::Unclear, Code::NoWord)),
        ("no start without permission", without_permission(Event::Revoked(RECIPIENT))),
        ("no start without permission", without_permission(Event::Forbidden(Some((SENDER, RECIPIENT))))),
        ("told only what is recorded", told_too_soon()),
        (
            "told in time",
            Story::new().composed(ONE, Way::Once).accepted(ONE).at(DUE_MS + 5_000).by_hub(
                ONE,
                Outcome::Expired,
                Code::Offline,
            ),
        ),
        ("told in time", started(Way::Once).at(DUE_MS + 5_000).by_hub(ONE, Outcome::Unclear, Code::NoWord)),
        ("receipts verify", started(Way::Once).ran(ONE, 1).of(ONE, not_genuine())),
        ("a live message is handed over once", Story::new().live().of(ONE, Fact::HandedOver).of(ONE, Fact::HandedOver)),
        ("a live result is true", Story::new().live().of(ONE, Fact::ToldLive(Code::Ok))),
        ("a live result is true", Story::new().live().of(ONE, Fact::HandedOver).of(ONE, Fact::ToldLive(Code::NotHere))),
    ]
}

impl Story {
    /// Nothing more is recorded for it.
    fn by_nobody(mut self) -> Self {
        // Where there is no outcome, no time for being told of one is promised.
        self.history.steady = false;
        self
    }
}

fn told_another() -> Fact {
    Fact::ToldOutcome { outcome: Outcome::Unclear, receipt: 2, late: false, genuine: true }
}

fn not_genuine() -> Fact {
    Fact::ToldOutcome { outcome: Outcome::Handled, receipt: 1, late: false, genuine: false }
}

fn three_waiting() -> Story {
    let three = MessageId([3; 16]);
    let mut story = two().composed(three, Way::Once).accepted(three);
    for id in [ONE, TWO, three] {
        story = story.delivered(id).go(id, 1).ran(id, 1);
    }
    story
}

fn sent_in_another_order() -> Story {
    let said = Fact::Submitted { session: 7, whole: true };
    let story = Story::new().composed(ONE, Way::Once).composed(TWO, Way::Once).of(TWO, said.clone()).of(ONE, said);
    let story = story.accepted(ONE).accepted(TWO).delivered(ONE).delivered(TWO);
    story.go(ONE, 1).ran(ONE, 1).go(TWO, 1).ran(TWO, 1)
}

fn without_permission(event: Event) -> Story {
    Story::new().composed(ONE, Way::Once).accepted(ONE).delivered(ONE).event(event).go(ONE, 1).ran(ONE, 1)
}

fn told_too_soon() -> Story {
    let story = Story::new().composed(ONE, Way::Once).accepted(ONE).delivered(ONE);
    story.of(ONE, Fact::Told(State::Started)).recorded(ONE, Record::Started { request: 1 }).ran(ONE, 1)
}

#[test]
fn each_check_names_the_stories_that_break_its_promise_and_no_other_does() {
    let stories = stories();
    for (number, (check, story)) in stories.iter().enumerate() {
        assert_eq!(story.found(), BTreeSet::from([*check]), "story {number}: {:#?}", judge(&story.history));
    }
    let told: BTreeSet<&str> = stories.iter().map(|(check, _)| *check).collect();
    assert_eq!(told, CHECKS.iter().map(|(name, _)| *name).collect(), "each check has a story");
}

#[test]
fn no_check_blames_a_story_in_which_every_promise_was_kept() {
    let late = Fact::ToldOutcome { outcome: Outcome::Handled, receipt: 2, late: true, genuine: true };
    for story in [
        started(Way::Once).ran(ONE, 1),
        two().delivered(ONE).delivered(TWO).go(ONE, 1).ran(ONE, 1).go(TWO, 1).ran(TWO, 1),
        started(Way::Place).began(ONE, 1).handled(ONE),
        started(Way::Repeat).began(ONE, 1).event(Event::AgentDown(RECIPIENT)).go(ONE, 2).ran(ONE, 2),
        Story::new()
            .composed(ONE, Way::Refuse)
            .accepted(ONE)
            .of(ONE, Fact::Word)
            .decided(ONE, Outcome::Refused, Code::BadName, false)
            .told(ONE, Outcome::Refused),
        started(Way::Wide).at(DUE_MS - 2).ran(ONE, 1),
        Story::new().composed(ONE, Way::Once).accepted(ONE).at(DUE_MS).by_hub(ONE, Outcome::Expired, Code::Offline),
        started(Way::Once)
            .at(5_500)
            .by_hub(ONE, Outcome::Unclear, Code::NoWord)
            .of(ONE, Fact::Word)
            .recorded(ONE, Record::Late { outcome: Outcome::Handled })
            .of(ONE, late),
        Story::new().composed(ONE, Way::Once).accepted(ONE).event(Event::Revoked(RECIPIENT)).by_hub(
            ONE,
            Outcome::Refused,
            Code::Revoked,
        ),
        Story::new().live().of(ONE, Fact::HandedOver).of(ONE, Fact::ToldLive(Code::Ok)),
        Story::new().live().of(ONE, Fact::ToldLive(Code::NotHere)).of(ONE, Fact::HandedOver),
    ] {
        assert_eq!(judge(&story.history), [], "{:#?}", story.history.events);
    }
}
