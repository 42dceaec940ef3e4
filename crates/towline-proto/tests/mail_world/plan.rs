//! What a world is made of: its messages, its faults, and the faults planted into its machines.

use super::history::Way;
use super::senders::{Mail, Program, Progress};
use super::{DEVICES, Happening, World};
use towline_proto::ids::Lane;
use towline_proto::mail::agent::rules::{Action, Command, Match, Rule, Rules};
use towline_proto::mail::message::Role;

/// When faults end, in milliseconds.
pub(crate) const FAULTS_END_MS: u64 = 40_000;
/// When every deadline and timeout is long past.
pub(crate) const END_MS: u64 = 200_000;
/// The device that an operator may revoke, and the one that may be renamed.
pub(crate) const REVOKED: usize = 4;
pub(crate) const RENAMED: usize = 3;
/// How many faults strike a world, of the kinds that it has.
const FAULTS: usize = 12;
/// Ten days, in milliseconds: how far a wall clock jumps at most.
const TEN_DAYS_MS: u64 = 10 * 24 * 3_600_000;

/// What may go wrong in a world.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// The hub crashes, and its machine may boot anew.
    pub hub_crashes: bool,
    /// Agents crash, and their machines may boot anew.
    pub agent_crashes: bool,
    /// Sessions are lost and links are cut.
    pub session_losses: bool,
    /// Wall clocks jump.
    pub clock_jumps: bool,
    /// Store and journals fail.
    pub store_failures: bool,
    /// Devices are renamed and revoked, the policy changes, messages are withdrawn.
    pub operator: bool,
    /// Programs beside the agents send, leave and come again.
    pub clients: bool,
    /// Recipients may have few undecided messages.
    pub small_quota: bool,
    /// Crash the hub at exactly this commit; whether that commit is on the disk.
    pub hub_at: Option<(u64, bool)>,
    /// Crash the first recipient at exactly this sync; whether that sync is on the disk.
    pub agent_at: Option<(u64, bool)>,
    /// The hub's store fails at exactly this commit; whether that commit is on the disk all the same.
    pub commit_fails_at: Option<(u64, bool)>,
}

impl Faults {
    /// Everything at once.
    pub(crate) const ALL: Self = Self {
        hub_crashes: true,
        agent_crashes: true,
        session_losses: true,
        clock_jumps: true,
        store_failures: true,
        operator: true,
        clients: true,
        small_quota: true,
        hub_at: None,
        agent_at: None,
        commit_fails_at: None,
    };
}

/// A fault in the machines around the cores, to see that its check finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    None,
    /// The hub speaks before its commit.
    HubSpeaksBeforeCommit,
    /// The hub says `go` before its commit, and everything else after.
    GoBeforeCommit,
    /// The hub's store loses a message that it had synced.
    StoreLosesMessages,
    /// The hub's store does not find decided messages again.
    DuplicatesNotFound,
    /// The hub's store loses outcomes with a crash.
    StoreLosesOutcomes,
    /// The hub's store keeps no late words.
    StoreLosesLateWords,
    /// The hub does not learn that its machine has booted anew.
    BootIdIgnored,
    /// The hub's clock runs ahead.
    HubClockAhead,
    /// The hub's timer rings late.
    HubTimerLate,
    /// The hub begins without its configured quota after a restart.
    QuotaForgotten,
    /// The hub begins with the open policy after a restart.
    PolicyForgotten,
    /// An agent's journal loses what was about to start.
    StartNotJournalled,
    /// An agent begins whatever the clock says.
    AgentIgnoresTheBound,
    /// An agent reports success of what never ran.
    AgentGuesses,
    /// The network changes receipts on their way.
    ReceiptsChanged,
    /// The network reorders a lane.
    LanesReordered,
    /// A live message is handed over again.
    LiveTwice,
    /// A live message is confirmed that never arrived.
    LiveConfirmedUnseen,
}

pub(crate) fn rules() -> Rules {
    let command =
        |concurrency, repeat| Action::Run(Command { argv: vec!["run".into()], timeout_ms: 3_000, concurrency, repeat });
    let rule = |name: &str, action| Rule {
        name: name.into(),
        when: Match { name: vec![format!("{name}*")], ..Match::default() },
        action,
    };
    Rules {
        rules: vec![
            rule("once", command(1, false)),
            rule("wide", command(3, false)),
            rule("repeat", command(1, true)),
            rule("orders", Action::SaveTo("/orders".into())),
        ],
        store: "/store".into(),
    }
}

/// Names that lead to each way of handling.
const NAMES: [(&str, Way); 7] = [
    ("once", Way::Once),
    ("once-b", Way::Once),
    ("wide", Way::Wide),
    ("repeat", Way::Repeat),
    ("orders", Way::Place),
    ("inbox", Way::Place),
    ("../bad", Way::Refuse),
];

impl World {
    /// Programs, their messages, and what strikes them.
    pub(super) fn plan(&mut self, messages: usize) {
        let agents = (0..DEVICES).map(|device| Program::new(device, Role::Agent));
        self.programs = agents.collect();
        for number in 0..messages {
            let program = self.program_of(number);
            let from = self.programs[program].device;
            let to = loop {
                let to = 2 + self.pick(3) as usize;
                if to != from {
                    break to;
                }
            };
            let way = if self.pick(20) == 0 { 6 } else { self.pick(6) as usize };
            let (name, way) = NAMES[way];
            let mail = Mail {
                program,
                from,
                to,
                lane: [Lane::NORMAL, Lane::NORMAL, Lane::URGENT, Lane::BULK][self.pick(4) as usize],
                kept: self.pick(8) != 0,
                name,
                way,
                body_len: self.pick(20) as usize,
                whole: self.pick(6) != 0,
                deadline_ms: 500 + self.pick(if number.is_multiple_of(3) { 4_000 } else { 20_000 }),
                progress: Progress::default(),
            };
            self.mails.push(mail);
            let when = 1_500 + self.pick(20_000);
            self.at(when, Happening::Send(number));
            if self.pick(8) == 0 {
                let again = when + self.pick(40_000);
                self.at(again, Happening::Again(number));
            }
            if self.faults.operator && self.pick(10) == 0 {
                let withdrawn = when + self.pick(5_000);
                self.at(withdrawn, Happening::Withdraw(number));
            }
        }
        for program in DEVICES..self.programs.len() {
            let (comes, goes) = (1_000 + self.pick(4_000), 8_000 + self.pick(30_000));
            self.at(comes, Happening::Connect(program));
            self.at(goes, Happening::Leave(program));
            self.at(FAULTS_END_MS + 10_000, Happening::Return(program));
        }
        self.plan_faults();
    }

    /// Agents of the senders send, and where there are clients every second message is a client's.
    fn program_of(&mut self, number: usize) -> usize {
        let from = if self.faults.operator && self.pick(8) == 0 { REVOKED } else { self.pick(2) as usize };
        if !self.faults.clients || self.pick(2) == 0 {
            return from;
        }
        if number.is_multiple_of(4) || self.programs.len() == DEVICES {
            self.programs.push(Program::new(from, Role::Client));
        }
        DEVICES + self.pick((self.programs.len() - DEVICES) as u64) as usize
    }

    fn plan_faults(&mut self) {
        let faults = self.faults;
        for _ in 0..FAULTS {
            let when = 2_000 + self.pick(FAULTS_END_MS - 2_000);
            // Where the hub never crashes, senders do not either: then the promised times can be checked.
            let any = faults.hub_crashes && self.pick(3) == 0;
            let device = if any { self.pick(DEVICES as u64) } else { 2 + self.pick(2) } as usize;
            let program = if faults.hub_crashes { self.pick(self.programs.len() as u64) as usize } else { device };
            let jump = self.pick(2 * TEN_DAYS_MS) as i64 - TEN_DAYS_MS as i64;
            let reboot = self.pick(2) == 0;
            match self.pick(7) {
                0 if faults.hub_crashes => self.at(when, Happening::HubCrash { reboot }),
                1 if faults.agent_crashes => self.at(when, Happening::AgentCrash { device, reboot }),
                2 if faults.session_losses => self.at(when, Happening::Lose { program }),
                3 if faults.session_losses => self.at(when, Happening::LinkDown { program }),
                4 if faults.clock_jumps => self.at(when, Happening::HubClockJumps(jump)),
                5 if faults.clock_jumps => self.at(when, Happening::DeviceClockJumps(device, jump)),
                6 if faults.store_failures && faults.hub_crashes => self.at(when, Happening::CommitFails),
                6 if faults.store_failures => self.at(when, Happening::SyncFails(device)),
                _ => {}
            }
        }
        if faults.operator {
            self.plan_orders();
        }
    }

    fn plan_orders(&mut self) {
        for order in [Happening::Rename, Happening::Revoke] {
            if self.pick(3) == 0 {
                let when = 3_000 + self.pick(25_000);
                self.at(when, order);
            }
        }
        for _ in 0..2 {
            let pair = (self.pick(2) as usize, 2 + self.pick(2) as usize);
            let when = 3_000 + self.pick(15_000);
            let until = when + self.pick(20_000);
            self.at(when, Happening::Forbid(Some(pair)));
            self.at(until, Happening::Forbid(None));
        }
    }
}
