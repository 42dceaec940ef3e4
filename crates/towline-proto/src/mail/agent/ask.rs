//! From stored to started: told and asked for in order, begun only with a `go` and below its bound.

use super::held::{Asking, At, Flow};
use super::io::{JournalWrite, Output, Run};
use super::record::{Act, Stage, StartRecord};
use super::rules::Plan;
use super::word::Said;
use super::{AgentCore, Turn};
use crate::ids::MessageId;
use crate::mail::limits::PLACE_WINDOW;
use crate::mail::message::ToHub;
use crate::mail::outcome::Outcome;

/// What an act counts against: its rule's concurrency, or the window of all placing.
pub(super) fn slot(act: &Act) -> String {
    match act {
        Act::Place { .. } => "place".into(),
        Act::Run { .. } => act.by(),
    }
}

pub(super) fn request(id: MessageId, request: u64, asking: &Asking) -> ToHub {
    ToHub::GoRequest { id, request, by: asking.act.by(), timeout_ms: asking.timeout_ms }
}

impl AgentCore {
    pub(super) fn advance_all(&mut self, turn: &mut Turn<'_>) {
        // In the order of the heads, so that a rule shared by several senders serves whoever came first.
        let mut heads: Vec<(u64, Flow)> = Vec::with_capacity(self.lines.len());
        for (&flow, line) in &self.lines {
            heads.extend(line.unasked.first_key_value().map(|(&order, _)| (order, flow)));
        }
        heads.sort_unstable();
        for (_, flow) in heads {
            self.advance(turn, flow);
        }
    }

    /// Lets a flow go on as far as it can.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>, flow: Flow) {
        if self.attached.is_none() {
            return;
        }
        self.tell(turn, flow);
        while self.ask_for_first(turn, flow) {}
        if self.lines.get(&flow).is_some_and(|line| line.untold.is_empty() && line.unasked.is_empty()) {
            self.lines.remove(&flow);
        }
    }

    /// Says `Delivered` of what is whole, up to the first that is not.
    fn tell(&mut self, turn: &mut Turn<'_>, flow: Flow) {
        loop {
            let Some(line) = self.lines.get_mut(&flow) else { return };
            let Some((&order, &id)) = line.untold.first_key_value() else { return };
            let Some(held) = self.held.get_mut(&id) else { return };
            if matches!(held.at, At::Incoming) {
                return;
            }
            held.told = true;
            line.untold.remove(&order);
            self.say(turn, flow.lane, ToHub::Delivered { id });
        }
    }

    /// Asks for the first of a flow, if it is told and its rule has room; whether the next may be looked at.
    fn ask_for_first(&mut self, turn: &mut Turn<'_>, flow: Flow) -> bool {
        let Some(line) = self.lines.get(&flow) else { return false };
        let Some((&order, &id)) = line.unasked.first_key_value() else { return false };
        let Some(max_timeout_ms) = self.attached else { return false };
        let Some(held) = self.held.get(&id).filter(|held| held.told) else { return false };
        let At::Stored { ran } = held.at else { return false };
        let plan = self.rules.plan(&held.envelope);
        if let Plan::Refuse { by, code, reason } = plan {
            self.done(turn, id, Said::new(&by, Outcome::Refused, code, &reason));
            return true;
        }
        let Some((act, timeout_ms)) = plan.act() else { return false };
        let room = if let Plan::Run(run) = &plan { run.concurrency } else { PLACE_WINDOW };
        let busy = self.busy.entry(slot(&act)).or_default();
        if *busy >= room {
            return false;
        }
        *busy += 1;
        let timeout_ms = timeout_ms.min(max_timeout_ms);
        let asking = Asking { noted_ms: turn.now.boot_ms, plan: Box::new(plan), act, timeout_ms, ran };
        if let Some(line) = self.lines.get_mut(&flow) {
            line.unasked.remove(&order);
        }
        let Some(held) = self.held.get_mut(&id) else { return false };
        held.request += 1;
        let message = request(id, held.request, &asking);
        held.at = At::Asking(asking);
        self.say(turn, flow.lane, message);
        true
    }

    pub(super) fn go(&mut self, turn: &mut Turn<'_>, id: MessageId, number: u64, left_ms: u64) {
        let Some(held) = self.held.get_mut(&id).filter(|held| held.request == number) else { return };
        let At::Asking(asking) = &held.at else { return };
        let start_before_ms = asking.noted_ms.saturating_add(left_ms);
        if turn.now.boot_ms >= start_before_ms {
            let (ran, act) = (asking.ran, asking.act.clone());
            return self.back_to_stored(turn, id, number, &act, ran);
        }
        let Asking { plan, act, timeout_ms, ran, .. } = asking.clone();
        let start = StartRecord { request: number, act };
        turn.journal(JournalWrite::Stage { id, stage: Stage::Starting(start.clone()) });
        held.at = At::Acting { start, ran };
        let output = match *plan {
            Plan::Place { target, name } => Output::Place { id, request: number, target, name, start_before_ms },
            Plan::Run(run) => Output::Run(Box::new(Run {
                id,
                request: number,
                rule: run.rule,
                argv: run.argv,
                env: run.env,
                file: run.file,
                timeout_ms,
                start_before_ms,
            })),
            Plan::Refuse { .. } => return,
        };
        turn.later(output);
    }

    /// A permit that could not be used: the hub is told so, and the message waits for its turn again.
    pub(super) fn back_to_stored(&mut self, turn: &mut Turn<'_>, id: MessageId, request: u64, act: &Act, ran: bool) {
        self.free(act);
        let Some(held) = self.held.get_mut(&id) else { return };
        held.at = At::Stored { ran };
        held.told = true;
        let (order, flow) = (held.order, held.flow());
        self.lines.entry(flow).or_default().unasked.insert(order, id);
        if !ran {
            self.say(turn, flow.lane, ToHub::NotStarted { id, request });
        }
        self.advance_all(turn);
    }

    /// The act no longer counts against its rule's concurrency.
    pub(super) fn free(&mut self, act: &Act) {
        if let Some(busy) = self.busy.get_mut(&slot(act)) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                self.busy.remove(&slot(act));
            }
        }
    }
}
