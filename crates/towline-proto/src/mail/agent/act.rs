//! What became of an act.

use super::held::At;
use super::io::{JournalWrite, RunEnd};
use super::record::{Act, Stage};
use super::word::Said;
use super::{AgentCore, Turn};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::outcome::Outcome;

impl AgentCore {
    /// The act that is under way under this request.
    fn acting(&self, id: MessageId, request: u64) -> Option<(Act, bool)> {
        match &self.held.get(&id)?.at {
            At::Acting { start, ran } if start.request == request => Some((start.act.clone(), *ran)),
            _ => None,
        }
    }

    pub(super) fn placed(&mut self, turn: &mut Turn<'_>, id: MessageId, request: u64, name: &str) {
        let Some((act, _)) = self.acting(id, request) else { return };
        let said = Said::new(&act.by(), Outcome::Handled, Code::Ok, &format!("placed as {name}"));
        self.done(turn, id, said);
    }

    pub(super) fn not_placed(
        &mut self,
        turn: &mut Turn<'_>,
        id: MessageId,
        request: u64,
        failure: Option<(Code, String)>,
    ) {
        let Some((act, ran)) = self.acting(id, request) else { return };
        match failure {
            Some((code, reason)) => {
                let outcome = if code == Code::BadName { Outcome::Refused } else { Outcome::Failed };
                self.done(turn, id, Said::new(&act.by(), outcome, code, &reason));
            }
            None => self.nothing_ran(turn, id, request, &act, ran),
        }
    }

    pub(super) fn too_late(&mut self, turn: &mut Turn<'_>, id: MessageId, request: u64) {
        if let Some((act, ran)) = self.acting(id, request) {
            self.nothing_ran(turn, id, request, &act, ran);
        }
    }

    fn nothing_ran(&mut self, turn: &mut Turn<'_>, id: MessageId, request: u64, act: &Act, ran: bool) {
        turn.journal(JournalWrite::Stage { id, stage: Stage::Stored { ran } });
        self.back_to_stored(turn, id, request, act, ran);
    }

    pub(super) fn exited(&mut self, turn: &mut Turn<'_>, id: MessageId, request: u64, end: &RunEnd, output: Vec<u8>) {
        let Some((act, _)) = self.acting(id, request) else { return };
        let by = act.by();
        let mut said = match end {
            RunEnd::Exit(0) => Said::new(&by, Outcome::Handled, Code::Ok, "handler exit 0"),
            RunEnd::Exit(code) => Said::new(&by, Outcome::Failed, Code::HandlerExit, &format!("handler exit {code}")),
            RunEnd::Signal(signal) => {
                Said::new(&by, Outcome::Failed, Code::HandlerExit, &format!("handler ended by signal {signal}"))
            }
            RunEnd::TimedOut => Said::new(&by, Outcome::Failed, Code::HandlerTimeout, "handler timed out"),
            RunEnd::NotStartable(why) => Said::new(&by, Outcome::Failed, Code::HandlerStart, why),
        };
        said.exit_code = if let RunEnd::Exit(code) = end { Some(*code) } else { None };
        said.output = output;
        self.done(turn, id, said);
    }
}
