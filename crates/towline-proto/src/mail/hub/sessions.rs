//! The sessions that are open now.

use super::io::SessionKey;
use crate::ids::MessageId;
use crate::mail::keys::PublicKey;
use crate::mail::message::Role;
use std::collections::{BTreeMap, BTreeSet};

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: PublicKey,
    /// What it is for; none before it is attached.
    pub(super) role: Option<Role>,
    pub(super) links: Vec<String>,
    pub(super) rtt_us: u64,
    /// Messages of which it is told: those it submitted and those it asked to watch.
    pub(super) watched: BTreeSet<MessageId>,
    /// Its questions of who is there that go on: the asker's number, and one device or all.
    pub(super) presence_watches: Vec<(u64, Option<PublicKey>)>,
}

/// All sessions, and which belong to a key.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionKey, Session>,
    by_key: BTreeMap<PublicKey, BTreeSet<SessionKey>>,
}

impl Sessions {
    pub(super) fn open(&mut self, session: SessionKey, key: PublicKey, link: String) {
        self.by_key.entry(key).or_default().insert(session);
        let fresh = Session {
            key,
            role: None,
            links: vec![link],
            rtt_us: 0,
            watched: BTreeSet::new(),
            presence_watches: Vec::new(),
        };
        self.all.insert(session, fresh);
    }

    pub(super) fn remove(&mut self, session: SessionKey) -> Option<Session> {
        let removed = self.all.remove(&session)?;
        if let Some(of_key) = self.by_key.get_mut(&removed.key) {
            of_key.remove(&session);
            if of_key.is_empty() {
                self.by_key.remove(&removed.key);
            }
        }
        Some(removed)
    }

    pub(super) fn get(&self, session: SessionKey) -> Option<&Session> {
        self.all.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionKey) -> Option<&mut Session> {
        self.all.get_mut(&session)
    }

    pub(super) fn of_key(&self, key: &PublicKey) -> impl Iterator<Item = SessionKey> {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        self.all.iter().map(|(&key, session)| (key, session))
    }
}
