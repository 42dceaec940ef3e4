//! Numbers for `/metrics`, counted where things happen.

use crate::store::Damage;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use towline::{Counters, PoolStats};
use towline_proto::mail::outcome::OUTCOMES;

/// Bounds of the commit histogram, in seconds: from a fast disk's sync to one that hangs.
const COMMIT_SECONDS: [f64; 9] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Word {
    word: String,
}

/// The hub's numbers.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    pub(crate) sessions: Gauge,
    pub(crate) undecided: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) commits: Counter,
    pub(crate) store_errors: Counter,
    damaged: Gauge,
    damage: Family<Word, Gauge>,
    set_aside: Gauge,
    steps: Counter,
    outcomes: Family<Word, Counter>,
    refusals: Family<Word, Counter>,
    cuts: Family<Word, Counter>,
    commit_seconds: Histogram,
    connections: Gauge,
    accepted_connections: Gauge,
    accept_errors: Gauge,
    not_post_quantum: Gauge,
    refused_connections: Family<Word, Gauge>,
    closed_sessions: Family<Word, Gauge>,
    memory: Memory,
}

/// The memory that sessions share.
#[derive(Debug, Default)]
struct Memory {
    bound: Gauge,
    held: Gauge,
    promised: Gauge,
    level: Gauge,
    waiting: Gauge,
    refused: Gauge,
    cut: Gauge,
}

impl Memory {
    fn register(&self, to: &mut Registry) {
        let to = to.sub_registry_with_prefix("memory");
        to.register("bound_bytes", "What all sessions may hold", self.bound.clone());
        to.register("held_bytes", "What they hold", self.held.clone());
        to.register("promised_bytes", "Credit that peers may use, or used and was not read", self.promised.clone());
        let steps = "0 free, 1 used, 2 near the bound, 3 no new streams, 4 no new sessions, 5 above the bound";
        to.register("level", steps, self.level.clone());
        to.register("waiting", "Sessions whose message above the base waits for its turn", self.waiting.clone());
        to.register("refused", "Sessions refused near the bound", self.refused.clone());
        to.register("cut", "Sessions cut above the bound", self.cut.clone());
    }

    fn show(&self, pool: &PoolStats) {
        self.bound.set(pool.bound_bytes as i64);
        self.held.set(pool.held_bytes as i64);
        self.promised.set(pool.promised_bytes as i64);
        self.level.set(pool.level as i64);
        self.waiting.set(pool.waiting as i64);
        self.refused.set(pool.refused as i64);
        self.cut.set(pool.cut as i64);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("towline")),
            sessions: Gauge::default(),
            undecided: Gauge::default(),
            accepted: Counter::default(),
            commits: Counter::default(),
            store_errors: Counter::default(),
            damaged: Gauge::default(),
            damage: Family::default(),
            set_aside: Gauge::default(),
            steps: Counter::default(),
            outcomes: Family::default(),
            refusals: Family::default(),
            cuts: Family::default(),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            connections: Gauge::default(),
            accepted_connections: Gauge::default(),
            accept_errors: Gauge::default(),
            not_post_quantum: Gauge::default(),
            refused_connections: Family::default(),
            closed_sessions: Family::default(),
            memory: Memory::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut guard = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let to = &mut *guard;
        to.register("sessions", "Sessions now", self.sessions.clone());
        to.register("undecided", "Messages accepted and not decided", self.undecided.clone());
        to.register("accepted", "Messages accepted", self.accepted.clone());
        to.register("outcomes", "Messages decided, by outcome", self.outcomes.clone());
        to.register("refusals", "Messages and sessions not accepted, by reason", self.refusals.clone());
        to.register("cuts", "Sessions that the hub cut, by reason", self.cuts.clone());
        to.register("commits", "Commits of the mailbox", self.commits.clone());
        to.register("committed_steps", "Steps in those commits", self.steps.clone());
        to.register("commit_seconds", "How long a commit took", self.commit_seconds.clone());
        to.register("store_errors", "Failed commits and reads", self.store_errors.clone());
        to.register("damaged_records", "Damaged records met since the store was read", self.damaged.clone());
        to.register(
            "store_damage",
            "Records lost by damage that was found at the start, by flaw; -1: unknown",
            self.damage.clone(),
        );
        to.register("store_set_aside", "Damaged mailboxes that wait to be looked at", self.set_aside.clone());
        to.register("connections", "Connections now, handshakes included", self.connections.clone());
        to.register("connections_accepted", "Connections taken since the start", self.accepted_connections.clone());
        to.register("accept_errors", "Times that taking a connection failed", self.accept_errors.clone());
        let links = "Links of sessions without post-quantum key exchange";
        to.register("links_not_post_quantum", links, self.not_post_quantum.clone());
        to.register("connections_refused", "Connections refused, by reason", self.refused_connections.clone());
        to.register("sessions_closed", "Sessions ended, by reason", self.closed_sessions.clone());
        self.memory.register(to);
    }

    pub(crate) fn outcome(&self, word: &str) {
        self.outcomes.get_or_create(&Word { word: word.into() }).inc();
    }

    pub(crate) fn refused(&self, word: &str) {
        self.refusals.get_or_create(&Word { word: word.into() }).inc();
    }

    pub(crate) fn cut(&self, word: &str) {
        self.cuts.get_or_create(&Word { word: word.into() }).inc();
    }

    pub(crate) fn damaged(&self, count: u64) {
        self.damaged.set(count as i64);
    }

    /// What was found at the start, and how many damaged mailboxes lie there.
    pub(crate) fn mailbox(&self, damage: Option<&Damage>, set_aside: usize) {
        self.set_aside.set(set_aside as i64);
        if let Some(Damage { flaw, lost, .. }) = damage {
            let lost = lost.map_or(-1, |lost| lost as i64);
            self.damage.get_or_create(&Word { word: flaw.to_string() }).set(lost);
        }
    }

    pub(crate) fn committed(&self, steps: usize, took: Duration) {
        self.commits.inc();
        self.steps.inc_by(steps as u64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn outcomes(&self) -> BTreeMap<String, u64> {
        let count = |word: &str| self.outcomes.get_or_create(&Word { word: word.into() }).get();
        OUTCOMES.iter().map(|outcome| (outcome.as_str().to_owned(), count(outcome.as_str()))).collect()
    }

    /// The page, in OpenMetrics' text form.
    pub(crate) fn page(&self, server: &Counters) -> String {
        self.connections.set(server.connections as i64);
        self.accepted_connections.set(server.accepted as i64);
        self.accept_errors.set(server.accept_errors as i64);
        self.memory.show(&server.memory);
        self.not_post_quantum.set(server.not_post_quantum as i64);
        for (family, list) in [(&self.refused_connections, &server.refused), (&self.closed_sessions, &server.closed)] {
            for (word, count) in list {
                family.get_or_create(&Word { word: (*word).into() }).set(*count as i64);
            }
        }
        let mut page = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string does not fail.
        let _ = encode(&mut page, &registry);
        page
    }
}
