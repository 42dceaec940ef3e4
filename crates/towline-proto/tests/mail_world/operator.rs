//! The operator: renames, revokes, changes the policy, takes messages back.

use super::history::Event;
use super::plan::{RENAMED, REVOKED};
use super::{World, device_side, hub_side};
use towline_proto::ids::MessageId;
use towline_proto::mail::hub::io::{Command, Input, RequestKey};

impl World {
    fn order(&mut self, command: Command) {
        self.hub(Input::Admin { request: RequestKey(0), command });
    }

    pub(super) fn rename(&mut self) {
        let from = self.hub.store.devices[&device_side::key(RENAMED)].name.clone();
        self.order(Command::Rename { from, to: format!("d{RENAMED}-anew").parse().unwrap() });
    }

    pub(super) fn revoke(&mut self) {
        let name = self.hub.store.devices[&device_side::key(REVOKED)].name.clone();
        self.order(Command::Revoke { name });
    }

    /// The new policy holds from its step on; a hub that is down finds it in its configuration.
    pub(super) fn forbid(&mut self, pair: Option<(usize, usize)>) {
        self.hub.forbidden = pair;
        let policy = Box::new(hub_side::policy(pair));
        self.hub_then(Input::Policy(policy), Some(Event::Forbidden(pair)));
    }

    pub(super) fn take_back(&mut self, id: MessageId) {
        self.order(Command::Withdraw { id });
    }
}
