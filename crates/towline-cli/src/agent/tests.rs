//! Core, journal, store, placing and running together, with a hub that says the right words and a journal that fails.

use super::journal::failing::FailingJournal;
use super::journal::{Journal, JournalError, SqliteJournal};
use super::store::Store;
use super::work::{self, PlaceJob};
use super::{AgentConfig, clock, commit};
use std::collections::VecDeque;
use tokio::sync::watch;
use towline::Identity;
use towline::mail::Draft;
use towline_proto::ids::{Digest, MessageId};
use towline_proto::mail::agent::AgentCore;
use towline_proto::mail::agent::io::{Input, Output};
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::message::{ToDevice, ToHub};
use towline_proto::mail::outcome::Outcome;

const ID: MessageId = MessageId([8; 16]);
const BODY: &[u8] = b"<order/>\r\n";

/// A device with one message on its way to it.
struct Site {
    home: tempfile::TempDir,
    config: AgentConfig,
    identity: Identity,
    envelope: SignedEnvelope,
    outcomes: Vec<Outcome>,
    interrupted: bool,
}

impl Site {
    fn new(rule: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let rule = rule.replace("HOME", home.path().to_str().unwrap());
        std::fs::write(home.path().join("agent.toml"), rule).unwrap();
        let config = AgentConfig::load(home.path(), &[]).unwrap();
        let identity = Identity::generate();
        let mut draft = Draft::new("till".parse().unwrap());
        draft.name = "order.xml".into();
        let measured = (BODY.len() as u64, Digest(*blake3::hash(BODY).as_bytes()));
        let envelope = draft.seal(ID, "shop".parse().unwrap(), measured, &identity);
        Self { home, config, identity, envelope, outcomes: Vec::new(), interrupted: false }
    }

    fn journal(&self) -> SqliteJournal {
        SqliteJournal::open(&self.config.journal_path()).unwrap()
    }

    fn count(&self, name: &str) -> usize {
        std::fs::read_to_string(self.home.path().join(name)).map_or(0, |text| text.lines().count())
    }

    /// One life of the agent: everything that the hub and the disk have to say, until nothing more happens.
    async fn live(&mut self, mut journal: impl Journal) -> Result<(), JournalError> {
        let store = Store::open(&self.config.store_path()).unwrap();
        let (mut core, first) = AgentCore::load(self.config.rules.clone(), journal.load()?);
        let deliver = ToDevice::Deliver { envelope: self.envelope.clone(), body: Some(BODY.to_vec()) };
        let mut inputs = VecDeque::from([Input::Attached { max_timeout_ms: 60_000 }]);
        if self.outcomes.is_empty() && !self.interrupted {
            inputs.push_back(Input::Said(deliver));
        }
        let mut step = first;
        loop {
            for output in std::mem::take(&mut step.now) {
                self.output(&store, output, &mut inputs).await;
            }
            commit::commit(&mut journal, &store, &step.journal)?;
            for output in std::mem::take(&mut step.after_sync) {
                self.output(&store, output, &mut inputs).await;
            }
            let Some(input) = inputs.pop_front() else { return Ok(()) };
            step = core.handle(clock::now(), input, &self.identity);
        }
    }

    async fn output(&mut self, store: &Store, output: Output, inputs: &mut VecDeque<Input>) {
        match output {
            Output::Say { message, .. } => self.hub(message, inputs),
            Output::Place { id, request, target, name, start_before_ms } => {
                let job = PlaceJob { id, request, target, name };
                inputs.push_back(work::do_place(&self.config, store, &job, start_before_ms).unwrap());
            }
            Output::CheckPlaced { id, request, target, name } => {
                inputs.push_back(work::check_placed(store, &PlaceJob { id, request, target, name }).unwrap());
            }
            Output::Run(run) => {
                let (_keep, interrupt) = watch::channel(false);
                inputs.extend(work::do_run(&self.config, store, &run, interrupt).await);
            }
            Output::Discard { id } => store.remove(id).unwrap(),
            Output::Fetch { .. } | Output::Live { .. } => panic!("this message is kept and came whole"),
        }
    }

    fn hub(&mut self, word: ToHub, inputs: &mut VecDeque<Input>) {
        match word {
            ToHub::GoRequest { id, request, .. } => {
                inputs.push_back(Input::Said(ToDevice::Go { id, request, left_ms: 60_000 }));
            }
            ToHub::Report { receipt, .. } => {
                self.outcomes.push(receipt.open(&self.identity).unwrap().outcome);
                inputs.push_back(Input::Said(ToDevice::Reported { id: ID }));
            }
            ToHub::Interrupted { id, .. } => {
                self.interrupted = true;
                inputs.push_back(Input::Said(ToDevice::Reported { id }));
            }
            _ => {}
        }
    }
}

const RUN: &str = r#"
[[rule]]
name = "count"
command = ["/bin/sh", "-c", "echo run >> HOME/runs"]
"#;

/// Fails the journal at each of its commits, before or after it was made, and lives again.
async fn at_every_commit(rule: &str, check: impl Fn(&Site, &str)) {
    for made in [false, true] {
        for n in 1.. {
            let mut site = Site::new(rule);
            let first = site.live(FailingJournal::new(site.journal(), n, made)).await;
            let crashed = first.is_err();
            site.live(site.journal()).await.unwrap();
            check(&site, &format!("commit {n}, made: {made}"));
            if !crashed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn p03_a_command_never_runs_twice_wherever_the_journal_fails() {
    at_every_commit(RUN, |site, case| {
        let runs = site.count("runs");
        let handled = site.outcomes.contains(&Outcome::Handled);
        assert!(runs <= 1, "{case}: {runs} runs");
        assert!(handled != site.interrupted, "{case}: one word, not guessed");
        assert!(!handled || runs == 1, "{case}: handled without a run");
    })
    .await;
}

#[tokio::test]
async fn p03_a_command_that_may_repeat_runs_until_its_end_is_known() {
    at_every_commit(&format!("{RUN}repeat = true\n"), |site, case| {
        assert!((1..=2).contains(&site.count("runs")), "{case}");
        assert!(site.outcomes.contains(&Outcome::Handled) && !site.interrupted, "{case}");
    })
    .await;
}

#[tokio::test]
async fn p02_a_file_stands_in_the_inbox_once_wherever_the_journal_fails() {
    at_every_commit("", |site, case| {
        let names: Vec<_> =
            std::fs::read_dir(site.config.inbox.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["order.xml"], "{case}");
        assert_eq!(std::fs::read(site.config.inbox.path().join("order.xml")).unwrap(), BODY, "{case}");
        assert!(site.outcomes.iter().all(|&outcome| outcome == Outcome::Handled) && !site.interrupted, "{case}");
        assert!(!site.outcomes.is_empty(), "{case}");
    })
    .await;
}

#[tokio::test]
async fn an_exit_code_of_three_is_reported_as_failed() {
    let mut site = Site::new("[[rule]]\nname = \"three\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n");
    site.live(site.journal()).await.unwrap();
    assert_eq!(site.outcomes, [Outcome::Failed]);
}
